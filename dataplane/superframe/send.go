package superframe

import "golang.org/x/sys/unix"

// The way of a packet to send:
//
//  1. Room lends a piece of memory, Commit notes what of it is a packet.
//  2. Flush sorts the packets into trains (coalescer.add): what continues the
//     packet before it in its flow joins that one's train.
//  3. Each train becomes one message, its header in the first packet and of the
//     others the payload only, where it lies (couple).
//  4. The kernel copies all of it in one call; then every room is free again.

// sender is the sending half of a Socket.
type sender struct {
	rooms    []byte
	roomLen  int
	roomStep int
	used     int // rooms lent

	coalescer *coalescer
	messages  [maxRooms]message
	vnets     [maxRooms][vnetLen]byte
	vectors   [2 * maxRooms]unix.Iovec
}

func newSender(roomLen int, sealed bool) *sender {
	// An odd number of cache lines apart, so that the headers of all rooms do not
	// contend for the same few lines of the cache.
	step := (roomLen+63)&^63 | 64
	return &sender{rooms: make([]byte, maxRooms*step), roomLen: roomLen, roomStep: step, coalescer: newCoalescer(sealed)}
}

// Room returns memory for one packet, another one on every call, or nil when 4096
// are lent: then Flush, and drop the packet or try again.
func (s *Socket) Room() []byte {
	d := s.send
	if d.used == maxRooms || s.fd < 0 {
		return nil
	}
	at := d.used * d.roomStep
	d.used++
	return d.rooms[at : at+d.roomLen : at+d.roomLen]
}

// Commit makes frame, a part of a room given since the last Flush, a packet to
// send. The bytes may still be changed until Flush.
func (s *Socket) Commit(frame []byte) {
	if s.fd < 0 {
		return
	}
	c := s.send.coalescer
	if len(frame) < ethernetLen || len(c.frames) == s.send.used {
		panic("superframe: Commit of what is no frame, or of more frames than rooms")
	}
	c.frames = append(c.frames, frame)
}

// Flush sends what was committed, merged where that changes nothing for the
// receiver. What the kernel does not take is lost and counted.
func (s *Socket) Flush() {
	d := s.send
	c := d.coalescer
	if len(c.frames) > 0 {
		c.sort()
		d.describe()
		s.push()
		c.reset()
	}
	d.used = 0
}

// describe writes the messages of all trains.
func (d *sender) describe() {
	c := d.coalescer
	at := 0
	for i := range c.trains {
		t := &c.trains[i]
		v := &d.vnets[i]
		h := c.couple(t)
		h.write(v)
		begin := at
		d.vectors[at] = vector(v[:])
		d.vectors[at+1] = vector(c.frames[t.first])
		at += 2
		for n, j := t.first, 1; j < t.count; j++ {
			n = c.next[n]
			d.vectors[at] = vector(c.frames[n][t.payload:])
			at++
		}
		m := &d.messages[i]
		m.Iov = &d.vectors[begin]
		m.SetIovlen(at - begin)
	}
}

// push hands the messages to the kernel. A message that it refuses is given up,
// because what stands in its way (a full queue, an interface that is down) will
// not be gone a moment later, and a host sends again what it misses.
func (s *Socket) push() {
	d, trains := s.send, s.send.coalescer.trains
	var packets, bytes, frames uint64
	for done := 0; done < len(trains); {
		n, errno := send(s.fd, d.messages[done:len(trains)])
		if errno == 0 {
			for i := done; i < done+n; i++ {
				packets += uint64(trains[i].count)
				bytes += uint64(d.messages[i].length) - vnetLen
			}
			frames += uint64(n)
			done += n
			continue
		}
		if errno == unix.EINTR {
			continue
		}
		why, all := sendRefusal(errno)
		lost := trains[done : done+1]
		if all {
			lost = trains[done:]
		}
		for i := range lost {
			s.counted.refused[why].Add(uint64(lost[i].count))
		}
		done += len(lost)
	}
	s.counted.sentPackets.Add(packets)
	s.counted.sentBytes.Add(bytes)
	s.counted.sentFrames.Add(frames)
}

// sendRefusal names an error of sending, and says whether it will meet all the
// other messages too.
func sendRefusal(errno unix.Errno) (why Refusal, all bool) {
	switch errno {
	case unix.EAGAIN:
		return sendBufferFull, true
	case unix.ENOBUFS, unix.ENOMEM:
		return sendNoBuffers, false
	case unix.ENETDOWN:
		return sendDown, true
	case unix.ENXIO:
		return sendGone, true
	case unix.EMSGSIZE:
		return sendTooLong, false
	}
	return sendOther, false
}

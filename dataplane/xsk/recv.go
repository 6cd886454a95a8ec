package xsk

import "golang.org/x/sys/unix"

// The way of a received packet:
//
//  1. Recv gives the chunks of its last burst back to the kernel (giveBack).
//  2. It reads the descriptors of up to one batch and frees their ring entries.
//  3. Each descriptor becomes a slice of the UMEM (chunk); its chunk is
//     remembered in lent until step 1 of the next call.
//  4. What lies in several chunks is copied into one piece (joiner.add).
//  5. With nothing there, it wakes the driver if the driver asked for it.

// Recv returns the packets that have arrived, at most 64, or nil. They are lent
// until the next Recv or Close. Until then the caller may change them, and may
// use what lies between their length and their capacity.
func (s *Socket) Recv() [][]byte {
	if s.closed {
		return nil
	}
	s.giveBack()
	if s.info.MultiBuffer {
		s.joined.reuse()
	}
	n := s.rx.ready(batch)
	if n == 0 {
		if !s.recvOnIdle && !s.fill.needsWakeup() {
			return nil
		}
		// A caller kept busy by another socket may not come to Wait, whose
		// poll would do this.
		s.counted.receiveWakeups.Add(1)
		wakeReceive(s.fd)
		if n = s.rx.ready(batch); n == 0 {
			return nil
		}
	}
	packets, bytes := s.packets[:0], uint64(0)
	for i := range n {
		d := s.rx.at(i)
		packet := s.chunk(d)
		if s.joined.open || d.Options&unix.XDP_PKT_CONTD != 0 {
			packet = s.join(packet, d.Options&unix.XDP_PKT_CONTD == 0)
		}
		if packet != nil {
			packets = append(packets, packet)
			bytes += uint64(len(packet))
		}
	}
	s.rx.release(n)
	s.counted.receivedPackets.Add(uint64(len(packets)))
	s.counted.receivedBytes.Add(bytes)
	return packets
}

// join adds one part to a packet in several chunks.
func (s *Socket) join(part []byte, last bool) []byte {
	if !s.info.MultiBuffer {
		s.counted.badDescriptors.Add(1) // we did not say that we take such packets
		return nil
	}
	packet, broken := s.joined.add(part, last)
	if broken {
		s.counted.tooLong.Add(1)
	}
	return packet
}

// chunk returns the bytes a descriptor names. One that does not lie within a
// single chunk of the receiving half is no packet: it is counted and dropped,
// and its chunk, if it names one of that half, still goes back.
func (s *Socket) chunk(d unix.XDPDesc) []byte {
	half, frame := uint64(len(s.umem)/2), uint64(s.info.FrameSize)
	if d.Addr >= half {
		s.counted.badDescriptors.Add(1)
		return nil
	}
	chunk := d.Addr &^ (frame - 1)
	s.lent = append(s.lent, chunk)
	end := d.Addr + uint64(d.Len)
	if end > chunk+frame {
		s.counted.badDescriptors.Add(1)
		return nil
	}
	return s.umem[d.Addr : end : chunk+frame]
}

// giveBack puts the lent chunks into the fill ring. There is always an entry
// for each, because the ring is as long as the half has chunks; a kernel that
// claims otherwise costs us the chunk, not the process.
func (s *Socket) giveBack() {
	if len(s.lent) == 0 {
		return
	}
	fits := s.fill.free(uint32(len(s.lent)))
	for _, chunk := range s.lent[:fits] {
		s.fill.push(chunk)
	}
	s.fill.publish()
	if lost := len(s.lent) - int(fits); lost > 0 {
		s.counted.badDescriptors.Add(uint64(lost))
	}
	s.lent = s.lent[:0]
}

package xsk

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The way of a packet to send:
//
//  1. Room lends memory; the caller may fill it before or after Commit.
//  2. Commit writes a descriptor for each chunk that the frame lies in; nobody
//     sees them yet.
//  3. Flush takes back the rooms that were not committed (withdraw), publishes
//     all descriptors, then kicks the kernel (pump.run).
//  4. The kernel returns the chunks through the completion ring; reap takes the
//     room once the last is back.

// holder says who has a room. Any other value is how many of its chunks the
// kernel has, from Commit until the last comes through the completion ring.
type holder uint8

const (
	heldByUs     holder = 0    // in Socket.unused
	heldByCaller holder = 0xff // from Room until Commit or Flush
)

const _ = heldByCaller - mostChunks - 1

// Room returns room for one packet, Info.RoomSize bytes, or nil when all rooms
// are lent or on their way: then Flush, and drop the packet or try later. Every
// call returns another room; all are lent until Flush.
func (s *Socket) Room() []byte {
	if s.closed {
		return nil
	}
	if len(s.unused) == 0 {
		s.reap()
	}
	// A chunk can be back before its ring entry is, on kernels that show
	// their consumer index late. Every room that is out needs entries too.
	entries := (uint32(len(s.rooms)) - uint32(s.pushed) + 1) * s.entriesPerRoom
	if len(s.unused) == 0 || s.tx.free(entries) < entries {
		return nil
	}
	last := len(s.unused) - 1
	at := s.unused[last]
	s.unused = s.unused[:last]
	s.rooms = append(s.rooms, at)
	*s.holderOf(at) = heldByCaller
	end := at + uint64(s.info.RoomSize)
	return s.umem[at:end:end]
}

// Commit makes frame, any part of a room given since the last Flush, a packet
// to send. Its bytes may still be changed until Flush. The order of the Commits
// is the order of sending; a room is committed once at most.
func (s *Socket) Commit(frame []byte) {
	if s.closed {
		return
	}
	at, length := offsetIn(s.umem, frame), uint64(len(frame))
	half, room := uint64(len(s.umem)/2), uint64(s.info.RoomSize)
	if length == 0 || at < half || at >= 2*half || at&(room-1)+length > room {
		panic(fmt.Sprintf("xsk: Commit of %d bytes that are no part of a room", length))
	}
	holder := s.holderOf(at)
	if *holder != heldByCaller {
		panic("xsk: Commit of a room that was committed before, or given before the last Flush")
	}
	s.pushed++
	s.bytes += length
	*holder = 1
	size := uint64(s.info.FrameSize)
	for here := size - at&(size-1); length > here; here = size {
		s.tx.push(unix.XDPDesc{Addr: at, Len: uint32(here), Options: unix.XDP_PKT_CONTD})
		at += here
		length -= here
		*holder++
	}
	s.tx.push(unix.XDPDesc{Addr: at, Len: uint32(length)})
}

// Flush ends the lending of rooms, shows the kernel what was committed and has
// it sent. What a full device leaves over stays in the ring, and the next Flush
// tries again, also with nothing new: see Pending.
func (s *Socket) Flush() {
	if s.closed {
		return
	}
	s.withdraw()
	if s.pushed > 0 {
		s.tx.publish()
		s.counted.sentPackets.Add(s.pushed)
		s.counted.sentBytes.Add(s.bytes)
		s.pushed, s.bytes = 0, 0
	}
	s.pump.run(&s.tx, &s.counted)
	// In copy mode the chunks are mostly back by now. Taking them at once
	// means that the next burst is written where the last one still is in
	// cache, rather than around the whole UMEM.
	s.reap()
}

// Pending tells whether packets wait in the ring for the kernel to take them.
// In copy mode they are what the last Flush could not get rid of.
func (s *Socket) Pending() bool { return !s.closed && s.tx.unsent() > 0 }

// withdraw takes back the rooms that were not committed. The first that was
// given comes to lie on top, to be given first again while it is in cache.
func (s *Socket) withdraw() {
	if uint64(len(s.rooms)) > s.pushed {
		for _, at := range slices.Backward(s.rooms) {
			if holder := s.holderOf(at); *holder == heldByCaller {
				*holder = heldByUs
				s.unused = append(s.unused, at)
			}
		}
	}
	s.rooms = s.rooms[:0]
}

// holderOf is the note on who has the room that an address of the sending half
// lies in.
func (s *Socket) holderOf(at uint64) *holder {
	return &s.holders[(at-uint64(len(s.umem)/2))>>s.roomBits]
}

// reap takes back the rooms whose chunks were all sent. The kernel names a chunk
// by the address that was committed. One that lies in no room it has is counted
// and forgotten.
func (s *Socket) reap() {
	half, room := uint64(len(s.umem)/2), uint64(s.info.RoomSize)
	n := s.done.ready(uint32(s.info.RingSize))
	if n == 0 {
		return
	}
	for i := range n {
		at := s.done.at(i)
		if at < half || at >= 2*half {
			s.counted.badDescriptors.Add(1)
			continue
		}
		holder := s.holderOf(at)
		if *holder == heldByUs || *holder == heldByCaller {
			s.counted.badDescriptors.Add(1)
			continue
		}
		if *holder--; *holder == heldByUs {
			s.unused = append(s.unused, at&^(room-1))
		}
	}
	s.done.release(n)
}

const (
	// retryFull is how soon a full device is worth another try: 64 packets
	// take well under a millisecond to leave.
	retryFull = time.Millisecond
	// retryDown is how soon an interface that is down is.
	retryDown = 50 * time.Millisecond
)

// pump kicks the kernel until the TX ring is empty or kicking is pointless.
//
// In copy mode one call sends at most SendBudget packets and then answers
// EAGAIN although all is well. It answers the same when the device is full.
// What tells the two apart is the kernel's consumer index: a call that moved it
// deserves another, a call that did not is the last. Kernels before 6.17 move
// it only when the ring is empty; there the number of calls that 32 packets
// each would need is the limit.
//
// In zero-copy mode the driver sends by itself and a call only wakes it, so
// one is enough.
type pump struct {
	wake          func() unix.Errno
	zeroCopy      bool
	showsProgress bool
	retry         time.Duration // how soon what is left over deserves a Flush
}

func (p *pump) run(tx *ring[unix.XDPDesc], counted *counters) {
	left := tx.unsent()
	if left == 0 {
		return
	}
	patience := uint32(1)
	if !p.showsProgress {
		patience = left/defaultSendBudget + 1
	}
	kicks := uint64(0)
	p.retry = retryFull
	for left > 0 && patience > 0 && tx.needsWakeup() {
		errno := p.wake()
		kicks++
		before := left
		left = tx.unsent()
		if left == before && errno != unix.EINTR {
			patience--
		}
		if !p.goOn(errno, left, patience, counted) {
			break
		}
	}
	counted.kicks.Add(kicks)
}

// goOn counts what a kick met and tells whether another may help.
func (p *pump) goOn(errno unix.Errno, left, patience uint32, counted *counters) bool {
	switch errno {
	case 0:
		return !p.zeroCopy
	case unix.EAGAIN:
		if left > 0 && patience == 0 {
			counted.deviceFull.Add(1)
		}
		return !p.zeroCopy
	case unix.EINTR:
		counted.errors.interrupted.Add(1)
		return true
	case unix.EBUSY: // the device refused a packet, which is lost; others may pass
		counted.errors.busy.Add(1)
		return !p.zeroCopy
	case unix.ENOBUFS, unix.ENOMEM:
		counted.errors.noBuffers.Add(1)
		return false
	case unix.ENETDOWN:
		counted.errors.down.Add(1)
		p.retry = retryDown
		return false
	case unix.ENXIO: // no longer bound: the interface is gone
		counted.errors.gone.Add(1)
		p.retry = retryDown
		return false
	}
	counted.errors.other.Add(1)
	p.retry = retryDown
	return false
}

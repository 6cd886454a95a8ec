package superframe

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Refusal is why a frame got no further. Each has a counter.
type Refusal uint8

// The reasons, those of receiving first. Receiving counts what arrived in one
// piece, sending counts packets.
const (
	fine           Refusal = iota
	tooLong                // longer than 64 KiB, or cut so small that its segments do not fit
	malformed              // no whole frame, or a checksum outside of it
	notSegmentable         // a super-frame that is none of TCP or UDP, such as of a tunnel
	unreadable             // the kernel could not describe it
	down                   // the interface went down
	sendBufferFull         // EAGAIN: more on the way than SO_SNDBUF allows
	sendNoBuffers          // ENOBUFS, ENOMEM: a queue or the memory was full
	sendDown               // ENETDOWN
	sendGone               // ENXIO: the interface was deleted
	sendTooLong            // EMSGSIZE: longer than the interface's MTU
	sendOther
	refusals
)

var refusalNames = [refusals]string{
	"none", "receive_too_long", "receive_malformed", "receive_not_segmentable", "receive_unreadable", "receive_down",
	"send_buffer_full", "send_no_buffers", "send_down", "send_gone", "send_too_long", "send_other",
}

// String is the name of the reason in metrics.
func (r Refusal) String() string { return refusalNames[r] }

// Refusals lists every reason.
func Refusals() []Refusal {
	all := make([]Refusal, 0, refusals-1)
	for r := fine + 1; r < refusals; r++ {
		all = append(all, r)
	}
	return all
}

// Stats counts what happened since Open. Frames are what passes the kernel in
// one piece, packets are what a network card would send: a super-frame is one
// frame and many packets.
type Stats struct {
	ReceivedFrames, ReceivedPackets, ReceivedBytes uint64
	SentFrames, SentPackets, SentBytes             uint64
	ReceiveDropped                                 uint64 // frames that found the socket's buffer full
	Refused                                        [refusals]uint64
}

// counters are the owner's side of Stats. They are written once per Recv or
// Flush, or where a frame is lost, and read by anyone.
type counters struct {
	receivedFrames, receivedPackets, receivedBytes atomic.Uint64
	sentFrames, sentPackets, sentBytes             atomic.Uint64
	refused                                        [refusals]atomic.Uint64
}

// Stats may be called from any goroutine. After Close it returns what stood
// then.
func (s *Socket) Stats() Stats {
	c := &s.counted
	stats := Stats{
		ReceivedFrames: c.receivedFrames.Load(), ReceivedPackets: c.receivedPackets.Load(), ReceivedBytes: c.receivedBytes.Load(),
		SentFrames: c.sentFrames.Load(), SentPackets: c.sentPackets.Load(), SentBytes: c.sentBytes.Load(),
	}
	for i := range stats.Refused {
		stats.Refused[i] = c.refused[i].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readDropped()
	stats.ReceiveDropped = s.dropped
	return stats
}

// readDropped adds what the kernel has dropped since it was last asked, which
// starts the kernel's count anew.
func (s *Socket) readDropped() {
	if s.fd < 0 {
		return
	}
	if kernel, err := unix.GetsockoptTpacketStats(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		s.dropped += uint64(kernel.Drops)
	}
}

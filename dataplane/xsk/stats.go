package xsk

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Stats counts what happened since Open.
type Stats struct {
	ReceivedPackets uint64
	ReceivedBytes   uint64
	SentPackets     uint64 // handed to the kernel by Flush
	SentBytes       uint64

	ReceiveWakeups uint64 // calls an idle Recv made because the driver or busy polling wanted one
	Kicks          uint64 // calls that asked the kernel to send
	DeviceFull     uint64 // kicks given up because the device took nothing more
	BadDescriptors uint64 // descriptors from the kernel that name none of our chunks; dropped
	TooLong        uint64 // packets in several chunks that are longer than MaxReceive, or lost a part; dropped

	Errors SendErrors
	Kernel KernelStats
}

// SendErrors counts kicks that failed, by reason. Only Busy loses a packet; in
// all other cases the packets stay in the ring.
type SendErrors struct {
	Busy        uint64 // EBUSY: the device refused a packet (no carrier, queue stopped)
	NoBuffers   uint64 // ENOBUFS, ENOMEM: the kernel had no memory for a packet
	Down        uint64 // ENETDOWN: the interface is down
	Gone        uint64 // ENXIO: the interface was deleted
	Interrupted uint64 // EINTR: tried again
	Other       uint64
}

// KernelStats is what the kernel counts for this socket (XDP_STATISTICS).
type KernelStats struct {
	ReceiveDropped  uint64 // packets lost for other reasons, such as being too long for a chunk
	ReceiveInvalid  uint64 // fill ring entries that name no chunk
	SendInvalid     uint64 // TX descriptors that name no chunk or have a bad length
	ReceiveRingFull uint64 // packets lost because we did not Recv in time
	FillRingEmpty   uint64 // times the kernel found no chunk to receive into
	SendRingEmpty   uint64 // times the kernel was asked to send and found nothing
}

// counters are the owner's side of Stats. They are written once per Recv or
// Flush, never once per packet, and read by anyone.
type counters struct {
	receivedPackets, receivedBytes atomic.Uint64
	sentPackets, sentBytes         atomic.Uint64
	receiveWakeups, kicks          atomic.Uint64
	deviceFull, badDescriptors     atomic.Uint64
	tooLong                        atomic.Uint64

	errors struct{ busy, noBuffers, down, gone, interrupted, other atomic.Uint64 }
}

// Stats may be called from any goroutine. After Close it returns what stood
// then. The error concerns the kernel's part, the rest is filled in any case.
func (s *Socket) Stats() (Stats, error) {
	c := &s.counted
	stats := Stats{
		ReceivedPackets: c.receivedPackets.Load(),
		ReceivedBytes:   c.receivedBytes.Load(),
		SentPackets:     c.sentPackets.Load(),
		SentBytes:       c.sentBytes.Load(),
		ReceiveWakeups:  c.receiveWakeups.Load(),
		Kicks:           c.kicks.Load(),
		DeviceFull:      c.deviceFull.Load(),
		BadDescriptors:  c.badDescriptors.Load(),
		TooLong:         c.tooLong.Load(),
		Errors: SendErrors{
			Busy:        c.errors.busy.Load(),
			NoBuffers:   c.errors.noBuffers.Load(),
			Down:        c.errors.down.Load(),
			Gone:        c.errors.gone.Load(),
			Interrupted: c.errors.interrupted.Load(),
			Other:       c.errors.other.Load(),
		},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Kernel = s.last
	if s.fd < 0 {
		return stats, nil
	}
	kernel, err := kernelStats(s.fd)
	if err != nil {
		return stats, err
	}
	stats.Kernel = kernel
	return stats, nil
}

func kernelStats(fd int) (KernelStats, error) {
	k, err := getOption[unix.XDPStatistics](fd, unix.XDP_STATISTICS)
	if err != nil {
		return KernelStats{}, fmt.Errorf("read xdp socket statistics: %w", err)
	}
	return KernelStats{
		ReceiveDropped:  k.Rx_dropped,
		ReceiveInvalid:  k.Rx_invalid_descs,
		SendInvalid:     k.Tx_invalid_descs,
		ReceiveRingFull: k.Rx_ring_full,
		FillRingEmpty:   k.Rx_fill_ring_empty_descs,
		SendRingEmpty:   k.Tx_ring_empty_descs,
	}, nil
}

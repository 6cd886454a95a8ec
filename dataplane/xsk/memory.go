package xsk

import (
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"
)

// takeMemory maps and registers the UMEM, in huge pages if enough are free.
func (s *Socket) takeMemory(ringSize, frameSize int) error {
	length := 2 * ringSize * frameSize
	err := s.tryMemory(length, frameSize, true)
	if err == nil {
		s.info.HugePages = true
		return nil
	}
	if err = s.tryMemory(length, frameSize, false); err != nil {
		return fmt.Errorf("take %d bytes of locked memory: %w", length, err)
	}
	return nil
}

func (s *Socket) tryMemory(length, frameSize int, huge bool) error {
	memory, err := mapUMEM(length, huge)
	if err != nil {
		return err
	}
	if err := registerUMEM(s.fd, memory[:length], frameSize); err != nil {
		// A cgroup's limit may refuse huge pages that mmap had promised.
		unix.Munmap(memory)
		return err
	}
	s.mapped = append(s.mapped, memory)
	s.umem = memory[:length:length]
	return nil
}

// mapRings creates the four rings and maps them.
func (s *Socket) mapRings(size int) error {
	for _, option := range [...]int{
		unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_RX_RING, unix.XDP_TX_RING,
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, option, size); err != nil {
			return fmt.Errorf("create ring: %w", err)
		}
	}
	at, err := getOption[unix.XDPMmapOffsets](s.fd, unix.XDP_MMAP_OFFSETS)
	if err != nil {
		return fmt.Errorf("ask for ring offsets: %w", err)
	}
	fill, err := keepRing[uint64](s, unix.XDP_UMEM_PGOFF_FILL_RING, at.Fr, size)
	if err != nil {
		return err
	}
	done, err := keepRing[uint64](s, unix.XDP_UMEM_PGOFF_COMPLETION_RING, at.Cr, size)
	if err != nil {
		return err
	}
	rx, err := keepRing[unix.XDPDesc](s, unix.XDP_PGOFF_RX_RING, at.Rx, size)
	if err != nil {
		return err
	}
	tx, err := keepRing[unix.XDPDesc](s, unix.XDP_PGOFF_TX_RING, at.Tx, size)
	if err != nil {
		return err
	}
	s.fill, s.tx = fill.produce(), tx.produce()
	s.done, s.rx = done.consume(), rx.consume()
	return nil
}

// keepRing maps a ring and remembers the mapping for Close.
func keepRing[T any](s *Socket, page int64, at unix.XDPRingOffset, size int) (ring[T], error) {
	mapping, r, err := mapRing[T](s.fd, page, at, size)
	if err != nil {
		return ring[T]{}, fmt.Errorf("map ring: %w", err)
	}
	s.mapped = append(s.mapped, mapping)
	return r, nil
}

// shareOutReceiving gives the first half of the chunks to the kernel to receive
// into.
func (s *Socket) shareOutReceiving() {
	for i := range s.info.RingSize {
		s.fill.push(uint64(i * s.info.FrameSize))
	}
	s.fill.publish()
	s.lent = make([]uint64, 0, batch)
	s.packets = make([][]byte, 0, batch)
}

// shareOutSending cuts the second half into rooms, which are ours.
func (s *Socket) shareOutSending() {
	rooms := s.info.RingSize * s.info.FrameSize / s.info.RoomSize
	s.roomBits = bits.TrailingZeros(uint(s.info.RoomSize))
	s.entriesPerRoom = uint32(s.info.RoomSize / s.info.FrameSize)
	s.unused = make([]uint64, 0, rooms)
	s.rooms = make([]uint64, 0, rooms)
	s.holders = make([]holder, rooms)
	for i := range rooms {
		s.unused = append(s.unused, uint64(len(s.umem)-(i+1)*s.info.RoomSize))
	}
	if s.info.MultiBuffer {
		s.joined = newJoiner(s.info.MaxReceive)
	}
}

package xsk

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// bindPatience is how long Open waits for a queue that is still taken. The
	// kernel lets go of a closed socket's queue some 20 to 40 ms after close,
	// more under load, so a restart always meets this.
	bindPatience = 2 * time.Second
	bindRetry    = 10 * time.Millisecond
)

// bind attaches the socket to its queue and notes what came of it.
func (s *Socket) bind(c Config, index int) error {
	multi, err := bindPatiently(c, func(flags uint16) error {
		return unix.Bind(s.fd, &unix.SockaddrXDP{Flags: flags, Ifindex: uint32(index), QueueID: uint32(c.Queue)})
	})
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	s.info.NeedWakeup = true
	s.info.MultiBuffer = multi
	s.info.MaxReceive, s.info.RoomSize = c.oneChunk(), c.FrameSize
	if multi {
		s.info.MaxReceive, s.info.RoomSize = c.MaxFrame, c.chunksPerRoom()*c.FrameSize
	}
	return nil
}

// bindPatiently calls bind until it succeeds or will not, and tells whether
// frames may lie in several chunks. Without a copy or zero-copy flag the kernel
// itself tries zero-copy first.
func bindPatiently(c Config, bind func(flags uint16) error) (multi bool, err error) {
	flags := uint16(unix.XDP_USE_NEED_WAKEUP)
	switch {
	case c.Mode == ModeZeroCopy:
		flags |= unix.XDP_ZEROCOPY
	case c.Mode == ModeCopy, c.Generic:
		flags |= unix.XDP_COPY
	}
	if multi = c.MaxFrame > c.oneChunk(); multi {
		flags |= unix.XDP_USE_SG
	}
	deadline := time.Now().Add(bindPatience)
	for {
		err := bind(flags)
		switch {
		case err == nil:
			return multi, nil
		case err == unix.EINVAL && multi:
			// A flag it does not know, if the kernel is older than 6.6. If it
			// is something else, the next answer is the same.
			multi = false
			flags &^= unix.XDP_USE_SG
		case err == unix.EBUSY && time.Now().Before(deadline):
			time.Sleep(bindRetry)
		case err == unix.EBUSY:
			return false, fmt.Errorf("another socket holds the queue: %w", err)
		case err == unix.EOPNOTSUPP && c.Mode == ModeZeroCopy && multi:
			return false, fmt.Errorf("the driver has no zero-copy for frames of %d bytes: %w", c.MaxFrame, err)
		case err == unix.EOPNOTSUPP && c.Mode == ModeZeroCopy:
			return false, fmt.Errorf("the driver has no zero-copy: %w", err)
		case err != unix.EINTR:
			return false, err
		}
	}
}

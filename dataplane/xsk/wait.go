package xsk

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Waitable is a port that Wait can wait for.
type Waitable interface {
	// Waiting gives the descriptor that becomes readable with the next packet,
	// -1 when there is none; whether packets are there already; and, when it is
	// not 0, how soon the port wants another Flush.
	Waiting() (fd int, ready bool, retry time.Duration)
}

// Waiting implements Waitable.
func (s *Socket) Waiting() (fd int, ready bool, retry time.Duration) {
	if s.closed {
		return -1, false, 0
	}
	if s.Pending() {
		retry = s.pump.retry
	}
	return s.fd, s.rx.ready(1) > 0, retry
}

// maxSockets is how many sockets one Wait takes. A worker has two; a fixed
// number keeps the list of descriptors on the stack.
const maxSockets = 8

// Wake interrupts the Waits of one goroutine from any other.
type Wake struct {
	mu sync.Mutex // orders Wake and Close, so that no reused descriptor is written
	fd int        // an eventfd; -1 once closed

	// What is written and read. They stand here because in the race
	// detector's build they would escape from the stack.
	one   [8]byte
	count [8]byte
}

// NewWake returns a Wake that has not been called.
func NewWake() (*Wake, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	// Not 0 in either byte order, and less than the eventfd's limit.
	return &Wake{fd: fd, one: [8]byte{1}}, nil
}

// Wake makes the current Wait return, or the next one if none is under way.
// Several calls before that count as one. Any goroutine may call it.
func (w *Wake) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 {
		return
	}
	for {
		// EAGAIN means that the counter is full, which wakes just as well.
		if _, err := unix.Write(w.fd, w.one[:]); err != unix.EINTR {
			return
		}
	}
}

// Close releases the descriptor. No Wait may be using it. A second Close, and
// Wake afterwards, do nothing.
func (w *Wake) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		unix.Close(w.fd)
		w.fd = -1
	}
}

// drain makes the eventfd quiet again.
func (w *Wake) drain() {
	for {
		if _, err := unix.Read(w.fd, w.count[:]); err != unix.EINTR {
			return
		}
	}
}

// Wait blocks until a socket has packets, wake was called, or the timeout has
// passed; a negative timeout never passes. Wake may be nil. It returns earlier
// when a socket's TX ring still holds packets, because only another Flush gets
// those on their way: after about 1 ms when the device was full, 50 ms when it
// was down. So the loop around it is Recv, send, Flush, Wait, whatever woke it.
//
// It belongs to the goroutine that owns the sockets, at most 8 of them.
func Wait(timeout time.Duration, wake *Wake, sockets ...Waitable) {
	if len(sockets) > maxSockets {
		panic(fmt.Sprintf("xsk: Wait for %d sockets, %d are the most", len(sockets), maxSockets))
	}
	// The wake, if any, is first; closed sockets have descriptor -1, which
	// poll passes over.
	var list [1 + maxSockets]unix.PollFd
	list[0].Fd = -1
	if wake != nil {
		list[0] = unix.PollFd{Fd: int32(wake.fd), Events: unix.POLLIN}
	}
	for i, s := range sockets {
		fd, ready, retry := s.Waiting()
		if ready {
			return
		}
		if retry > 0 {
			timeout = sooner(timeout, retry)
		}
		list[1+i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	if sleep(timeout, list[:1+len(sockets)]) {
		wake.drain()
	}
}

// sleep polls until something is readable or the time is over, and tells
// whether the first entry is what was readable.
func sleep(timeout time.Duration, list []unix.PollFd) (woken bool) {
	start := time.Now()
	for {
		left := timeout
		if timeout >= 0 {
			left = max(timeout-time.Since(start), 0)
		}
		n, err := poll(left, list)
		switch {
		case err == unix.EINTR:
			// The runtime's own signals interrupt poll many times a second.
			if timeout >= 0 && time.Since(start) >= timeout {
				return false
			}
			continue
		case err != nil:
			// Only want of kernel memory is left. Not spinning helps it.
			time.Sleep(retryFull)
			return false
		case n == 0:
			return false
		}
		useful := false
		for i := range list {
			switch {
			case list[i].Revents&unix.POLLIN != 0:
				useful = true
			case list[i].Revents != 0:
				// POLLERR, POLLHUP and POLLNVAL cannot be masked and would
				// end every poll at once. This descriptor is left out of the
				// rest of this wait, which is kept short in case it recovers.
				list[i].Fd = -1
				timeout = sooner(timeout, time.Since(start)+retryDown)
			}
		}
		if useful {
			return list[0].Revents&unix.POLLIN != 0
		}
	}
}

// poll is ppoll, for its time in nanoseconds.
func poll(timeout time.Duration, list []unix.PollFd) (int, error) {
	if timeout < 0 {
		return unix.Ppoll(list, nil, nil)
	}
	limit := unix.NsecToTimespec(timeout.Nanoseconds())
	return unix.Ppoll(list, &limit, nil)
}

// sooner returns the shorter of two timeouts, of which a may be endless.
func sooner(a, b time.Duration) time.Duration {
	if a < 0 {
		return b
	}
	return min(a, b)
}

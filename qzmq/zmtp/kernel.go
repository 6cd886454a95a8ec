package zmtp

import (
	"net"
	"syscall"
	"unsafe"
)

// Calls to the kernel on connections that never make it wait. They are made without
// a word to Go's scheduler, which otherwise takes the processor away from a call that
// lasts 20 µs and gives it to another thread, and that is what the copy of a record
// or two lasts: its watching and handing over cost a relay a fifth of its time. What
// they keep waiting is the collector, for as long as such a copy.

// rawOf is the way to the kernel, nil where there is none.
func rawOf(nc net.Conn) syscall.RawConn {
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// writeNow writes what there is room for, or fails with EAGAIN. list is not empty.
func writeNow(fd uintptr, list []syscall.Iovec) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&list[0])), uintptr(len(list)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sink writes several slices to a connection in as few calls as there can be. One
// goroutine at a time uses it.
type sink struct {
	nc   net.Conn
	raw  syscall.RawConn // nil where there is none
	try  func(fd uintptr) bool
	wire net.Buffers // what is left
	list []syscall.Iovec
	err  error
}

// mostVector bounds the list for one call; the kernel takes 1,024.
const mostVector = 256

func newSink(nc net.Conn) *sink {
	s := &sink{nc: nc, raw: rawOf(nc)}
	s.try = s.tryWrite
	return s
}

// write writes all of wire, whose elements are used up.
func (s *sink) write(wire [][]byte) error {
	s.wire, s.err = wire, nil
	var err error
	if s.raw == nil {
		_, err = s.wire.WriteTo(s.nc)
	} else if err = s.raw.Write(s.try); err == nil {
		err = s.err
	}
	s.wire = nil
	return err
}

// tryWrite is false when the kernel takes no more yet.
func (s *sink) tryWrite(fd uintptr) bool {
	for {
		s.list = s.list[:0]
		for _, b := range s.wire {
			if len(s.list) == mostVector {
				break
			}
			if len(b) > 0 {
				s.list = append(s.list, syscall.Iovec{Base: &b[0]})
				s.list[len(s.list)-1].SetLen(len(b))
			}
		}
		if len(s.list) == 0 {
			return true
		}
		n, err := writeNow(fd, s.list)
		clear(s.list) // it would keep the memory that it points to
		switch err {
		case nil:
			s.written(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			s.err = err
			return true
		}
	}
}

// written takes n bytes off wire.
func (s *sink) written(n int) {
	for len(s.wire) > 0 && n >= len(s.wire[0]) {
		n -= len(s.wire[0])
		s.wire[0], s.wire = nil, s.wire[1:]
	}
	if n > 0 {
		s.wire[0] = s.wire[0][n:]
	}
}

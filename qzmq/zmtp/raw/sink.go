package raw

import (
	"net"
	"syscall"
	"unsafe"
)

// Conn is the way to the kernel, nil where there is none.
func Conn(nc net.Conn) syscall.RawConn {
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

// Sink writes several slices to a connection in as few calls as there can be. One
// goroutine at a time uses it.
type Sink struct {
	nc   net.Conn
	raw  syscall.RawConn // nil where there is none
	try  func(fd uintptr) bool
	wire [][]byte // what is left
	// buffers, where they are not nil, are for a connection that has a descriptor and is
	// not written to past the runtime.
	buffers *net.Buffers
	list    []syscall.Iovec
	err     error
}

// mostVector bounds the list for one call; the kernel takes 1,024.
const mostVector = 256

// NewSink makes one for a connection, also for one that has no descriptor.
func NewSink(nc net.Conn) *Sink {
	s := &Sink{nc: nc, raw: toWrite(nc)}
	s.try = s.tryWrite
	if s.raw == nil && Conn(nc) != nil {
		s.buffers = new(net.Buffers)
	}
	return s
}

// Write writes all of wire, whose elements are used up. Errors are those of nc, or the
// kernel's number.
func (s *Sink) Write(wire [][]byte) error {
	s.wire, s.err = wire, nil
	var err error
	if s.buffers != nil && len(wire) > 1 {
		*s.buffers = wire
		_, err = s.buffers.WriteTo(s.nc)
	} else if s.raw == nil {
		for i := 0; i < len(wire) && err == nil; i++ {
			_, err = s.nc.Write(wire[i])
			wire[i] = nil
		}
	} else if err = s.raw.Write(s.try); err == nil {
		err = s.err
	}
	s.wire = nil
	return err
}

// tryWrite is false when the kernel takes no more yet.
func (s *Sink) tryWrite(fd uintptr) bool {
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
func (s *Sink) written(n int) {
	for len(s.wire) > 0 && n >= len(s.wire[0]) {
		n -= len(s.wire[0])
		s.wire[0], s.wire = nil, s.wire[1:]
	}
	if n > 0 {
		s.wire[0] = s.wire[0][n:]
	}
}

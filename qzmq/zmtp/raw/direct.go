//go:build !race

package raw

import (
	"net"
	"syscall"
	"unsafe"
)

// Read reads what is there, or fails with EAGAIN. b is not empty.
func Read(fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// toWrite is the way on which a Sink writes.
func toWrite(nc net.Conn) syscall.RawConn { return Conn(nc) }

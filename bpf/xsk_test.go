package bpf

import (
	"os"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is the least AF_XDP socket that can receive: it fills its ring once
// and counts what has arrived.
type socket struct {
	fd       int
	rx       []byte // the mapped receive ring
	fill     []byte // the mapped fill ring
	umem     []byte
	producer *uint32 // frames the kernel has put into the receive ring
}

const (
	socketFrames    = 64
	socketFrameSize = 4096
)

// openSocket opens a socket on a queue of an interface in the namespace of the
// calling thread.
func openSocket(t *testing.T, ifindex, queue int) *socket {
	t.Helper()
	must := func(step string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("open AF_XDP socket: %s: %v", step, err)
		}
	}

	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	must("create", err)
	s := &socket{fd: fd}
	t.Cleanup(s.close)

	s.umem, err = unix.Mmap(-1, 0, socketFrames*socketFrameSize,
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	must("allocate", err)
	region := unix.XDPUmemReg{
		Addr: uint64(uintptr(unsafe.Pointer(&s.umem[0]))),
		Len:  uint64(len(s.umem)),
		Size: socketFrameSize,
	}
	must("register memory", sockopt(unix.SYS_SETSOCKOPT, fd, unix.XDP_UMEM_REG,
		unsafe.Pointer(&region), unsafe.Sizeof(region)))
	for _, ring := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_RX_RING} {
		must("size a ring", unix.SetsockoptInt(fd, unix.SOL_XDP, ring, socketFrames))
	}

	var offsets unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(offsets))
	must("find the rings", sockopt(unix.SYS_GETSOCKOPT, fd, unix.XDP_MMAP_OFFSETS,
		unsafe.Pointer(&offsets), uintptr(unsafe.Pointer(&size))))
	s.rx, err = unix.Mmap(fd, unix.XDP_PGOFF_RX_RING, int(offsets.Rx.Desc)+socketFrames*int(unsafe.Sizeof(unix.XDPDesc{})),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must("map the receive ring", err)
	s.fill, err = unix.Mmap(fd, unix.XDP_UMEM_PGOFF_FILL_RING, int(offsets.Fr.Desc)+socketFrames*8,
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must("map the fill ring", err)

	for i := range socketFrames {
		*(*uint64)(unsafe.Pointer(&s.fill[int(offsets.Fr.Desc)+8*i])) = uint64(i * socketFrameSize)
	}
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&s.fill[offsets.Fr.Producer])), socketFrames)
	s.producer = (*uint32)(unsafe.Pointer(&s.rx[offsets.Rx.Producer]))

	must("bind", unix.Bind(fd, &unix.SockaddrXDP{
		Flags: unix.XDP_COPY, Ifindex: uint32(ifindex), QueueID: uint32(queue),
	}))
	return s
}

// sockopt gets or sets an option of level SOL_XDP. The length is a number to set
// and a pointer to get.
func sockopt(call uintptr, fd, option int, value unsafe.Pointer, length uintptr) error {
	_, _, errno := unix.Syscall6(call, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(value), length, 0)
	if errno != 0 {
		return os.NewSyscallError("sockopt", errno)
	}
	return nil
}

// received returns how many frames have arrived so far.
func (s *socket) received() int { return int(atomic.LoadUint32(s.producer)) }

// close frees what was opened. To close twice is no error.
func (s *socket) close() {
	for _, mapping := range [][]byte{s.rx, s.fill, s.umem} {
		if mapping != nil {
			unix.Munmap(mapping)
		}
	}
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
	*s = socket{fd: -1}
}

package xsk

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls that golang.org/x/sys/unix has no typed wrapper for, and the views
// on memory shared with the kernel. Everything above this file sees slices,
// structs and atomics.

const hugePage = 2 << 20

// registerUMEM tells the kernel that memory is this socket's UMEM.
func registerUMEM(fd int, memory []byte, frameSize int) error {
	registration := unix.XDPUmemReg{
		Addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory)))),
		Len:  uint64(len(memory)),
		Size: uint32(frameSize),
	}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG,
		uintptr(unsafe.Pointer(&registration)), unsafe.Sizeof(registration), 0)
	return orNil(errno)
}

// getOption reads a struct-valued socket option of level SOL_XDP. An older
// kernel with a shorter struct leaves the rest zero.
func getOption[T any](fd, option int) (T, error) {
	var value T
	length := uint32(unsafe.Sizeof(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option),
		uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&length)), 0)
	return value, orNil(errno)
}

// mapRing maps the ring at the given page offset. The mapping is to be unmapped
// once the ring, which is a view into it, is no longer used.
func mapRing[T any](fd int, page int64, at unix.XDPRingOffset, size int) ([]byte, ring[T], error) {
	var entry T
	length := at.Desc + uint64(size)*uint64(unsafe.Sizeof(entry))
	mapping, err := unix.Mmap(fd, page, int(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, ring[T]{}, err
	}
	// Indexing the mapping is what keeps a wrong offset from becoming a wild
	// pointer.
	index := func(offset uint64) *atomic.Uint32 {
		return (*atomic.Uint32)(unsafe.Pointer(&mapping[offset : offset+4][0]))
	}
	return mapping, ring[T]{
		producer: index(at.Producer),
		consumer: index(at.Consumer),
		flags:    index(at.Flags),
		entries:  unsafe.Slice((*T)(unsafe.Pointer(&mapping[at.Desc])), size),
	}, nil
}

// mapUMEM returns fresh zeroed memory for the UMEM, a whole number of huge
// pages if those are wanted.
func mapUMEM(length int, huge bool) ([]byte, error) {
	flags := unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	if huge {
		length = (length + hugePage - 1) &^ (hugePage - 1)
		flags |= unix.MAP_HUGETLB
	}
	return unix.Mmap(-1, 0, length, unix.PROT_READ|unix.PROT_WRITE, flags)
}

// offsetIn returns how far into memory part begins. For a part of other memory
// it is some number that need not lie within.
func offsetIn(memory, part []byte) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(part))) - uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
}

// wakeSend asks the kernel to look at the TX ring.
func wakeSend(fd int) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}

// wakeReceive asks the kernel to look at the fill ring and, with busy polling,
// to run the driver's receive loop once.
func wakeReceive(fd int) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}

// ethtoolFlowHash is the part of struct ethtool_rxnfc that is about hash fields.
type ethtoolFlowHash struct {
	command uint32
	flow    uint32
	data    uint64
	_       [176]byte // what the other commands use, in case a kernel copies all of it
}

// askDriver makes an ethtool request of the interface's driver.
func askDriver(name string, request *ethtoolFlowHash) error {
	var to struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	if len(name) >= len(to.name) {
		return unix.ENODEV
	}
	copy(to.name[:], name)
	to.data = unsafe.Pointer(request)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&to)))
	return orNil(errno)
}

// orNil turns an errno into an error. A plain conversion would make a non-nil
// error of errno 0.
func orNil(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

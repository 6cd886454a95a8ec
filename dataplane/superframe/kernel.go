package superframe

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The two calls that golang.org/x/sys/unix has no wrapper for. They are the
// only uses of package unsafe here.

// message is the kernel's struct mmsghdr.
type message struct {
	unix.Msghdr
	length uint32 // of what was received or sent
	_      [4]byte
}

// receive is recvmmsg. It fills messages without waiting and gives their number.
func receive(fd int, messages []message) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(messages))),
		uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// send is sendmmsg. It gives the number of messages sent, or an error about the
// first one.
func send(fd int, messages []message) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(messages))),
		uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

package zmtp

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Either end of a connection asks the kernel to find out about a peer that is gone.
func TestKeepAlive(t *testing.T) {
	l, err := Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	called, err := Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer called.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	for name, conn := range map[string]net.Conn{"called": called, "accepted": accepted} {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		option := func(level, of, want int) {
			t.Helper()
			var got int
			var failed error
			if err := raw.Control(func(fd uintptr) { got, failed = unix.GetsockoptInt(int(fd), level, of) }); err != nil || failed != nil || got != want {
				t.Errorf("%s: option %d is %d, want %d; %v, %v", name, of, got, want, err, failed)
			}
		}
		option(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
		option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5)
		option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3)
	}
}

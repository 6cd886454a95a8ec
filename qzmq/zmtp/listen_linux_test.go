package zmtp

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Either end of a connection asks the kernel to find out about a peer that is gone, and
// not to pace where there is no network.
func TestConnectionOptions(t *testing.T) {
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
		raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION); err != nil || got != "reno" {
				t.Errorf("%s: the congestion control on the loopback is %q, %v, which may pace", name, got, err)
			}
		})
	}
}

func TestInside(t *testing.T) {
	for _, c := range []struct {
		near, far string
		want      bool
	}{
		{"127.0.0.1:1", "127.0.0.1:2", true},
		{"[::1]:1", "[::1]:2", true},
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:2", true},
		{"192.0.2.1:1", "192.0.2.2:2", false},
		{"[2001:db8::1]:1", "[2001:db8::2]:1", false},
	} {
		if got := inside(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.near)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.far))); got != c.want {
			t.Errorf("from %s to %s: %v, want %v", c.near, c.far, got, c.want)
		}
	}
	if inside(&net.UnixAddr{Name: "@a"}, &net.UnixAddr{Name: "@b"}) {
		t.Error("a unix socket has no congestion control")
	}
}

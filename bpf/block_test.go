package bpf

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func newBlock(t *testing.T, routes ...Route) *Block {
	t.Helper()
	b, err := LoadBlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.SetRoutes(routes); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBlockDecision sends the frames of steer_inside's table over a real wire.
// block_inside counts each at the same exit as steer_inside does, and a packet
// socket with the filter has it exactly when it is protected: by then block_inside
// has dropped it, so this also shows that the socket's copy is taken before.
func TestBlockDecision(t *testing.T) {
	near, far := newJumboVeth(t)
	b := newBlock(t, insideRoutes()...)
	checkBlocked(t, &b.blocking, near, far, insideDecisions())
}

// TestOutsideBlockDecision does so with the frames of steer_outside's table.
func TestOutsideBlockDecision(t *testing.T) {
	near, far := newJumboVeth(t)
	b := newOutsideBlock(t, outsideBoth())
	if err := b.AddSession(session); err != nil {
		t.Fatal(err)
	}
	checkBlocked(t, &b.blocking, near, far, outsideDecisions())
}

// The filter of the socket does not spend what a source may open.
func TestOutsideBlockLimit(t *testing.T) {
	near, far := newVeth(t)
	cfg := outsideBoth()
	cfg.SynRate, cfg.SynBurst = 1, 3
	b := newOutsideBlock(t, cfg)
	var all []decision
	for i, exit := range []string{"control_syn", "control_syn", "control_syn", "syn_rate_limited"} {
		all = append(all, decision{fmt.Sprintf("SYN %d", i+1), from4(peer4, protoTCP, tcp(40000, ourPort, tcpSYN)), exit})
	}
	checkBlocked(t, &b.blocking, near, far, all)
}

func newOutsideBlock(t *testing.T, cfg OutsideConfig) *OutsideBlock {
	t.Helper()
	b, err := LoadOutsideBlock(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// newJumboVeth is a wire for the longest extension headers, which do not fit into
// 1,500 bytes.
func newJumboVeth(t *testing.T) (near, far int) {
	t.Helper()
	near, far = newVeth(t)
	for _, index := range []int{near, far} {
		link, err := netlink.LinkByIndex(index)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetMTU(link, 9000); err != nil {
			t.Fatal(err)
		}
	}
	return near, far
}

// checkBlocked attaches a pair of programs to the near end of a wire, sends frames
// from the far end and expects what becomes of each.
func checkBlocked(t *testing.T, b *blocking, near, far int, decisions []decision) {
	t.Helper()
	if err := b.Attach(near); err != nil {
		t.Fatal(err)
	}
	wire, tap := packetSocket(t, far, 0), packetSocket(t, near, b.Filter())
	quiet(t, tap)
	for _, test := range decisions {
		if test.exit == "no_socket" {
			test.exit = "redirected"
		}
		before := exits(t, &b.counting)
		if err := unix.Sendto(wire, test.frame, 0, &unix.SockaddrLinklayer{Ifindex: far}); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		for exits(t, &b.counting)[test.exit] == before[test.exit] && time.Now().Before(deadline) {
			time.Sleep(50 * time.Microsecond)
		}
		after := exits(t, &b.counting)
		for name := range after {
			want := before[name]
			if name == test.exit {
				want++
			}
			// The kernel itself speaks IPv6 on a new wire, to nobody on a route.
			if after[name] != want && name != "local" && name != "no_route" && name != "not_ours" {
				t.Errorf("%s: %s is %d, want %d", test.name, name, after[name], want)
			}
		}
		got := make([]byte, 16384)
		n, _, err := unix.Recvfrom(tap, got, unix.MSG_DONTWAIT)
		switch protected := test.exit == "redirected"; {
		case protected && err != nil:
			t.Errorf("%s: not in the socket: %v", test.name, err)
		case !protected && err == nil:
			t.Errorf("%s: in the socket, %d bytes", test.name, n)
		}
	}
}

func exits(t *testing.T, c *counting) map[string]uint64 {
	t.Helper()
	counters, err := c.Counters()
	if err != nil {
		t.Fatal(err)
	}
	packets := map[string]uint64{}
	for _, one := range counters {
		packets[one.Name] = one.Packets
	}
	return packets
}

// packetSocket opens a packet socket on an interface; with a filter it receives.
func packetSocket(t *testing.T, ifindex, filter int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if filter == 0 {
		return fd
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, filter); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: unix.ETH_P_ALL << 8, Ifindex: ifindex}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// quiet demands that nothing has come to a socket yet.
func quiet(t *testing.T, fd int) {
	t.Helper()
	if n, _, err := unix.Recvfrom(fd, make([]byte, 64), unix.MSG_DONTWAIT); err == nil {
		t.Errorf("%d bytes came to a socket that nothing was sent to", n)
	}
}

// A program is on an interface once, whoever loaded it, and gone after Close.
func TestBlockAttach(t *testing.T) {
	near, far := newVeth(t)
	if err := HasTCX(); err != nil {
		t.Fatal(err)
	}
	first, second := newBlock(t), newBlock(t)
	for range 2 {
		if err := first.Attach(near); err != nil {
			t.Fatal(err)
		}
		if err := first.Attach(far); err == nil {
			t.Error("one program was attached twice")
		}
		if err := second.Attach(near); !errors.Is(err, ErrInterfaceTaken) {
			t.Errorf("a second program: %v, want that the interface is taken", err)
		}
		if err := first.link.Close(); err != nil {
			t.Fatal(err)
		}
		first.link = nil
		first, second = second, first
	}
	if err := second.Attach(near); err != nil {
		t.Fatal(err)
	}
	outside := newOutside(t, outsideBoth())
	for _, mode := range []AttachMode{AttachAuto, AttachNative, AttachGeneric} {
		if _, err := outside.Attach(near, mode); !errors.Is(err, ErrInterfaceTaken) {
			t.Errorf("an XDP program, %s: %v, want that the interface is taken", mode, err)
		}
	}
	if err := newOutsideBlock(t, outsideBoth()).Attach(near); !errors.Is(err, ErrInterfaceTaken) {
		t.Errorf("an outside's program: %v, want that the interface is taken", err)
	}
	if err := first.Attach(near + far + 1000); err == nil {
		t.Error("an interface that does not exist was accepted")
	}
}

package bpf

import (
	"errors"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// newVeth moves the test into a network namespace of its own, with one veth
// pair of two queues in it, and returns the index of either end. The namespace
// belongs to this goroutine's thread, which ends with the test because it is
// never unlocked; nothing stays behind. Subtests would run elsewhere.
func newVeth(t *testing.T) (near, far int) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("create network namespace: %v", err)
	}
	pair := &netlink.Veth{
		LinkAttrs:       netlink.LinkAttrs{Name: "near", NumRxQueues: 2, NumTxQueues: 2},
		PeerName:        "far",
		PeerNumRxQueues: 2,
		PeerNumTxQueues: 2,
	}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatalf("create veth pair: %v", err)
	}
	index := func(name string) int {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
		return link.Attrs().Index
	}
	return index("near"), index("far")
}

// xdpMode is the mode of the program on an interface, or "".
func xdpMode(t *testing.T, ifindex int) AttachMode {
	t.Helper()
	link, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		t.Fatal(err)
	}
	xdp := link.Attrs().Xdp
	if xdp == nil || !xdp.Attached {
		return ""
	}
	switch xdp.AttachMode {
	case 1:
		return AttachNative
	case 2:
		return AttachGeneric
	}
	t.Fatalf("the interface has an XDP program in mode %d", xdp.AttachMode)
	return ""
}

func TestAttach(t *testing.T) {
	near, _ := newVeth(t)
	for _, test := range []struct{ ask, get AttachMode }{
		{AttachAuto, AttachNative}, {AttachNative, AttachNative}, {AttachGeneric, AttachGeneric},
	} {
		first, err := LoadInside()
		if err != nil {
			t.Fatal(err)
		}
		mode, err := first.Attach(near, test.ask)
		if err != nil || mode != test.get {
			t.Fatalf("attach %s: mode %q, error %v, want mode %q", test.ask, mode, err, test.get)
		}
		if mode := xdpMode(t, near); mode != test.get {
			t.Errorf("attach %s: the kernel says %q, want %q", test.ask, mode, test.get)
		}
		if _, err := first.Attach(near, test.ask); err == nil {
			t.Error("one program was attached twice")
		}

		second := newOutside(t, outsideBoth())
		for _, ask := range []AttachMode{AttachAuto, AttachNative, AttachGeneric} {
			mode, err := second.Attach(near, ask)
			if !errors.Is(err, ErrInterfaceTaken) || mode != "" {
				t.Errorf("attach %s over %s: mode %q, error %v, want that the interface is taken", ask, test.get, mode, err)
			}
		}
		if mode := xdpMode(t, near); mode != test.get {
			t.Errorf("a refused program changed the mode to %q", mode)
		}

		if err := first.Close(); err != nil {
			t.Error(err)
		}
		if mode := xdpMode(t, near); mode != "" {
			t.Errorf("after Close a program is attached in mode %q", mode)
		}
		if mode, err := second.Attach(near, test.ask); err != nil || mode != test.get {
			t.Errorf("attach %s after Close: mode %q, error %v", test.ask, mode, err)
		}
		if err := second.steering.link.Close(); err != nil {
			t.Error(err)
		}
		second.steering.link = nil
	}
}

func TestAttachRefuses(t *testing.T) {
	near, far := newVeth(t)
	in := newInside(t)
	if _, err := in.Attach(near, "offload"); err == nil {
		t.Error("an unknown mode was accepted")
	}
	for _, mode := range []AttachMode{AttachAuto, AttachNative, AttachGeneric} {
		if mode, err := in.Attach(near+far+1000, mode); err == nil || mode != "" {
			t.Errorf("an interface that does not exist was accepted in mode %q", mode)
		}
	}
	for _, queue := range []int{-1, 64} {
		if err := in.Register(queue, 0); err == nil {
			t.Errorf("queue %d was accepted", queue)
		}
	}
	for _, fd := range []int{-1, 0} {
		if err := in.Register(0, fd); err == nil {
			t.Errorf("file %d was accepted as a socket", fd)
		}
	}
}

// Jumbo frames do not keep the programs out of the driver.
func TestAttachJumbo(t *testing.T) {
	near, far := newVeth(t)
	for _, index := range []int{near, far} {
		link, err := netlink.LinkByIndex(index)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetMTU(link, 9000); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*steering{&newInside(t).steering, &newOutside(t, outsideBoth()).steering} {
		mode, err := s.Attach(near, AttachAuto)
		if err != nil || mode != AttachNative {
			t.Errorf("attach with MTU 9000: mode %q, error %v", mode, err)
		}
		if err := s.link.Close(); err != nil {
			t.Error(err)
		}
		s.link = nil
	}
}

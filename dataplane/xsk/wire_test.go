package xsk

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// wire is a veth pair in a network namespace of its own, with a program on
// both ends that redirects every packet to the socket of its queue and drops
// what has none. The namespace has no name: it vanishes with the test's
// thread, even if the test is killed.
type wire struct {
	a, b   string
	toA    *ebpf.Map // XSKMAP of the program on a
	toB    *ebpf.Map
	native bool
}

const (
	queues  = 3
	wireMTU = 3420 // the largest that design and research ask of one chunk
)

// newWire makes a wire. The test stays on its thread from here on.
func newWire(t testing.TB, native bool) *wire {
	t.Helper()
	return newWireOf(t, native, wireMTU)
}

func newWireOf(t testing.TB, native bool, mtu int) *wire {
	t.Helper()
	runtime.LockOSThread()
	home, err := netns.Get()
	check(t, err)
	ours, err := netns.New()
	check(t, err)
	t.Cleanup(func() {
		check(t, netns.Set(home))
		home.Close()
		ours.Close()
		runtime.UnlockOSThread()
	})
	// Router solicitations and their like would arrive among our packets.
	for _, which := range []string{"all", "default"} {
		check(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0o644))
	}
	w := &wire{a: "xska", b: "xskb", native: native}
	check(t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: w.a, MTU: mtu, NumTxQueues: queues, NumRxQueues: queues},
		PeerName:  w.b, PeerMTU: uint32(mtu), PeerNumTxQueues: queues, PeerNumRxQueues: queues,
	}))
	for _, name := range []string{w.a, w.b} {
		out, err := exec.Command("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off").CombinedOutput()
		if err != nil {
			t.Fatalf("ethtool -K %s: %v\n%s", name, err, out)
		}
		w.up(t, name)
	}
	w.toA = w.steer(t, w.a)
	w.toB = w.steer(t, w.b)
	return w
}

// steer attaches the redirecting program to an end and returns its XSKMAP.
func (w *wire) steer(t testing.TB, name string) *ebpf.Map {
	t.Helper()
	sockets, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: queues})
	check(t, err)
	t.Cleanup(func() { sockets.Close() })
	const queueOffset, drop = 16, 1 // xdp_md.rx_queue_index, XDP_DROP
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:  ebpf.XDP,
		Flags: unix.BPF_F_XDP_HAS_FRAGS,
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, queueOffset, asm.Word),
			asm.LoadMapPtr(asm.R1, sockets.FD()),
			asm.Mov.Imm(asm.R3, drop),
			asm.FnRedirectMap.Call(),
			asm.Return(),
		},
	})
	check(t, err)
	defer program.Close()
	flags := link.XDPGenericMode
	if w.native {
		flags = link.XDPDriverMode
	}
	attached, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: w.link(t, name).Attrs().Index, Flags: flags})
	check(t, err)
	t.Cleanup(func() { attached.Close() })
	return sockets
}

// open opens a socket on one end and steers its queue to it.
func (w *wire) open(t testing.TB, name string, c Config) *Socket {
	t.Helper()
	c.Interface, c.Generic = name, !w.native
	s, err := Open(c)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	sockets := w.toA
	if name == w.b {
		sockets = w.toB
	}
	check(t, sockets.Put(uint32(c.Queue), uint32(s.FD())))
	return s
}

func (w *wire) link(t testing.TB, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	check(t, err)
	return l
}

func (w *wire) up(t testing.TB, name string) {
	t.Helper()
	check(t, netlink.LinkSetUp(w.link(t, name)))
}

func (w *wire) down(t testing.TB, name string) {
	t.Helper()
	check(t, netlink.LinkSetDown(w.link(t, name)))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// compose writes packet number seq: an Ethernet frame of a type nobody
// answers, the number, and bytes that differ with number and position.
func compose(packet []byte, seq uint64) {
	copy(packet, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5")
	binary.BigEndian.PutUint64(packet[14:], seq)
	state := seq*0x9e3779b97f4a7c15 + 1
	for i := 22; i < len(packet); i++ {
		state = state*6364136223846793005 + 1442695040888963407
		packet[i] = byte(state >> 56)
	}
}

func number(packet []byte) uint64 { return binary.BigEndian.Uint64(packet[14:]) }

// sizes cover the shortest frame, the MTUs in use, and the largest.
var sizes = []int{60, 61, 64, 127, 128, 590, 1514, 1518, wireMTU + 14}

// send commits and flushes packets first to first+n-1 and returns how many
// found room.
func send(s *Socket, first uint64, n int) int { return sendOf(s, sizes, first, n) }

func sendOf(s *Socket, sizes []int, first uint64, n int) int {
	for i := range n {
		room := s.Room()
		if room == nil {
			s.Flush()
			return i
		}
		seq := first + uint64(i)
		size := sizes[seq%uint64(len(sizes))]
		// Anywhere in the room is as good as at its start.
		frame := room[seq%200:][:size]
		compose(frame, seq)
		s.Commit(frame)
	}
	s.Flush()
	return n
}

// expect receives packets first to first+n-1, intact, in order, once each.
func expect(t testing.TB, s *Socket, first uint64, n int) {
	t.Helper()
	expectOf(t, s, sizes, first, n)
}

func expectOf(t testing.TB, s *Socket, sizes []int, first uint64, n int) {
	t.Helper()
	want := make([]byte, slices.Max(sizes))
	deadline := time.Now().Add(5 * time.Second)
	for got := 0; got < n; {
		if time.Now().After(deadline) {
			stats, _ := s.Stats()
			t.Fatalf("%d of %d packets arrived; %+v", got, n, stats)
		}
		packets := s.Recv()
		if len(packets) == 0 {
			Wait(10*time.Millisecond, nil, s)
		}
		for _, packet := range packets {
			seq := first + uint64(got)
			size := sizes[seq%uint64(len(sizes))]
			compose(want[:size], seq)
			if !bytes.Equal(packet, want[:size]) {
				t.Fatalf("packet %d: got number %d, %d bytes; want %d bytes", seq, number(packet), len(packet), size)
			}
			got++
		}
	}
	if extra := s.Recv(); len(extra) > 0 {
		t.Fatalf("%d packets more than were sent, the first is number %d", len(extra), number(extra[0]))
	}
}

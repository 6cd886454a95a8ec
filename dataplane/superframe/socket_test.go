package superframe

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// newVeth makes a veth pair, near and far, in a network namespace of its own, to
// which the test's thread belongs from here on. The namespace goes with it.
func newVeth(t testing.TB) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	check(t, unix.Unshare(unix.CLONE_NEWNET))
	for _, which := range []string{"all", "default"} {
		check(t, os.WriteFile("/proc/thread-self/root/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0o644))
	}
	check(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "near", MTU: 1500}, PeerName: "far", PeerMTU: 1500}))
	up(t, "near", "far")
}

// up sets interfaces up and waits until the kernel sends through them, which is a
// moment later.
func up(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		set(t, name, netlink.LinkSetUp)
	}
	for _, name := range []string{"near", "far"} {
		for late := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			link, err := netlink.LinkByName(name)
			check(t, err)
			if link.Attrs().OperState == netlink.OperUp {
				break
			}
			if time.Now().After(late) {
				t.Fatalf("%s does not come up", name)
			}
		}
	}
}

func set(t testing.TB, name string, to func(netlink.Link) error) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	check(t, err)
	check(t, to(link))
}

// openOn opens sockets that receive everything.
func openOn(t testing.TB, name string, n int) []*Socket {
	t.Helper()
	return openWith(t, Config{Interface: name, Sockets: n, RoomLen: 4096})
}

func openSealed(t testing.TB, name string, n int) []*Socket {
	t.Helper()
	return openWith(t, Config{Interface: name, Sockets: n, RoomLen: 1600, Sealed: true})
}

func openWith(t testing.TB, c Config) []*Socket {
	t.Helper()
	filter, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.SocketFilter,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
		License:      "GPL",
	})
	check(t, err)
	defer filter.Close()
	c.Filter = filter.FD()
	sockets, err := Open(c)
	check(t, err)
	t.Cleanup(func() {
		for _, s := range sockets {
			check(t, s.Close())
			check(t, s.Close())
		}
	})
	return sockets
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dispatch(t testing.TB, s *Socket, frames [][]byte) {
	t.Helper()
	for _, f := range frames {
		room := s.Room()
		if room == nil {
			t.Fatal("no room")
		}
		s.Commit(room[:copy(room, f)])
	}
	s.Flush()
}

// collect receives n frames, for which a busy machine gets some time, and what
// comes right behind them.
func collect(s *Socket, n int) (frames [][]byte) {
	late := time.Now().Add(5 * time.Second)
	for quiet := 0; quiet < 5 || len(frames) < n && time.Now().Before(late); quiet++ {
		got := s.Recv()
		if len(got) == 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		frames, quiet = append(frames, clones(got)...), 0
	}
	return frames
}

func offload(t testing.TB, name, feature, state string) {
	t.Helper()
	if out, err := exec.Command("ethtool", "-K", name, feature, state).CombinedOutput(); err != nil {
		t.Fatalf("ethtool -K %s %s %s: %v\n%s", name, feature, state, err, out)
	}
}

// TestThroughTheKernel sends segments and receives the same, byte for byte: in
// one piece where the interface allows it, and cut by the kernel where not.
func TestThroughTheKernel(t *testing.T) {
	newVeth(t)
	near, far := openOn(t, "near", 1)[0], openOn(t, "far", 1)[0]
	sends := map[string]segment{}
	for name, s := range supers() {
		if s.padding == 0 && !(s.udp && s.v6 && len(s.payload) == 0) {
			sends[name] = s
		}
	}
	for _, pieces := range []bool{true, false} {
		if !pieces {
			offload(t, "near", "tso", "off")
			offload(t, "near", "tx-udp-segmentation", "off")
		}
		for name, s := range sends {
			size := min(1448, 1500-40-20-len(s.options)-len(s.ipOptions)) &^ 7
			frames := s.cutPlainly(size)
			before, arrived := near.Stats(), far.Stats()
			dispatch(t, near, frames)
			same(t, name, collect(far, len(frames)), frames)
			sent, received := near.Stats(), far.Stats()
			n := uint64(len(frames))
			if sent.SentPackets-before.SentPackets != n || received.ReceivedPackets-arrived.ReceivedPackets != n {
				t.Errorf("%s: %d packets sent, %d received, want %d", name, sent.SentPackets-before.SentPackets, received.ReceivedPackets-arrived.ReceivedPackets, n)
			}
			merges := len(s.ipOptions) == 0 && 66+len(s.payload) <= maxSuperLen
			if got := sent.SentFrames - before.SentFrames; merges && got != 1 {
				t.Errorf("%s: sent in %d pieces", name, got)
			}
			if got := received.ReceivedFrames - arrived.ReceivedFrames; merges && pieces && got != 1 {
				t.Errorf("%s: received in %d pieces", name, got)
			}
		}
	}
}

// inject sends one frame with a virtio-net header as a host's stack would: what
// is open in it stays open on the way through the veth pair.
func inject(t *testing.T, fd int, v vnet, frame []byte) {
	t.Helper()
	var header [vnetLen]byte
	v.headerLen = 0 // as the kernel gives it, it is more than it takes for some
	v.write(&header)
	_, err := unix.Write(fd, append(header[:], frame...))
	check(t, err)
}

// TestSuperFramesArrive has the kernel carry every kind of super-frame, and plain
// frames whose checksum is open.
func TestSuperFramesArrive(t *testing.T) {
	newVeth(t)
	near, far := openOn(t, "near", 1)[0], openOn(t, "far", 1)[0]
	for name, s := range supers() {
		if s.padding > 0 || len(s.payload) <= 1448 || len(s.ipOptions) > 0 {
			continue
		}
		frame, v := s.super(1400)
		before := far.Stats()
		inject(t, near.fd, v, frame)
		want := s.cutPlainly(1400)
		same(t, name, collect(far, len(want)), want)
		if got := far.Stats().ReceivedFrames - before.ReceivedFrames; got != 1 && len(frame) <= maxSuperLen {
			t.Errorf("%s: arrived in %d pieces", name, got)
		}

		s.payload = s.payload[:1000]
		frame, v = s.super(1400)
		v.gso, v.size = gsoNone, 0
		inject(t, near.fd, v, frame)
		same(t, name, collect(far, 1), [][]byte{s.bytes()})
	}
}

// TestDamagedPacketArrivesDamaged: between segments that merge.
func TestDamagedPacketArrivesDamaged(t *testing.T) {
	newVeth(t)
	near, far := openOn(t, "near", 1)[0], openOn(t, "far", 1)[0]
	frames := plain(10 * 1448).cutPlainly(1448)
	frames[4][500] ^= 1
	dispatch(t, near, frames)
	same(t, "damaged", collect(far, len(frames)), frames)
	if got := near.Stats().SentFrames; got != 3 {
		t.Errorf("sent in %d pieces, want 3", got)
	}
}

// TestFlowsAreShared: every packet comes to one of the sockets, and a flow to
// only one.
func TestFlowsAreShared(t *testing.T) {
	newVeth(t)
	near, far := openOn(t, "near", 1)[0], openOn(t, "far", 2)
	const flows, each = 64, 4
	for round := range each {
		if round == each/2 { // an interface that was down keeps its group of sockets
			set(t, "far", netlink.LinkSetDown)
			up(t, "far")
		}
		var frames [][]byte
		for port := range uint16(flows) {
			s := plain(100)
			s.port = 1000 + port
			frames = append(frames, s.bytes())
		}
		dispatch(t, near, frames)
	}
	owner, total := map[uint16]int{}, 0
	for i, s := range far {
		got := collect(s, each)
		total += len(got)
		if len(got) == 0 {
			t.Errorf("socket %d got nothing", i)
		}
		for _, f := range got {
			port := uint16(f[34])<<8 | uint16(f[35])
			if was, ok := owner[port]; ok && was != i {
				t.Errorf("flow %d came to both sockets", port)
			}
			owner[port] = i
		}
	}
	if total != flows*each {
		t.Errorf("%d packets arrived, want %d", total, flows*each)
	}
}

// TestTrouble: what the kernel refuses is counted by its name, and a socket
// outlives its interface going down.
func TestTrouble(t *testing.T) {
	newVeth(t)
	near, far := openOn(t, "near", 1)[0], openOn(t, "far", 1)[0]
	refused := func(s *Socket, why Refusal, want uint64) {
		t.Helper()
		if got := s.Stats().Refused[why]; got != want {
			t.Errorf("%v is %d, want %d: %+v", why, got, want, s.Stats())
		}
	}
	good := plain(100).bytes()
	dispatch(t, near, [][]byte{good, plain(1600).bytes(), good})
	same(t, "around one that is too long", collect(far, 2), [][]byte{good, good})
	refused(near, sendTooLong, 1)

	set(t, "near", netlink.LinkSetDown)
	dispatch(t, near, plain(3*1448).cutPlainly(1448))
	refused(near, sendDown, 3)
	near.Recv()
	refused(near, down, 1)
	up(t, "near")
	dispatch(t, near, [][]byte{good})
	same(t, "after", collect(far, 1), [][]byte{good})
	dispatch(t, far, [][]byte{good})
	same(t, "back", collect(near, 1), [][]byte{good})

	set(t, "near", netlink.LinkDel)
	dispatch(t, near, [][]byte{good})
	refused(near, sendGone, 1)
	near.Recv()
	far.Recv()
}

// TestFullReceiver: what finds no place in the socket's buffer is counted.
func TestFullReceiver(t *testing.T) {
	newVeth(t)
	near, far := openOn(t, "near", 1)[0], openOn(t, "far", 1)[0]
	check(t, unix.SetsockoptInt(far.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<16))
	frames := plain(40 * 1448).cutPlainly(1448)
	for range 10 {
		dispatch(t, near, frames)
	}
	got := collect(far, len(frames))
	lost := far.Stats().ReceiveDropped
	if lost == 0 || len(got) == 0 || uint64(len(got)/len(frames))+lost != 10 {
		t.Errorf("%d packets arrived and %d super-frames were counted as lost, of 10 of %d", len(got), lost, len(frames))
	}
	check(t, far.Close())
	if far.Stats().ReceiveDropped != lost || far.Recv() != nil || far.Room() != nil {
		t.Error("a closed socket is not quiet, or has forgotten")
	}
}

// TestRooms: each is another, all of the length asked for, until Flush.
func TestRooms(t *testing.T) {
	newVeth(t)
	near := openOn(t, "near", 1)[0]
	for range 2 {
		seen := map[*byte]bool{}
		for room := near.Room(); room != nil; room = near.Room() {
			if len(room) != 4096 || seen[&room[0]] {
				t.Fatal("a room too short or lent twice")
			}
			seen[&room[0]] = true
		}
		if len(seen) != maxRooms {
			t.Errorf("%d rooms", len(seen))
		}
		near.Flush()
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a Commit without a room was accepted")
			}
		}()
		near.Commit(bytes.Repeat([]byte{1}, 60))
	}()
}

func TestNothingAllocates(t *testing.T) {
	newVeth(t)
	near, far := openOn(t, "near", 1)[0], openOn(t, "far", 1)[0]
	frames := append(plain(60000).cutPlainly(1448), plain(100).bytes())
	other := plain(60000)
	other.v6 = true
	frames = append(frames, other.cutPlainly(1000)...)
	got := 0
	allocs := testing.AllocsPerRun(100, func() {
		for _, f := range frames {
			room := near.Room()
			near.Commit(room[:copy(room, f)])
		}
		near.Flush()
		for {
			packets := far.Recv()
			if len(packets) == 0 {
				break
			}
			got += len(packets)
		}
	})
	if allocs != 0 || got < 50*len(frames) {
		t.Errorf("%v allocations per burst; %d packets arrived", allocs, got)
	}
}

package controlplane

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/qzmq/gateway/dataplane"
)

func TestResolverSurvivesInterface(t *testing.T) {
	l := newKernelLab(t)
	w := l.resolve(nil)
	h1 := l.mac("h1", "eth0")
	w.await(insideSide, "10.1.0.2", dataplane.NewHop(h1, l.mac("gw", "eth1")), 10*time.Second)

	before := w.publications()
	l.do("gw", "ip link set eth1 mtu 9000")
	w.until(10*time.Second, "the MTU is not told", func() bool { return w.mtu(insideSide) == 9000 && w.publications() > before })

	l.do("gw", "ip link set eth1 down")
	w.until(10*time.Second, "the hop outlives its interface", func() bool {
		_, ok := w.published(-1, insideSide, "10.1.0.2")
		return !ok
	})
	l.do("gw", "ip link set eth1 up")
	w.await(insideSide, "10.1.0.2", dataplane.NewHop(h1, l.mac("gw", "eth1")), 6*time.Second)

	index := w.index(insideSide)
	l.do("gw", "ip link del eth1")
	w.until(10*time.Second, "the lost interface is not noticed", func() bool { return w.index(insideSide) == 0 && w.mtu(insideSide) == 0 })
	l.connect("eth1", "h1", 1)
	w.await(insideSide, "10.1.0.2", dataplane.NewHop(l.mac("h1", "eth0"), l.mac("gw", "eth1")), 6*time.Second)
	if w.index(insideSide) == index || w.mac(insideSide) != l.mac("gw", "eth1") || w.mtu(insideSide) != 1500 {
		t.Errorf("index %d (was %d), mac %x, mtu %d", w.index(insideSide), index, w.mac(insideSide), w.mtu(insideSide))
	}
}

// A host that is not there costs a few ARP packets and next to no time, and is
// forgotten; a peer is not.
func TestResolverUnknownHost(t *testing.T) {
	l := newKernelLab(t)
	w := l.resolve(nil)
	dead, peer := netip.MustParseAddr("10.1.0.77"), netip.MustParseAddr("10.2.0.77")
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	w.want(outsideSide, peer)
	w.want(insideSide, dead)
	start := cpu()
	time.Sleep(patience + 1500*time.Millisecond)
	used := cpu() - start
	t.Logf("%v of CPU in %v", used, patience+1500*time.Millisecond)
	if used > 200*time.Millisecond {
		t.Errorf("waiting for an answer took %v of CPU", used)
	}
	if n := w.publications(); n != 1 {
		t.Errorf("%d publications, of which only the first has a reason", n)
	}
	w.mu.Lock()
	w.resolver.mu.Lock()
	_, deadKnown := w.known[insideSide][dead]
	_, peerKnown := w.known[outsideSide][peer]
	w.resolver.mu.Unlock()
	w.mu.Unlock()
	if deadKnown || !peerKnown {
		t.Errorf("dead host known: %t, peer known: %t", deadKnown, peerKnown)
	}
	// Both appear. Only the host must be asked for again.
	l.do("h1", "ip addr add 10.1.0.77/24 dev eth0")
	l.do("h2", "ip addr add 10.2.0.77/24 dev eth0")
	w.await(insideSide, "10.1.0.77", dataplane.NewHop(l.mac("h1", "eth0"), l.mac("gw", "eth1")), 2*time.Second)
	w.until(patience+2*time.Second, "the peer is not asked for again", func() bool {
		_, ok := w.published(-1, outsideSide, "10.2.0.77")
		return ok
	})
	w.forget(peer)
	w.until(10*time.Second, "the peer is not forgotten", func() bool {
		_, ok := w.published(-1, outsideSide, "10.2.0.77")
		return !ok
	})
}

// When notices are lost, what they told is read from the kernel's tables.
func TestResolverLostNotices(t *testing.T) {
	l := newKernelLab(t)
	w := l.resolve(func(r *resolver) {
		if err := r.socket.SetReceiveBufferSize(4096, false); err != nil {
			t.Fatal(err)
		}
	})
	ours := l.mac("gw", "eth1")
	w.await(insideSide, "10.1.0.2", dataplane.NewHop(l.mac("h1", "eth0"), ours), 10*time.Second)
	var hold sync.Mutex
	hold.Lock()
	w.held.Store(&hold)
	l.do("gw", "ip neigh replace 10.1.0.3 lladdr 02:00:00:00:bb:03 nud permanent dev eth1")
	w.want(insideSide, netip.MustParseAddr("10.1.0.3")) // its publication is held
	time.Sleep(50 * time.Millisecond)
	for i := range 400 {
		l.do("gw", fmt.Sprintf("ip neigh replace 10.1.0.%d lladdr 02:00:00:00:cc:03 nud permanent dev eth1", 100+i%100))
	}
	l.do("gw", "ip neigh replace 10.1.0.2 lladdr 02:00:00:00:bb:02 nud permanent dev eth1")
	hold.Unlock()
	w.await(insideSide, "10.1.0.2", dataplane.NewHop([6]byte{2, 0, 0, 0, 0xbb, 2}, ours), 10*time.Second)
	if !strings.Contains(w.logs.String(), "notices were lost") {
		t.Error("no notice was lost, so this test has shown nothing")
	}
}

// Many answers at once are few publications.
func TestResolverCoalesces(t *testing.T) {
	l := newKernelLab(t)
	l.do("gw", "ip route add 10.9.0.0/16 via 10.1.0.2")
	w := l.resolve(nil)
	hop := dataplane.NewHop(l.mac("h1", "eth0"), l.mac("gw", "eth1"))
	w.await(insideSide, "10.9.255.1", hop, 10*time.Second)
	const many = 5000
	start, before := time.Now(), w.publications()
	w.until(10*time.Second, "not all are resolved", func() bool {
		for i := range many { // those that did not fit into the queue, too
			w.want(insideSide, netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}))
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.seen[len(w.seen)-1][insideSide]) == many+1
	})
	took, n := time.Since(start), w.publications()-before
	t.Logf("%d destinations in %v, %d publications", many, took.Round(time.Millisecond), n)
	if most := int(took/publishGap) + 2; n > most {
		t.Errorf("%d publications in %v, want at most %d", n, took, most)
	}
}

func TestResolverWantIsBounded(t *testing.T) {
	l := newKernelLab(t)
	l.in("gw", func() {
		r, err := newResolver(nil, "eth1", "eth2", nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.close()
		for i := range 3 * tableLimit {
			a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			r.want(insideSide, a)
			r.want(outsideSide, a)
		}
		for s, limit := range [sides]int{insideQueueLimit, tableLimit} {
			if len(r.queue[s]) != limit || len(r.known[s]) != limit {
				t.Errorf("%s: %d in the queue, %d known, want %d", side(s), len(r.queue[s]), len(r.known[s]), limit)
			}
		}
		again := netip.MustParseAddr("10.0.0.1")
		if n := testing.AllocsPerRun(100, func() { r.want(insideSide, again) }); n != 0 {
			t.Errorf("a duplicate allocates %v times", n)
		}
		if _, err := newResolver(nil, "eth1", "eth9", nil); err == nil || !strings.Contains(err.Error(), "eth9") {
			t.Errorf("a missing interface gives %v", err)
		}
	})
}

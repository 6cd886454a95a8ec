package controlplane

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/qzmq/gateway/dataplane"
)

func TestResolverFinds(t *testing.T) {
	l := newKernelLab(t)
	l.do("gw", "ip route add 10.9.0.0/16 via 10.1.0.2")
	l.do("gw", "ip route add 10.8.0.0/16 via inet6 fd00:1::2")
	l.do("gw", "ip route add fd00:9::/32 via fd00:1::2")

	inside := dataplane.NewHop(l.mac("h1", "eth0"), l.mac("gw", "eth1"))
	outside := dataplane.NewHop(l.mac("h2", "eth0"), l.mac("gw", "eth2"))
	w := l.resolve(nil)
	for _, tt := range []struct {
		name string
		side side
		addr string
		hop  dataplane.Hop
	}{
		{"neighbour", insideSide, "10.1.0.2", inside},
		{"neighbour, IPv6", insideSide, "fd00:1::2", inside},
		{"behind a router", insideSide, "10.9.1.2", inside},
		{"behind a router, IPv6", insideSide, "fd00:9::5", inside},
		{"IPv4 behind an IPv6 router", insideSide, "10.8.3.4", inside},
		{"peer", outsideSide, "10.2.0.2", outside},
		{"peer, IPv6", outsideSide, "fd00:2::2", outside},
	} {
		start := time.Now()
		w.want(tt.side, netip.MustParseAddr(tt.addr))
		w.await(tt.side, tt.addr, tt.hop, 10*time.Second)
		t.Logf("%s: %v", tt.name, time.Since(start).Round(100*time.Microsecond))
	}
}

func TestResolverFindsOnVLAN(t *testing.T) {
	l := newKernelLab(t)
	l.needVLAN()
	l.do("gw", "ip link add link eth1 name eth1.100 address 02:00:00:00:01:00 type vlan id 100")
	l.do("gw", "ip link add link eth1 name outer type vlan proto 802.1ad id 200")
	l.do("gw", "ip link add link outer name inner type vlan id 300")
	l.do("h1", "ip link add link eth0 name eth1.100 type vlan id 100")
	l.do("h1", "ip link add link eth0 name outer type vlan proto 802.1ad id 200")
	l.do("h1", "ip link add link outer name inner type vlan id 300")
	for i, ns := range []string{"gw", "h1"} {
		for _, device := range []string{"eth1.100", "outer", "inner"} {
			l.do(ns, "ip link set "+device+" up")
		}
		l.do(ns, fmt.Sprintf("ip addr add 10.100.0.%d/24 dev eth1.100", i+1))
		l.do(ns, fmt.Sprintf("ip addr add 10.30.0.%d/24 dev inner", i+1))
	}
	l.do("gw", "ip route add 10.7.0.0/16 via 10.100.0.2")
	w := l.resolve(nil)
	vlan := dataplane.NewHop(l.mac("h1", "eth1.100"), [6]byte{2, 0, 0, 0, 1, 0}, 100)
	w.await(insideSide, "10.100.0.2", vlan, 10*time.Second)
	w.await(insideSide, "10.7.0.1", vlan, 10*time.Second)
	w.await(insideSide, "10.30.0.2", dataplane.NewHop(l.mac("h1", "inner"), l.mac("gw", "inner"), 200, 300), 10*time.Second)
	l.do("gw", "ip link del eth1.100")
	w.until(10*time.Second, "the hop outlives its VLAN", func() bool {
		_, ok := w.published(-1, insideSide, "10.100.0.2")
		return !ok
	})
}

// The way to a peer may depend on the address our packets come from.
func TestResolverPolicyRoute(t *testing.T) {
	l := newKernelLab(t)
	l.do("gw", "ip rule add from 10.2.0.1 lookup 100")
	l.do("gw", "ip route add default via 10.2.0.2 table 100")
	w := l.resolve(func(r *resolver) { r.source = netip.MustParseAddr("10.2.0.1") })
	hop := dataplane.NewHop(l.mac("h2", "eth0"), l.mac("gw", "eth2"))
	w.await(outsideSide, "192.0.2.1", hop, 10*time.Second)
	w.await(outsideSide, "fd00:2::2", hop, 10*time.Second)
	l.do("gw", "ip rule del from 10.2.0.1")
	w.until(10*time.Second, "the removed rule is not followed", func() bool {
		_, ok := w.published(-1, outsideSide, "192.0.2.1")
		return !ok
	})
}

// An address that the kernel would not reach through the side is refused, even
// if the interface could send to it.
func TestResolverRefuses(t *testing.T) {
	l := newKernelLab(t)
	l.do("gw", "ip route add default via 10.1.0.2")
	l.do("gw", "ip route add 10.9.0.0/16 via 10.2.0.2")
	l.do("gw", "ip route add blackhole 10.8.0.0/16")
	w := l.resolve(nil)
	refused := []question{
		{insideSide, netip.MustParseAddr("10.2.0.2")},     // another side's neighbour
		{insideSide, netip.MustParseAddr("10.9.0.2")},     // another side's router
		{insideSide, netip.MustParseAddr("10.8.0.2")},     // nobody's
		{insideSide, netip.MustParseAddr("10.1.0.1")},     // our own
		{insideSide, netip.MustParseAddr("10.1.0.255")},   // broadcast
		{insideSide, netip.MustParseAddr("127.0.0.1")},    // loopback
		{insideSide, netip.MustParseAddr("224.0.0.5")},    // multicast
		{insideSide, netip.MustParseAddr("fd00:77::1")},   // no route
		{outsideSide, netip.MustParseAddr("10.1.0.2")},    // a peer inside
		{outsideSide, netip.MustParseAddr("192.0.2.1")},   // by the default route
		{insideSide, netip.MustParseAddr("fe80::1%eth1")}, // link-local
		{outsideSide, netip.MustParseAddr("0.0.0.0")},
	}
	for _, q := range refused {
		w.want(q.side, q.addr)
	}
	w.await(insideSide, "192.0.2.1", dataplane.NewHop(l.mac("h1", "eth0"), l.mac("gw", "eth1")), 10*time.Second)
	for i := range w.publications() {
		for _, q := range refused {
			if _, ok := w.published(i, q.side, q.addr.String()); ok {
				t.Errorf("%s %s was published", q.side, q.addr)
			}
		}
	}
	// A route that appears turns the refusal round.
	l.do("gw", "ip route add 10.8.7.0/24 via 10.1.0.2")
	w.await(insideSide, "10.8.7.1", dataplane.NewHop(l.mac("h1", "eth0"), l.mac("gw", "eth1")), 10*time.Second)
	l.do("gw", "ip route replace 10.9.0.0/16 via 10.1.0.2")
	w.until(10*time.Second, "the changed route is not followed", func() bool {
		_, ok := w.published(-1, insideSide, "10.9.0.2")
		return ok
	})
	// And one that leads elsewhere withdraws the answer.
	l.do("gw", "ip route replace 10.9.0.0/16 via 10.2.0.2")
	w.until(10*time.Second, "the answer is not withdrawn", func() bool {
		_, ok := w.published(-1, insideSide, "10.9.0.2")
		return !ok
	})
}

func TestResolverFollowsNeighbours(t *testing.T) {
	l := newKernelLab(t)
	l.do("gw", "sysctl -qw net.ipv4.neigh.eth1.locktime=0")
	l.do("h1", "sysctl -qw net.ipv4.conf.eth0.arp_notify=1")
	l.do("gw", "ip route add 10.9.0.0/16 via 10.1.0.2")
	w := l.resolve(nil)
	ours := l.mac("gw", "eth1")
	first := dataplane.NewHop(l.mac("h1", "eth0"), ours)
	w.await(insideSide, "10.1.0.2", first, 10*time.Second)
	w.await(insideSide, "10.9.0.1", first, 10*time.Second)

	// The host announces another address; nobody asks again.
	l.do("h1", "ip link set eth0 address 02:00:00:00:aa:01")
	moved := dataplane.NewHop([6]byte{2, 0, 0, 0, 0xaa, 1}, ours)
	w.until(10*time.Second, "the announced address is not followed", func() bool {
		a, _ := w.published(-1, insideSide, "10.1.0.2")
		b, _ := w.published(-1, insideSide, "10.9.0.1")
		return a == moved && b == moved
	})

	// The entry is deleted while the host does not answer: withdrawn. When it
	// answers again, the question is still open.
	l.do("h1", "sysctl -qw net.ipv4.conf.eth0.arp_notify=0 net.ipv4.conf.eth0.arp_ignore=8")
	l.do("gw", "ip neigh del 10.1.0.2 dev eth1")
	w.until(10*time.Second, "the deleted neighbour is still in use", func() bool {
		_, a := w.published(-1, insideSide, "10.1.0.2")
		_, b := w.published(-1, insideSide, "10.9.0.1")
		return !a && !b
	})
	l.do("h1", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=0")
	w.until(2*time.Second, "the neighbour is not found again", func() bool {
		a, _ := w.published(-1, insideSide, "10.1.0.2")
		b, _ := w.published(-1, insideSide, "10.9.0.1")
		return a == moved && b == moved
	})
}

// A host that changed its address in silence is found by the probes that the
// resolver has the kernel send, although no packet of the kernel's goes there.
func TestResolverConfirmsSilent(t *testing.T) {
	t.Parallel()
	l := newKernelLab(t)
	l.do("gw", "sysctl -qw net.ipv4.neigh.eth1.delay_first_probe_time=1 net.ipv4.neigh.eth1.retrans_time_ms=100")
	w := l.resolve(nil)
	ours := l.mac("gw", "eth1")
	w.await(insideSide, "10.1.0.2", dataplane.NewHop(l.mac("h1", "eth0"), ours), 10*time.Second)
	// When the kernel lets an entry go stale is its own affair, so it is told to.
	old := l.mac("h1", "eth0")
	l.do("gw", "ip neigh replace 10.1.0.2 lladdr "+net.HardwareAddr(old[:]).String()+" dev eth1 nud stale")
	l.do("h1", "ip link set eth0 address 02:00:00:00:aa:02")
	start := time.Now()
	w.await(insideSide, "10.1.0.2", dataplane.NewHop([6]byte{2, 0, 0, 0, 0xaa, 2}, ours), confirmEvery+15*time.Second)
	t.Logf("found after %v", time.Since(start).Round(time.Millisecond))
}

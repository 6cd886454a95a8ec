package main_test

import (
	"strings"
	"testing"
	"time"
)

// TestInterfaceDownUp: a gateway whose outside goes down and comes back under
// traffic carries on, without a restart.
func TestInterfaceDownUp(t *testing.T) { testDownUp(t, newTestbed(t, "")) }

func testDownUp(t *testing.T, b *testbed, settings ...string) {
	a, z := b.linked(settings...)
	leaks := b.onWire((*frame).inClear)
	pings := b.crossfire()
	b.answered(pings, 5*time.Second, "traffic flows")

	b.run("gw-a", "ip", "link", "set", "dev", "eth2", "down")
	b.during(500 * time.Millisecond)
	b.run("gw-a", "ip", "link", "set", "dev", "eth2", "up")
	back := b.answered(pings, 10*time.Second, "traffic is back")
	b.within(10*time.Second, "the link is ready", func() bool { return a.ready() && z.ready() })
	t.Logf("traffic back %v after the interface", back.Round(time.Millisecond))
	a.running()
	z.running()
	for _, f := range leaks.all() {
		t.Errorf("in clear on the wire: %v", f)
	}
}

// TestNeighbourMoves: a host gets another network card. The kernel does not see
// the packets that the gateway carries, and learns of it all the same.
func TestNeighbourMoves(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "-neighbour")
	b.linked()
	p := b.pinging("host-a", hostB4, 50)
	b.answered([]pinger{p}, 5*time.Second, "traffic flows")

	t.Run("and says so", func(t *testing.T) {
		b.run("host-b", "sysctl", "-qw", "net.ipv4.conf.eth1.arp_notify=1")
		b.run("host-b", "ip", "link", "set", "dev", "eth1", "address", "02:00:00:00:00:b1")
		back := b.answered([]pinger{p}, 3*time.Second, "traffic is back after an announcement")
		t.Logf("traffic back after %v", back.Round(time.Millisecond))
	})
	t.Run("and is silent", func(t *testing.T) {
		// As patient as the kernel is by default, this would take a minute.
		b.run("gw-b", "sysctl", "-qw", "net.ipv4.neigh.eth1.base_reachable_time_ms=1000", "net.ipv4.neigh.eth1.delay_first_probe_time=1")
		b.run("host-b", "sysctl", "-qw", "net.ipv4.conf.eth1.arp_notify=0")
		b.run("host-b", "ip", "link", "set", "dev", "eth1", "address", "02:00:00:00:00:b2")
		back := b.answered([]pinger{p}, 40*time.Second, "traffic is back without an announcement")
		t.Logf("traffic back after %v", back.Round(time.Millisecond))
		if out := b.run("gw-b", "ip", "neigh", "show", hostB4, "dev", "eth1"); !strings.Contains(out, "02:00:00:00:00:b2") {
			t.Errorf("gateway B's kernel knows %s", out)
		}
	})
}

// TestGenericMode: where the driver has no XDP of its own, everything works the
// same, and the mode in force is shown.
func TestGenericMode(t *testing.T) {
	b := newTestbed(t, "")
	a, z := b.linked("QZMQ_GATEWAY_ATTACH=generic")
	for _, d := range []*daemon{a, z} {
		m := d.metrics()
		if n := m.count("qzmq_socket_info", `attach="generic"`); n != 4 || n != m.count("qzmq_socket_info") {
			t.Errorf("gateway %s shows %d sockets in generic mode, not 4", d.at.name, n)
		}
		for _, device := range []string{"eth1", "eth2"} {
			if out := b.run(d.at.gateway, "ip", "link", "show", "dev", device); !strings.Contains(out, "xdpgeneric") {
				t.Errorf("the kernel does not show generic mode: %s", out)
			}
		}
	}
	if !b.ping("host-a", hostB6) {
		t.Error("no ping")
	}
	l := b.exchange(siteB, siteA, "rep", "req", 5555, "--count", "60")
	t.Logf("%d messages, %d bytes, %.2f s", l.Messages, l.Bytes, l.Seconds)
	wire := b.onWire(nil)
	b.exchange(siteA, siteB, "pull", "push", 5556, "--count", "60")
	for _, f := range wire.all() {
		if !expected(f) {
			t.Errorf("on the wire, and not ours: %v", f)
		}
	}
}

package main_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestWireMTU: the wire's MTU is all that has to be set for large packets, up to
// the last byte. 3,818 is the most that one AF_XDP chunk holds with two VLAN
// tags; from there on a frame lies in several.
func TestWireMTU(t *testing.T) {
	for _, c := range []struct {
		mtu      int
		maxFrame string // longest that the sockets take
		attach   string
	}{
		{1500, "3840", "native"}, {3420, "3840", "native"}, {3818, "3840", "native"},
		{3819, "3841", "native"}, {9000, "9022", "native"}, {9000, "9022", "generic"},
	} {
		t.Run(fmt.Sprint(c.mtu, " ", c.attach), func(t *testing.T) {
			mtu := strconv.Itoa(c.mtu)
			b := newTestbed(t, "-mtu", "TESTBED_MTU="+mtu, "TESTBED_INSIDE_MTU="+mtu)
			a, z := b.linked("QZMQ_GATEWAY_ATTACH=" + c.attach)
			for _, d := range []*daemon{a, z} {
				if m := d.metrics(); m.count("qzmq_socket_info", `max_frame="`+c.maxFrame+`"`) != 4 {
					t.Errorf("gateway %s does not show max_frame %s on its 4 sockets", d.at.name, c.maxFrame)
				}
			}
			for _, from := range []site{siteA, siteB} {
				for _, to := range []string{from.other().host4, from.other().host6} {
					// Once neighbours are known, nothing has to wait for them.
					b.within(5*time.Second, "an answer from "+to, func() bool { return b.ping(from.host, to) })
				}
			}
			before := map[*daemon]metrics{a: a.metrics(), z: z.metrics()}
			for _, from := range []site{siteA, siteB} {
				b.edge(from, from.other().host4, c.mtu-60, 28)
				b.edge(from, from.other().host6, c.mtu-60, 48)
			}
			b.transfer(siteA, siteB)
			b.transfer(siteB, siteA)
			for _, d := range []*daemon{a, z} {
				for name, n := range d.metrics().since(before[d]) {
					if isDrop(name) && !inMove(name, n) && !strings.Contains(name, `reason="too_big"`) ||
						strings.Contains(name, `event="too_long"`) || strings.Contains(name, `event="receive_dropped"`) {
						t.Errorf("gateway %s: %s is %v", d.at.name, name, n)
					}
				}
			}
		})
	}
}

// edge expects that packets of just mtu bytes pass from a host, and that the
// host is told when they are longer by one. They have headers before ping's own
// data.
func (b *testbed) edge(from site, to string, mtu, headers int) {
	b.t.Helper()
	ping := func(size int) (string, error) {
		return b.try(from.host, "ping", "-n", "-c", "3", "-i", "0.02", "-w", "5", "-M", "do", "-s", strconv.Itoa(size), to)
	}
	if out, err := ping(mtu - headers); err != nil { // fewer than three answers
		b.t.Errorf("packets of %d bytes from %s to %s do not pass:\n%s", mtu, from.host, to, out)
	}
	out, _ := ping(mtu - headers + 1)
	told := strings.Contains(out, fmt.Sprintf("mtu = %d", mtu)) || strings.Contains(out, fmt.Sprintf("mtu=%d", mtu))
	if !told || strings.Contains(out, "bytes from") {
		b.t.Errorf("a packet of %d bytes from %s to %s was not refused as too big:\n%s", mtu+1, from.host, to, out)
	}
}

// transfer sends 30 MB by TCP.
func (b *testbed) transfer(from, to site) {
	b.t.Helper()
	server := b.spawn(to.host, "iperf3", "-s", "-1", "-B", to.host4, "-p", "5201")
	b.within(5*time.Second, "iperf3 listens", func() bool {
		out, err := b.try(to.host, "ss", "-Hltn", "sport", "=", ":5201")
		return err == nil && out != ""
	})
	if out, err := b.try(from.host, "timeout", "20", "iperf3", "-c", to.host4, "-p", "5201", "-n", "30M"); err != nil {
		b.t.Errorf("30 MB from %s to %s: %v\n%s", from.host, to.host, err, out)
	}
	server.wait(5 * time.Second)
}

// TestFramesLongerThanTheMTU: a wire that carries more than when the gateway
// started costs those packets, by name, and no others.
func TestFramesLongerThanTheMTU(t *testing.T) {
	b := newTestbed(t, "-long", "TESTBED_MTU=9000", "TESTBED_INSIDE_MTU=9000")
	a, z := b.linked()
	for _, ns := range []string{"host-a", "gw-a"} {
		b.run(ns, "ip", "link", "set", "dev", "eth1", "mtu", "30000")
	}
	for range 3 {
		if out, _ := b.try("host-a", "ping", "-n", "-c", "1", "-W", "0.2", "-M", "dont", "-s", "20000", hostB4); strings.Contains(out, "bytes from") {
			t.Error("a frame longer than the sockets take has passed")
		}
	}
	if long := a.metrics().sum("qzmq_socket_events_total", `side="inside"`, `event="too_long"`); long != 3 {
		t.Errorf("%v frames counted as too long, want 3", long)
	}
	b.edge(siteA, hostB4, 9000-60, 28)
	a.running()
	z.running()
}

// TestWireMTUBeyondAFXDP: an interface may allow more than AF_XDP takes in the 16
// chunks of a room. That is said at the start, peers are told the less, and it
// passes to the last byte.
func TestWireMTUBeyondAFXDP(t *testing.T) {
	const most = 65258
	b := newTestbed(t, "-most", "TESTBED_MTU=65535", "TESTBED_INSIDE_MTU=65535")
	a, _ := b.linked()
	if lines := a.out.lines("level=WARN", "mtu=65535", fmt.Sprint("most=", most)); len(lines) != 2 {
		t.Errorf("of eth1 and eth2 was said:\n%s", strings.Join(lines, "\n"))
	}
	b.edge(siteA, hostB4, most-60, 28)
	b.edge(siteB, hostA6, most-60, 48)
	b.transfer(siteA, siteB)
}

package main_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestNetwork looks at the link with the eyes of a host: it is two routers on
// the way, and behaves like them.
func TestNetwork(t *testing.T) {
	b := newTestbed(t, "")
	a, z := b.linked()

	t.Run("link is up", func(t *testing.T) {
		for _, d := range []*daemon{a, z} {
			m := d.metrics()
			if m.count("qzmq_link_up") != 1 || m.sum("qzmq_link_up", `link="site-`+d.at.other().name+`"`) != 1 {
				t.Errorf("gateway %s does not show its link as up", d.at.name)
			}
			if m.count("qzmq_aead_provider_info") != 1 {
				t.Errorf("gateway %s does not show what seals", d.at.name)
			}
			if m.handshakes() < 1 {
				t.Errorf("gateway %s shows no handshake", d.at.name)
			}
		}
	})
	t.Run("hosts know nothing", func(t *testing.T) {
		for _, host := range []string{"host-a", "host-b"} {
			for _, family := range []string{"-4", "-6"} {
				for _, dst := range routesVia(t, b, host, family) {
					if dst != "default" {
						t.Errorf("%s has a route to %s by way of a gateway", host, dst)
					}
				}
			}
		}
	})
	t.Run("ping", func(t *testing.T) {
		for _, to := range []string{hostB4, hostB6} {
			if out, err := b.try("host-a", "ping", "-n", "-c", "5", "-i", "0.02", "-w", "5", to); err != nil {
				t.Errorf("ping %s: %v\n%s", to, err, out)
			}
		}
	})
	t.Run("hops", func(t *testing.T) {
		for _, tc := range []struct{ from, to, ttl, hop string }{
			{"host-a", hostB4, "1", insideA4}, {"host-a", hostB4, "2", insideB4},
			{"host-a", hostB6, "1", insideA6}, {"host-a", hostB6, "2", insideB6},
			{"host-b", hostA4, "1", insideB4}, {"host-b", hostA4, "2", insideA4},
			{"host-b", hostA6, "1", insideB6}, {"host-b", hostA6, "2", insideA6},
		} {
			out, _ := b.try(tc.from, "ping", "-n", "-c", "1", "-W", "2", "-t", tc.ttl, tc.to)
			low := strings.ToLower(out)
			if !strings.Contains(low, "from "+tc.hop) || !strings.Contains(low, "exceeded") {
				t.Errorf("a packet of %s to %s with %s hops did not end at %s:\n%s", tc.from, tc.to, tc.ttl, tc.hop, out)
			}
		}
		if out, err := b.try("host-a", "ping", "-n", "-c", "1", "-W", "2", "-t", "3", hostB4); err != nil {
			t.Errorf("three hops are not enough: %v\n%s", err, out)
		}
	})
	t.Run("path MTU", func(t *testing.T) { testPathMTU(t, b) })
	t.Run("fragments", func(t *testing.T) {
		// Larger than the hosts' own MTU, so the host splits, and then the
		// gateway splits what the host did not know to be too large.
		if out, err := b.try("host-a", "ping", "-n", "-c", "3", "-i", "0.05", "-w", "5", "-M", "dont", "-s", "4000", hostB4); err != nil {
			t.Errorf("fragments do not pass: %v\n%s", err, out)
		}
		// IPv6 routers split nothing, so host B learns the path's MTU from its
		// first answer, which is lost.
		b.within(5*time.Second, "IPv6 fragments pass", func() bool {
			out, _ := b.try("host-a", "ping", "-n", "-c", "1", "-W", "1", "-s", "4000", hostB6)
			return strings.Contains(out, "4008 bytes from "+hostB6)
		})
	})
}

// mtuInside is what is left of 1,500 bytes for a packet between hosts: the outer
// IPv4 header, the UDP header, the record's header and tag are 60.
const mtuInside = "1440"

func testPathMTU(t *testing.T, b *testbed) {
	for _, tc := range []struct{ family, to, fits, tooBig string }{
		{"-4", hostB4, "1412", "1413"}, // 28 bytes of headers
		{"-6", hostB6, "1392", "1393"}, // 48
	} {
		dontSplit := func(size string) string {
			out, _ := b.try("host-a", "ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", size, tc.to)
			return out
		}
		if out := dontSplit(tc.fits); !strings.Contains(out, "1 received") {
			t.Errorf("ping %s of %s bytes: it fits, and does not pass:\n%s", tc.to, tc.fits, out)
		}
		out := dontSplit(tc.tooBig)
		if !strings.Contains(out, "mtu = "+mtuInside) && !strings.Contains(out, "mtu="+mtuInside) || strings.Contains(out, "1 received") {
			t.Errorf("ping %s of %s bytes: the host was not told the MTU:\n%s", tc.to, tc.tooBig, out)
		}
		if out := b.run("host-a", "ip", tc.family, "route", "get", tc.to); !strings.Contains(out, "mtu "+mtuInside) {
			t.Errorf("the host has not learnt the MTU: %s", out)
		}
	}
}

// routesVia gives the destinations that a host reaches by way of a router.
func routesVia(t *testing.T, b *testbed, host, family string) (destinations []string) {
	t.Helper()
	var routes []struct{ Dst, Gateway string }
	if err := json.Unmarshal([]byte(b.run(host, "ip", "-j", family, "route", "show")), &routes); err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if r.Gateway != "" {
			destinations = append(destinations, r.Dst)
		}
	}
	if len(destinations) == 0 {
		t.Errorf("%s has no route with a router at all", host)
	}
	return destinations
}

package main_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// xdp says whether an XDP program is attached to an interface of a gateway.
func (b *testbed) xdp(s site, device string) bool {
	b.t.Helper()
	var links []struct {
		XDP *struct{} `json:"xdp"`
	}
	out := b.run(s.gateway, "ip", "-j", "link", "show", "dev", device)
	if err := json.Unmarshal([]byte(out), &links); err != nil || len(links) != 1 {
		b.t.Fatalf("ip link show dev %s: %v\n%s", device, err, out)
	}
	return links[0].XDP != nil
}

// tcx says whether a TCX program is attached to an interface of a gateway.
func (b *testbed) tcx(s site, device string) (attached bool) {
	b.t.Helper()
	err := b.enter(s.gateway, func() error {
		index, err := interfaceIndex(device)
		if err != nil {
			return err
		}
		found, err := link.QueryPrograms(link.QueryOptions{Target: int(index), Attach: ebpf.AttachTCXIngress})
		if err == nil {
			attached = len(found.Programs) > 0
		}
		return err
	})
	if err != nil {
		b.t.Fatalf("ask for the programs of %s: %v", device, err)
	}
	return attached
}

// crossfire is traffic in all directions: each host pings the other, over IPv4
// and IPv6.
func (b *testbed) crossfire() (pings []pinger) {
	b.t.Helper()
	for _, s := range []site{siteA, siteB} {
		for _, to := range []string{s.other().host4, s.other().host6} {
			pings = append(pings, b.pinging(s.host, to, 50))
		}
	}
	return pings
}

// answered waits until every ping has more answers than it had.
func (b *testbed) answered(pings []pinger, limit time.Duration, what string) time.Duration {
	b.t.Helper()
	had := make([]int, len(pings))
	for i, p := range pings {
		had[i] = p.replies()
	}
	return b.within(limit, what, func() bool {
		for i, p := range pings {
			if p.replies() < had[i]+2 {
				return false
			}
		}
		return true
	})
}

// TestCrash kills one gateway and then the other under traffic. What they
// protect does not cross in clear, although the kernels forward and have
// routes, and the link is back by itself when the gateway is.
func TestCrash(t *testing.T) {
	b := newTestbed(t, "")
	testCrash(t, b, func(s site) (in, out bool) { return b.xdp(s, "eth1"), b.xdp(s, "eth2") })
}

// testCrash does so with gateways of these settings; attached says whether the
// programs of their two sides are.
func testCrash(t *testing.T, b *testbed, attached func(site) (in, out bool), settings ...string) {

	// Before any gateway has run there is no guard, and plaintext crosses.
	control := b.onWire((*frame).inClear)
	for _, to := range []string{hostB4, hostB6} {
		if !b.ping("host-a", to) {
			t.Fatalf("the careless kernels do not forward to %s", to)
		}
	}
	if n := len(control.all()); n < 4 {
		t.Fatalf("%d frames in clear without a gateway: this test cannot find a leak", n)
	}

	daemons := map[site]*daemon{}
	daemons[siteA], daemons[siteB] = b.linked(settings...)
	leaks := b.onWire((*frame).inClear)
	pings := b.crossfire()
	b.answered(pings, 5*time.Second, "traffic flows")
	for _, killed := range []site{siteB, siteA} {
		t.Run("kill "+killed.name, func(t *testing.T) {
			if in, out := attached(killed); !in || !out {
				t.Fatal("a program is missing on a running gateway")
			}
			daemons[killed].kill()
			gone := b.within(500*time.Millisecond, "the programs are gone", func() bool { in, out := attached(killed); return !in && !out })

			// Both hosts go on, and what they send ends at a gateway.
			sent := map[site]*capture{}
			for _, s := range []site{siteA, siteB} {
				from4, from6 := netip.MustParseAddr(s.host4), netip.MustParseAddr(s.host6)
				sent[s] = b.capture(s.host, "eth1", func(f *frame) bool { return f.src == from4 || f.src == from6 })
			}
			before := 0
			for _, p := range pings {
				before += p.replies()
			}
			b.within(10*time.Second, "both hosts have sent enough to find a leak in", func() bool {
				return len(sent[siteA].all()) >= 50 && len(sent[siteB].all()) >= 50
			})
			after := 0
			for _, p := range pings {
				after += p.replies()
			}
			if after != before {
				t.Errorf("%d pings were answered with gateway %s dead", after-before, killed.name)
			}

			start := time.Now()
			daemons[killed] = b.gateway(killed, settings...)
			back := b.answered(pings, 5*time.Second, "traffic is back in both directions")
			daemons[killed].awaitReady()
			daemons[killed.other()].awaitReady()
			t.Logf("programs gone after %v; traffic back %v after the restart, links ready after %v",
				gone.Round(time.Millisecond), back.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
			for _, f := range leaks.all() {
				t.Errorf("in clear on the wire: %v", f)
			}
		})
	}
}

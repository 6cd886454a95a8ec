package bpf

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// limited allows burst SYNs, and one more each interval.
func limited(t *testing.T, burst int, interval time.Duration) *Outside {
	t.Helper()
	config, err := outsideBoth().compile()
	if err != nil {
		t.Fatal(err)
	}
	config.SynIntervalNs = uint64(interval)
	config.SynBurstNs = config.SynIntervalNs * uint64(burst-1)
	return newSlowOutside(t, config)
}

func TestOutsideSynLimit(t *testing.T) {
	out := limited(t, 5, time.Hour)
	syn := tcp(40000, ourPort, tcpSYN)

	sources := map[string]func() []byte{
		"first v4":             func() []byte { return from4("192.0.2.10", protoTCP, syn) },
		"second v4":            func() []byte { return from4("192.0.2.11", protoTCP, syn) },
		"v6":                   func() []byte { return from6("2001:db8:1::1", protoTCP, syn) },
		"v6 next network":      func() []byte { return from6("2001:db8:1:1::1", protoTCP, syn) },
		"v6 that looks like 4": func() []byte { return from6("::ffff:192.0.2.10", protoTCP, syn) },
	}
	for name, frame := range sources {
		for i := range 5 {
			run(t, &out.steering, fmt.Sprintf("%s, SYN %d", name, i+1), frame(), "control_syn")
		}
		run(t, &out.steering, name+", one more", frame(), "syn_rate_limited")
		run(t, &out.steering, name+", and another", frame(), "syn_rate_limited")
	}
	run(t, &out.steering, "same v6 network", from6("2001:db8:1:0:ffff::9", protoTCP, syn), "syn_rate_limited")
	run(t, &out.steering, "established", from4("192.0.2.10", protoTCP, tcp(40000, ourPort, tcpACK)), "control")
	run(t, &out.steering, "other port", from4("192.0.2.10", protoTCP, tcp(40000, 22, tcpSYN)), "not_ours")
}

// A refused SYN must not cost a token: one comes back an interval after the
// first was spent, however many were refused since.
func TestOutsideSynTokenComesBack(t *testing.T) {
	const interval = 3 * time.Second // far longer than the steps between take
	out := limited(t, 1, interval)
	syn := from4(peer4, protoTCP, tcp(40000, ourPort, tcpSYN))
	run(t, &out.steering, "first", syn, "control_syn")
	for range 3 {
		run(t, &out.steering, "at once", syn, "syn_rate_limited")
	}
	time.Sleep(interval + 100*time.Millisecond)
	run(t, &out.steering, "an interval later", syn, "control_syn")
	run(t, &out.steering, "and again", syn, "syn_rate_limited")
}

// A burst of one is one, not none.
func TestOutsideSynNoBurst(t *testing.T) {
	out := limited(t, 1, time.Hour)
	syn := from4(peer4, protoTCP, tcp(40000, ourPort, tcpSYN))
	run(t, &out.steering, "first", syn, "control_syn")
	run(t, &out.steering, "second", syn, "syn_rate_limited")
}

// The default lets a burst through whose SYNs come faster than tokens do.
func TestOutsideSynDefault(t *testing.T) {
	out := newOutside(t, outsideBoth())
	syn := from4(peer4, protoTCP, tcp(40000, ourPort, tcpSYN))
	for i := range DefaultSynBurst {
		run(t, &out.steering, fmt.Sprintf("SYN %d", i+1), syn, "control_syn")
	}
	config, err := OutsideConfig{Addresses: []netip.Addr{netip.MustParseAddr(our4)}, Port: 1}.compile()
	if err != nil {
		t.Fatal(err)
	}
	if config.SynIntervalNs != 50_000_000 || config.SynBurstNs != 99*50_000_000 {
		t.Errorf("the default is one in %d ns and %d ns ahead, want 20 a second and 100 at once",
			config.SynIntervalNs, config.SynBurstNs)
	}
}

package dataplane

import (
	"encoding/binary"
	"slices"
	"testing"
)

// A stream that is rerouted leaves from another port and arrives all the same;
// nothing else about it changes, and the port outlives a rotation of keys.
func TestReroute(t *testing.T) {
	n := newNetwork(t, plan{})
	port := func() uint16 {
		wire := one(t, n.a.sends(udpPacket(n.a.host4, n.b.host4, nil)))
		_, _, _, segment := upper(packetOf(t, wire, n.b.outsideMAC, n.a.outsideMAC, nil))
		one(t, n.b.hears(wire))
		return binary.BigEndian.Uint16(segment)
	}
	seen := []uint16{port()}
	for range 5000 {
		if !n.a.engine.Reroute(n.a.link, 0) {
			t.Fatal("refused")
		}
		p := n.a.engine.SourcePorts(n.a.link)[0]
		if p < firstSourcePort || p == seen[len(seen)-1] {
			t.Fatalf("port %d after %d", p, seen[len(seen)-1])
		}
		seen = append(seen, p)
	}
	if got := port(); got != seen[len(seen)-1] {
		t.Errorf("sent from port %d, want %d", got, seen[len(seen)-1])
	}
	connect(t, n.a, n.b, n.plan, 7)
	if got := port(); got != seen[len(seen)-1] {
		t.Errorf("sent from port %d after a rotation, want %d", got, seen[len(seen)-1])
	}
	if n.a.engine.Reroute(n.a.link, 1) || n.a.engine.Reroute("no link", 0) {
		t.Error("what does not exist was rerouted")
	}
	slices.Sort(seen)
	if distinct := len(slices.Compact(seen)); distinct < 4000 {
		t.Errorf("%d ports in 5,000 moves", distinct)
	}
}

func TestArrivals(t *testing.T) {
	n := newNetwork(t, plan{})
	if got := n.b.engine.Arrivals(n.b.session); !slices.Equal(got, []Arrival{{Queue: -1}}) {
		t.Errorf("before the first record %v", got)
	}
	wire := one(t, n.a.sends(udpPacket(n.a.host4, n.b.host4, nil)))
	forged := slices.Clone(wire)
	forged[len(forged)-1] ^= 1
	n.b.hears(forged)
	if got := n.b.engine.Arrivals(n.b.session); !slices.Equal(got, []Arrival{{Queue: -1}}) {
		t.Errorf("after a forged record %v", got)
	}
	n.b.hears(wire)
	if got := n.b.engine.Arrivals(n.b.session); !slices.Equal(got, []Arrival{{Queue: 0, Records: 1}}) {
		t.Errorf("after one record %v", got)
	}
	if got := n.b.engine.Arrivals(n.b.session + 1); got != nil {
		t.Errorf("of no session %v", got)
	}
}

package dataplane

import (
	"net/netip"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// Packets of one batch for one link share a record as far as they fit, keep
// their order, and arrive as if each had come by itself.
func TestPacketsShareRecords(t *testing.T) {
	for _, outer6 := range []bool{false, true} {
		n := newNetwork(t, plan{outer6: outer6, shares: true})
		s4, d4, s6, d6 := n.a.host4, n.b.host4, n.a.host6, n.b.host6
		small := func(b byte) []byte { return udpPacket(s4, d4, []byte{b}) }
		full := n.a.engine.links[n.a.link].path.Load().mtu
		for _, c := range []struct {
			name    string
			packets [][]byte
			records int
		}{
			{"one", [][]byte{small(1)}, 1},
			{"three", [][]byte{small(1), udpPacket(s6, d6, []byte{2}), small(3)}, 1},
			{"to the last byte", [][]byte{small(1), udpPacket(s4, d4, padded(full-29-28))}, 1},
			{"a byte too many", [][]byte{small(1), udpPacket(s4, d4, padded(full-29-27))}, 2},
			{"a full one between", [][]byte{small(1), udpPacket(s4, d4, padded(full-28)), small(3)}, 3},
			{"halves", [][]byte{udpPacket(s4, d4, padded(700)), udpPacket(s4, d4, padded(700)), udpPacket(s4, d4, padded(200))}, 2},
			{"other ECN bits", [][]byte{
				small(1), ip{src: s4, dst: d4, ecn: ecnCapable0, protocol: 17}.around(padded(9)),
				ip{src: s4, dst: d4, ecn: ecnCapable0, protocol: 17}.around(padded(8)), small(4)}, 3},
		} {
			for _, p := range c.packets {
				put(t, n.a.host, n.a.frame(p))
			}
			before := n.b.engine.Stats()[0]
			n.a.step()
			wire := take(n.a.wire)
			if len(wire) != c.records {
				t.Errorf("outer6=%v %s: %d records, want %d", outer6, c.name, len(wire), c.records)
			}
			got := n.b.hears(wire...)
			if len(got) != len(c.packets) {
				t.Fatalf("outer6=%v %s: %d packets arrived of %d", outer6, c.name, len(got), len(c.packets))
			}
			for i := range got {
				same(t, got[i], c.packets[i], 2)
			}
			after := n.b.engine.Stats()[0]
			if shared := after.SharedIn - before.SharedIn; int(shared) != len(c.packets)-c.records {
				t.Errorf("outer6=%v %s: %d packets counted as shared", outer6, c.name, shared)
			}
		}
		if a, b := n.a.engine.Stats()[0], n.b.engine.Stats()[0]; a.SharedOut != b.SharedIn || a.Out != b.In {
			t.Errorf("sealed %+v, opened %+v", a, b)
		}
		n.a.wantDrops(nil)
		n.b.wantDrops(nil)
	}
}

// A peer that has not agreed gets one packet in each record.
func TestNoSharingUnasked(t *testing.T) {
	n := newNetwork(t, plan{})
	p := n.a.frame(udpPacket(n.a.host4, n.b.host4, nil))
	put(t, n.a.host, p, p, p)
	n.a.step()
	if wire := take(n.a.wire); len(wire) != 3 {
		t.Errorf("%d records for 3 packets", len(wire))
	}
}

// Several links at once, in turns: each has its open record.
func TestLinksShareApart(t *testing.T) {
	n := newNetwork(t, plan{shares: true})
	n.a.engine.SetRoutes(map[string][]netip.Prefix{n.a.link: n.b.prefixes(), "other": {netip.MustParsePrefix("10.77.0.0/16")}})
	id, err := n.a.engine.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.a.engine.Open(id, "other", []*record.Opener{nil}); err != nil {
		t.Fatal(err)
	}
	if err := n.a.engine.Install(id, Path{
		Local: n.a.outer, Peer: netip.AddrPortFrom(n.b.outer, 5581), WireMTU: 1500, Shares: true,
		Sealers: []*record.Sealer{record.NewSealer(testKeys(record.AES256GCM, 99), 5, 0)},
	}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		put(t, n.a.host, n.a.frame(udpPacket(n.a.host4, n.b.host4, []byte{byte(i)})),
			n.a.frame(udpPacket(n.a.host4, netip.MustParseAddr("10.77.0.1"), nil)))
	}
	n.a.step()
	wire := take(n.a.wire)
	if len(wire) != 2 {
		t.Fatalf("%d records for two links", len(wire))
	}
	got := n.b.hears(wire...)
	if len(got) != 20 {
		t.Fatalf("%d packets arrived of 20", len(got))
	}
	for i := range got {
		if got[i][28] != byte(i) {
			t.Errorf("packet %d arrived in the place of %d", got[i][28], i)
		}
	}
}

// What shared a record whose key is at its end is counted, each packet.
func TestSharedDropsAreCountedEach(t *testing.T) {
	n := newNetwork(t, plan{shares: true})
	keys := testKeys(record.AES256GCM, 50).Lower(record.Limits{MaxRecords: 1, RotateRecords: 1, FirstRecords: 1})
	n.a.install(n.b, n.plan, n.a.session, record.NewSealer(keys, n.b.session, 0))
	p := n.a.frame(udpPacket(n.a.host4, n.b.host4, nil))
	for range 300 { // nobody prepares a third key
		put(t, n.a.host, p, p, p)
		n.a.step()
	}
	sent := len(take(n.a.wire))
	if dropped := n.a.drops()[DropKeyExhausted]; dropped != uint64(3*(300-sent)) || dropped == 0 {
		t.Errorf("%d records were sent, %d packets counted as dropped", sent, dropped)
	}
}

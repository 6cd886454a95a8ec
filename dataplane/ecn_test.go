package dataplane

import (
	"bytes"
	"net/netip"
	"testing"
)

// RFC 6040 section 4.1: the outer header gets the inner one's bits, and nothing
// of its differentiated services.
func TestECNCopiedOutside(t *testing.T) {
	for _, outer6 := range []bool{false, true} {
		n := newNetwork(t, plan{outer6: outer6})
		for _, ends := range [][2]netip.Addr{{n.a.host4, n.b.host4}, {n.a.host6, n.b.host6}} {
			for ecn := range byte(4) {
				sent := ip{src: ends[0], dst: ends[1], protocol: 17, ecn: ecn}.around(udp(ends[0], ends[1], nil))
				if ends[0].Is4() {
					sent[1] |= 0xb8 // expedited forwarding
				} else {
					sent[0] |= 0x0b
					sent[1] |= 0x80
				}
				sent = routed(sent, 0)
				wire := one(t, n.a.sends(sent))
				outer := packetOf(t, wire, n.b.outsideMAC, n.a.outsideMAC, nil)
				sound(t, outer)
				traffic := outer[1]
				if outer6 {
					traffic = outer[0]<<4 | outer[1]>>4
				}
				if traffic != ecn {
					t.Errorf("outer traffic class %#x for inner ECN %d", traffic, ecn)
				}
				same(t, one(t, n.b.hears(wire)), sent, 2)
			}
		}
	}
}

// RFC 6040, figure 4: what leaves the tunnel for each pair of inner and outer
// bits. -1 is a drop.
func TestECNDecapsulation(t *testing.T) {
	figure := [4][4]int{ // [inner][outer], each not-ECT, ECT(1), ECT(0), CE
		{0, 0, 0, -1},
		{1, 1, 1, 3},
		{2, 1, 2, 3},
		{3, 3, 3, 3},
	}
	for _, outer6 := range []bool{false, true} {
		n := newNetwork(t, plan{outer6: outer6})
		peer := newPeer(t, n.b)
		dropped := uint64(0)
		for _, ends := range [][2]netip.Addr{{n.a.host4, n.b.host4}, {n.a.host6, n.b.host6}} {
			for inner, row := range figure {
				for outer, want := range row {
					build := func(ecn int) []byte {
						p := ip{src: ends[0], dst: ends[1], protocol: 17, ecn: byte(ecn)}.around(udp(ends[0], ends[1], []byte("x")))
						if ends[0].Is6() {
							p[0], p[1] = p[0]|0x0b, p[1]|0x8c // neighbours of the bits stay
						} else {
							p[1] |= 0xb8
						}
						return routed(p, 0)
					}
					got := n.b.hears(peer.enclose(peer.record(build(inner)), byte(outer)))
					if want < 0 {
						none(t, got)
						dropped++
						continue
					}
					if want := routed(build(want), 1); len(got) != 1 || !bytes.Equal(got[0], want) {
						t.Errorf("inner %d, outer %d:\n got %x\nwant %x", inner, outer, got, want)
					}
				}
			}
		}
		n.b.wantDrops(map[Drop]uint64{DropCongested: dropped})
	}
}

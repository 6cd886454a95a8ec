package dataplane

import (
	"bytes"
	"net/netip"
	"testing"
)

// Inner packets stand back to back in a record, zeros may follow the last.
func TestSeveralPacketsInOneRecord(t *testing.T) {
	n := newNetwork(t, plan{})
	peer := newPeer(t, n.b)
	s4, d4, s6, d6 := n.a.host4, n.b.host4, n.a.host6, n.b.host6
	packets := [][]byte{
		udpPacket(s4, d4, []byte("first")), udpPacket(s6, d6, []byte("second")),
		tcpPacket(s4, d4, 0x10, nil, nil), udpPacket(s4, d4, padded(600)),
	}
	for count := 1; count <= len(packets); count++ {
		for _, zeros := range []int{0, 1, 3, 39, 500} {
			frame := peer.frame(append(packets[:count:count], make([]byte, zeros))...)
			got := n.b.hears(frame)
			if len(got) != count {
				t.Fatalf("%d packets of %d, %d zeros", len(got), count, zeros)
			}
			for i := range got {
				same(t, got[i], packets[i], 1)
			}
		}
	}
	n.b.wantDrops(nil)
}

// A record of nothing, or of zeros only, carries nothing and is no fault.
func TestEmptyRecords(t *testing.T) {
	n := newNetwork(t, plan{})
	peer := newPeer(t, n.b)
	for _, size := range []int{0, 1, 19, 1400} {
		none(t, n.b.hears(peer.frame(make([]byte, size))))
	}
	n.b.wantDrops(nil)
	if in := n.b.engine.Stats()[0].In; in.Records != 4 || in.Bytes != 1420 {
		t.Errorf("counted %+v", in)
	}
}

func TestBadPayload(t *testing.T) {
	n := newNetwork(t, plan{})
	good4, good6 := udpPacket(n.a.host4, n.b.host4, []byte("good")), udpPacket(n.a.host6, n.b.host6, []byte("good"))
	for _, c := range []struct {
		name    string
		payload []byte
		whole   int // packets before the fault, which are good
	}{
		{"IPv4 cut off", good4[:len(good4)-1], 0},
		{"IPv6 cut off", good6[:len(good6)-1], 0},
		{"IPv4 header cut off", good4[:19], 0},
		{"IPv6 header cut off", good6[:39], 0},
		{"one byte", []byte{0x45}, 0},
		{"second cut off", append(bytes.Clone(good4), good6[:30]...), 1},
		{"padding that is not zero", append(bytes.Clone(good4), 0, 0, 0, 1), 1},
		{"padding that is not zero at once", append(bytes.Clone(good4), 1, 0, 0, 0), 1},
		{"padding only, not zero at the end", []byte{0, 0, 0, 0, 0, 0, 0, 1}, 0},
		{"a packet after padding", append(make([]byte, 4), good4...), 0},
		{"IP version 5", append([]byte{0x55}, good4[1:]...), 0},
		{"IPv4 header too short", append([]byte{0x44}, good4[1:]...), 0},
		{"IPv4 header longer than the packet", append([]byte{0x4f}, good4[1:]...), 0},
		{"IPv4 length shorter than the header", append([]byte{0x45, 0, 0, 19}, good4[4:]...), 0},
		{"IPv4 length 0", append([]byte{0x45, 0, 0, 0}, good4[4:]...), 0},
		{"IPv6 length too large", append([]byte{0x60, 0, 0, 0, 0xff, 0xff}, good6[6:]...), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t, plan{})
			got := n.b.hears(newPeer(t, n.b).frame(c.payload))
			if len(got) != c.whole {
				t.Errorf("%d packets came out, want %d", len(got), c.whole)
			}
			n.b.wantDrops(map[Drop]uint64{DropBadPayload: 1})
			n.works()
		})
	}
}

// The place in the port's room where a record is opened depends on the last
// packet's next hop. Whatever the next hops' link-layer headers, all packets of
// a record come out whole.
func TestNextHopsOfDifferentLength(t *testing.T) {
	tags := [][]uint16{nil, {7}, {8, 9}}
	n := newNetwork(t, plan{})
	hops, hosts := map[netip.Addr]Hop{}, []netip.Addr{}
	for i, tag := range tags {
		host := netip.AddrFrom4([4]byte{10, 2, 0, byte(10 + i)})
		hosts = append(hosts, host)
		hops[host] = NewHop(n.b.hostMAC, n.b.insideMAC, tag...)
	}
	n.b.engine.SetHops(hops, nil)
	peer := newPeer(t, n.b)
	// All orders of three packets, so that every change of length happens both
	// at the start of a record and inside one.
	for order := range 27 {
		order := []int{order % 3, order / 3 % 3, order / 9}
		var packets [][]byte
		for i, host := range order {
			packets = append(packets, udpPacket(n.a.host4, hosts[host], padded(40+i)))
		}
		put(t, n.b.wire, peer.frame(append(packets, make([]byte, 10))...))
		n.b.step()
		got := take(n.b.host)
		if len(got) != 3 {
			t.Fatalf("%v: %d packets came out, drops %v", order, len(got), n.b.drops())
		}
		for i, frame := range got {
			same(t, packetOf(t, frame, n.b.hostMAC, n.b.insideMAC, tags[order[i]]), packets[i], 1)
		}
	}
	n.b.wantDrops(nil)
}

// A packet that dies in a record does not take its neighbours with it.
func TestDropsInsideARecord(t *testing.T) {
	n := newNetwork(t, plan{})
	good := udpPacket(n.a.host4, n.b.host4, []byte("good"))
	stranger := udpPacket(netip.MustParseAddr("10.9.9.9"), n.b.host4, []byte("from elsewhere"))
	expired := ip{src: n.a.host4, dst: n.b.host4, ttl: 1, protocol: 17}.around(nil)
	got := n.b.hears(newPeer(t, n.b).frame(stranger, good, expired, good, stranger))
	if len(got) != 2 {
		t.Fatalf("%d packets came out, want 2", len(got))
	}
	same(t, got[0], good, 1)
	same(t, got[1], good, 1)
	n.b.wantDrops(map[Drop]uint64{DropBadSource: 2, DropTTLExpired: 1})
}

// What the peer may send from: its own routes, by the longest prefix, and not
// an IPv4 address that is dressed up as IPv6.
func TestSourceMustBelongToTheLink(t *testing.T) {
	n := newNetwork(t, plan{})
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	n.b.engine.SetRoutes(map[string][]netip.Prefix{
		"site-a": {prefix("10.1.0.0/16"), prefix("fd00:1::/32")},
		"site-c": {prefix("10.1.7.0/24"), prefix("10.3.0.0/16"), prefix("fd00:1:7::/48")},
	})
	peer := newPeer(t, n.b)
	dropped := uint64(0)
	for _, c := range []struct {
		src  string
		good bool
	}{
		{"10.1.0.5", true}, {"10.1.6.255", true}, {"10.1.8.0", true}, {"fd00:1::9", true},
		{"10.1.7.0", false}, {"10.1.7.255", false}, // another link's, though inside ours
		{"10.3.0.1", false}, {"10.2.0.9", false}, {"192.0.2.1", false}, {"0.0.0.0", false},
		{"fd00:1:7::1", false}, {"fd00:2::1", false}, {"::", false}, {"::1", false},
		{"::ffff:10.1.0.5", false},
	} {
		src, dst := addr(c.src), n.b.host4
		if src.Is6() {
			dst = n.b.host6
		}
		got := n.b.hears(peer.frame(udpPacket(src, dst, nil)))
		if (len(got) == 1) != c.good {
			t.Errorf("%s: %d packets came out", c.src, len(got))
		}
		if !c.good {
			dropped++
		}
	}
	n.b.wantDrops(map[Drop]uint64{DropBadSource: dropped})
}

// Out, too, the longest prefix decides which link protects a packet.
func TestLongestPrefixOutbound(t *testing.T) {
	n := newNetwork(t, plan{})
	prefix := netip.MustParsePrefix
	n.a.engine.SetRoutes(map[string][]netip.Prefix{
		"site-b": {prefix("10.2.0.0/16")},
		"site-c": {prefix("10.2.7.0/24")}, // has no session
	})
	to := func(dst string) [][]byte {
		return n.a.sends(udpPacket(n.a.host4, netip.MustParseAddr(dst), nil))
	}
	one(t, to("10.2.0.5"))
	one(t, to("10.2.8.1"))
	none(t, to("10.2.7.1"))
	none(t, to("10.3.0.1"))
	n.a.wantDrops(map[Drop]uint64{DropNoSession: 1, DropNoRoute: 1})
}

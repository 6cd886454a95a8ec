package dataplane

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// icmpMessage is an ICMP error as its receiver reads it.
type icmpMessage struct {
	src, dst     netip.Addr
	kind, code   byte
	mtu          int
	quote        []byte
	packetLength int
}

// readICMP takes an ICMP error apart, having checked every checksum.
func readICMP(t *testing.T, b []byte) icmpMessage {
	t.Helper()
	sound(t, b)
	protocol, src, dst, body := upper(b)
	m := icmpMessage{src: src, dst: dst, kind: body[0], code: body[1], quote: body[8:], packetLength: len(b)}
	switch {
	case protocol == 1 && src.Is4():
		m.mtu = int(binary.BigEndian.Uint16(body[6:]))
		if body[4] != 0 || body[5] != 0 {
			t.Errorf("unused bytes of ICMP are %x", body[4:6])
		}
	case protocol == 58 && src.Is6():
		m.mtu = int(binary.BigEndian.Uint32(body[4:]))
	default:
		t.Fatalf("no ICMP: %x", b)
	}
	return m
}

// check compares all of a message, and its quote with the packet it is about.
func (m icmpMessage) check(t *testing.T, src, dst netip.Addr, kind, code byte, mtu int, about []byte) {
	t.Helper()
	if m.src != src || m.dst != dst || m.kind != kind || m.code != code || m.mtu != mtu {
		t.Errorf("ICMP from %v to %v, type %d, code %d, MTU %d; want %v, %v, %d, %d, %d", m.src, m.dst, m.kind, m.code, m.mtu, src, dst, kind, code, mtu)
	}
	most, header := 576, 20
	if src.Is6() {
		most, header = 1280, 40
	}
	if want := min(most, header+8+len(about)); m.packetLength != want {
		t.Errorf("the error has %d bytes, want %d", m.packetLength, want)
	}
	if !bytes.Equal(m.quote, about[:len(m.quote)]) {
		t.Errorf("the quote is not the packet:\n got %x\nwant %x", m.quote, about)
	}
}

func TestTTLExpiredOutbound(t *testing.T) {
	for _, size := range []int{0, 30, 520, 521, 1000, 1392} {
		for _, ttl := range []byte{0, 1} {
			n := newNetwork(t, plan{insideTags: twoTags})
			s4, d4, s6, d6 := n.a.host4, n.b.host4, n.a.host6, n.b.host6
			p4 := ip{src: s4, dst: d4, ttl: 1, protocol: 17}.around(udp(s4, d4, padded(size)))
			p6 := ip{src: s6, dst: d6, ttl: 1, protocol: 17}.around(udp(s6, d6, padded(size)))
			if ttl == 0 {
				p4, p6 = routed(p4, 1), routed(p6, 1)
			}
			none(t, n.a.sends(p4, p6))
			got := n.a.delivered()
			if len(got) != 2 {
				t.Fatalf("%d answers to two packets", len(got))
			}
			readICMP(t, got[0]).check(t, netip.MustParseAddr("10.1.0.1"), s4, 11, 0, 0, p4)
			readICMP(t, got[1]).check(t, netip.MustParseAddr("fd00:1::1"), s6, 3, 0, 0, p6)
			n.a.wantDrops(map[Drop]uint64{DropTTLExpired: 2})
			if answered := n.a.engine.Stats()[0].Answered; answered != 2 {
				t.Errorf("%d answers counted", answered)
			}
			none(t, take(n.a.wire))
		}
	}
}

// The hops may also be used up behind the tunnel: then the far gateway answers
// through the tunnel.
func TestTTLExpiredInbound(t *testing.T) {
	n := newNetwork(t, plan{})
	s4, d4, s6, d6 := n.a.host4, n.b.host4, n.a.host6, n.b.host6
	p4 := ip{src: s4, dst: d4, ttl: 2, protocol: 17}.around(udp(s4, d4, padded(100)))
	p6 := ip{src: s6, dst: d6, ttl: 2, protocol: 17}.around(udp(s6, d6, padded(1370)))
	none(t, n.b.hears(n.a.sends(p4, p6)...))
	n.b.wantDrops(map[Drop]uint64{DropTTLExpired: 2})
	back := take(n.b.wire)
	if len(back) != 2 || n.b.engine.Stats()[0].Answered != 2 {
		t.Fatalf("%d answers left, %d were counted, want 2", len(back), n.b.engine.Stats()[0].Answered)
	}
	got := n.a.hears(back...)
	readICMP(t, got[0]).check(t, netip.MustParseAddr("10.2.0.1"), s4, 11, 0, 0, routed(p4, 1))
	readICMP(t, got[1]).check(t, netip.MustParseAddr("fd00:2::1"), s6, 3, 0, 0, routed(p6, 1))
	n.a.wantDrops(nil)
}

// A peer may offer a wire MTU that no IPv6 packet of the least size fits in, and
// send packets whose ICMP error would not fit either. No router splits that.
func TestTTLExpiredInboundBelowIPv6Minimum(t *testing.T) {
	for _, size := range []int{400, 516, 980, 985, 1300} {
		n := newNetwork(t, plan{})
		n.b.engine.links["site-a"].current.WireMTU = 576
		n.b.engine.refresh(n.b.engine.links["site-a"])
		p := ip{src: n.a.host6, dst: n.b.host6, ttl: 2, protocol: 17}.around(udp(n.a.host6, n.b.host6, padded(size-48)))
		none(t, n.b.hears(n.a.sends(p)...))
		n.b.wantDrops(map[Drop]uint64{DropTTLExpired: 1})
		back := n.a.hears(take(n.b.wire)...)
		if size > 516-48 {
			none(t, back)
		} else {
			readICMP(t, one(t, back)).check(t, netip.MustParseAddr("fd00:2::1"), n.a.host6, 3, 0, 0, routed(p, 1))
		}
		n.a.wantDrops(nil)
		n.works()
	}
}

func TestTooBig(t *testing.T) {
	for _, c := range []struct {
		outer6  bool
		wireMTU int
		mtu     int
	}{{false, 1500, 1440}, {true, 1500, 1420}, {false, 1400, 1340}, {true, 3000, 2920}} {
		t.Run(fmt.Sprintf("outer6=%v %d", c.outer6, c.wireMTU), func(t *testing.T) {
			n := newNetwork(t, plan{outer6: c.outer6, wireMTU: c.wireMTU})
			s4, d4, s6, d6 := n.a.host4, n.b.host4, n.a.host6, n.b.host6
			four := func(size int) []byte {
				return ip{src: s4, dst: d4, protocol: 17, frag: 0x4000}.around(udp(s4, d4, padded(size-28)))
			}
			six := func(size int) []byte { return udpPacket(s6, d6, padded(size-48)) }
			wire := n.a.sends(four(c.mtu), six(c.mtu))
			if len(wire) != 2 {
				t.Fatalf("%d packets of the largest size left, want 2", len(wire))
			}
			for _, w := range wire {
				if outer := packetOf(t, w, n.b.outsideMAC, n.a.outsideMAC, nil); len(outer) != c.wireMTU {
					t.Errorf("an outer packet of %d bytes, want just %d", len(outer), c.wireMTU)
				}
			}
			none(t, n.a.sends(four(c.mtu+1), six(c.mtu+1)))
			got := n.a.delivered()
			if len(got) != 2 {
				t.Fatalf("%d answers", len(got))
			}
			readICMP(t, got[0]).check(t, netip.MustParseAddr("10.1.0.1"), s4, 3, 4, c.mtu, four(c.mtu+1))
			readICMP(t, got[1]).check(t, netip.MustParseAddr("fd00:1::1"), s6, 2, 0, c.mtu, six(c.mtu+1))
			n.a.wantDrops(map[Drop]uint64{DropTooBig: 2})
		})
	}
}

// Packets that no router may answer die in silence.
func TestNeverAnswered(t *testing.T) {
	n := newNetwork(t, plan{})
	s4, d4, s6, d6 := n.a.host4, n.b.host4, n.a.host6, n.b.host6
	addr := netip.MustParseAddr
	err4 := func(kind byte) []byte { return append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, padded(28)...) }
	cases := map[string]struct {
		h    ip
		body []byte
	}{
		"ICMP unreachable":         {ip{src: s4, dst: d4, protocol: 1}, err4(3)},
		"ICMP redirect":            {ip{src: s4, dst: d4, protocol: 1}, err4(5)},
		"ICMP time exceeded":       {ip{src: s4, dst: d4, protocol: 1}, err4(11)},
		"ICMP without a type":      {ip{src: s4, dst: d4, protocol: 1}, nil},
		"later fragment":           {ip{src: s4, dst: d4, protocol: 17, frag: 1}, padded(40)},
		"later fragment with more": {ip{src: s4, dst: d4, protocol: 17, frag: 0x2001}, padded(40)},
		"from multicast":           {ip{src: addr("224.0.0.5"), dst: d4, protocol: 17}, padded(20)},
		"from nobody":              {ip{src: addr("0.0.0.0"), dst: d4, protocol: 17}, padded(20)},
		"from loopback":            {ip{src: addr("127.0.0.1"), dst: d4, protocol: 17}, padded(20)},
		"from broadcast":           {ip{src: addr("255.255.255.255"), dst: d4, protocol: 17}, padded(20)},
		"ICMPv6 error":             {ip{src: s6, dst: d6, protocol: 58}, err4(1)},
		"ICMPv6 packet too big":    {ip{src: s6, dst: d6, protocol: 58}, err4(2)},
		"ICMPv6 unknown error":     {ip{src: s6, dst: d6, protocol: 58}, err4(127)},
		"ICMPv6 behind options":    {ip{src: s6, dst: d6, protocol: 0, options: []byte{58, 0, 1, 4, 0, 0, 0, 0}}, err4(3)},
		"ICMPv6 without a type":    {ip{src: s6, dst: d6, protocol: 58}, nil},
		"from IPv6 multicast":      {ip{src: addr("ff02::1"), dst: d6, protocol: 17}, padded(20)},
		"from IPv6 nobody":         {ip{src: addr("::"), dst: d6, protocol: 17}, padded(20)},
		"too many extensions": {ip{src: s6, dst: d6, protocol: 60,
			options: bytes.Repeat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, 9)}, padded(20)},
	}
	for name, c := range cases {
		c.h.ttl = 1
		n.a.sends(c.h.around(c.body))
		if got := n.a.delivered(); len(got) != 0 {
			t.Errorf("%s was answered: %x", name, got[0])
		}
	}
	for _, mac := range [][6]byte{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x01, 0, 0x5e, 0, 0, 1}} {
		p := ip{src: s4, dst: d4, ttl: 1, protocol: 17}.around(udp(s4, d4, nil))
		put(t, n.a.host, frameOf(mac, n.a.hostMAC, nil, p))
		n.a.step()
		if got := take(n.a.host); len(got) != 0 {
			t.Errorf("a frame to %x was answered", mac)
		}
	}
	n.a.wantDrops(map[Drop]uint64{DropTTLExpired: uint64(len(cases)) + 2})
	if s := n.a.engine.Stats()[0]; s.Answered != 0 {
		t.Errorf("%d answers counted", s.Answered)
	}
}

// What is only near to the cases above is answered.
func TestAnsweredAllTheSame(t *testing.T) {
	n := newNetwork(t, plan{})
	s4, d4, s6, d6 := n.a.host4, n.b.host4, n.a.host6, n.b.host6
	echo := append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, padded(28)...)
	echo6 := append([]byte{128, 0, 0, 0, 0, 1, 0, 1}, padded(28)...)
	for name, p := range map[string][]byte{
		"echo":           ip{src: s4, dst: d4, ttl: 1, protocol: 1}.around(echo),
		"first fragment": ip{src: s4, dst: d4, ttl: 1, protocol: 17, frag: 0x2000}.around(padded(40)),
		"IPv6 echo":      ip{src: s6, dst: d6, ttl: 1, protocol: 58}.around(echo6),
	} {
		none(t, n.a.sends(p))
		if got := n.a.delivered(); len(got) != 1 {
			t.Errorf("%s: %d answers", name, len(got))
		}
	}
}

func TestNoRouterAddressNoAnswer(t *testing.T) {
	n := newNetwork(t, plan{})
	n.a.engine.SetRouter(netip.Addr{}, netip.MustParseAddr("fd00:1::1"))
	s4, d4, s6, d6 := n.a.host4, n.b.host4, n.a.host6, n.b.host6
	none(t, n.a.sends(ip{src: s4, dst: d4, ttl: 1, protocol: 17}.around(udp(s4, d4, nil))))
	none(t, n.a.delivered())
	none(t, n.a.sends(ip{src: s6, dst: d6, ttl: 1, protocol: 17}.around(udp(s6, d6, nil))))
	one(t, n.a.delivered())
}

func TestAnswersAreLimited(t *testing.T) {
	n := newNetwork(t, plan{capacity: 8192})
	expired := ip{src: n.a.host4, dst: n.b.host4, ttl: 1, protocol: 17}.around(udp(n.a.host4, n.b.host4, nil))
	start := time.Now()
	answers, sent := 0, 0
	for range 40 {
		for range 100 {
			put(t, n.a.host, n.a.frame(expired))
		}
		sent += 100
		n.a.step()
		answers += len(take(n.a.host))
	}
	most := icmpBurst + int(time.Since(start).Seconds()*icmpPerSecond) + 1
	if answers < icmpBurst || answers > most {
		t.Errorf("%d answers to %d packets, want %d to %d", answers, sent, icmpBurst, most)
	}
	n.a.wantDrops(map[Drop]uint64{DropTTLExpired: uint64(sent)})
}

func TestBucket(t *testing.T) {
	now := time.Unix(1000, 0)
	b := bucket{tokens: 2, last: now}
	for i, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, true}, {0, false}, {50 * time.Millisecond, false}, {50 * time.Millisecond, true}, {0, false}, {time.Hour, true}, {0, true}, {0, false}} {
		now = now.Add(c.after)
		if got := b.take(now, 10, 2); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}

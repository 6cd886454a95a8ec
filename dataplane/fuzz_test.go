package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// seeds gives whole packets and frames, so that a fuzzer starts from sense.
func seeds(f *testing.F) {
	s4, d4 := netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.2.0.5")
	s6, d6 := netip.MustParseAddr("fd00:1::5"), netip.MustParseAddr("fd00:2::5")
	for _, p := range [][]byte{
		udpPacket(s4, d4, []byte("seed")), udpPacket(s6, d6, []byte("seed")),
		tcpPacket(s4, d4, synFlag, mssOption(1460), nil),
		ip{src: s6, dst: d6, protocol: 0, options: []byte{44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 1}}.around(udp(s6, d6, nil)),
		ip{src: s4, dst: d4, protocol: 17, options: []byte{1, 1, 1, 0}, frag: 0x2000}.around(padded(40)),
		ip{src: s4, dst: d4, ttl: 1, protocol: 1}.around([]byte{8, 0, 0, 0, 0, 0, 0, 0}),
	} {
		f.Add(p)
		for _, tags := range [][]uint16{nil, {1}, {1, 2}, {1, 2, 3}} {
			f.Add(frameOf([6]byte{2}, [6]byte{2}, tags, p))
		}
	}
	f.Add([]byte{})
}

func FuzzLinkHeaderLen(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		n, etherType, ok := linkHeaderLen(b)
		if !ok {
			if n != 0 || len(b) >= maxLinkHeader {
				t.Fatalf("refused %d bytes, n %d", len(b), n)
			}
			return
		}
		if n != 14 && n != 18 && n != 22 || n > len(b) || etherType != binary.BigEndian.Uint16(b[n-2:]) {
			t.Fatalf("header of %d bytes in %d, EtherType %#x", n, len(b), etherType)
		}
	})
}

// parse takes nothing that reaches past its memory, and what follows may rely
// on that without looking again.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		guarded := append(bytes.Clone(b), 0xaa)[:len(b):len(b)]
		var p packet
		if !p.parse(guarded) {
			return
		}
		if len(p.b) > len(b) || &p.b[0] != &guarded[0] || p.source().addr().Is6() != p.v6 || p.destination().addr().Is6() != p.v6 {
			t.Fatalf("%d bytes of %d, %v to %v", len(p.b), len(b), p.source(), p.destination())
		}
		if _, at, ok := p.transport(); ok && (at > len(p.b) || at < 20) {
			t.Fatalf("the transport header is at %d of %d", at, len(p.b))
		}
		whole := bytes.Clone(p.b)
		ttl := 8
		if p.v6 {
			ttl = 7
		}
		sumBefore := plainSum(p.b[:20])
		if p.decrementTTL() != (whole[ttl] > 1) {
			t.Fatalf("TTL %d", whole[ttl])
		}
		if !p.v6 {
			if a, b := sumBefore, plainSum(p.b[:20]); a != b && a^b != 0xffff {
				t.Fatalf("the header's sum was %#x and is %#x", a, b)
			}
		}
		for ecn := range byte(4) {
			p.setECN(ecn)
			if p.ecn() != ecn {
				t.Fatalf("ECN %d set, %d read", ecn, p.ecn())
			}
		}
		room := make([]byte, errorRoom)
		for _, from := range []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1"), {}} {
			for _, kind := range []icmpError{icmpTooBig, icmpTimeExceeded} {
				if n := putICMP(room, &p, from, kind, 1400); n > 0 {
					sound(t, room[:n])
				}
			}
		}
	})
}

func FuzzUDPPayload(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, ecn, ok := udpPayload(b)
		if ok && len(payload) > len(b)-14-20-8 || ecn > 3 || !ok && payload != nil {
			t.Fatalf("%d bytes of payload in a frame of %d", len(payload), len(b))
		}
	})
}

// Whatever an inside host sends, the gateway survives it, nothing leaves in the
// clear, and traffic goes on.
func FuzzOutbound(f *testing.F) {
	seeds(f)
	n := newNetwork(f, plan{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > pipeRoom {
			return
		}
		n.a.t, n.b.t = t, t
		put(t, n.a.host, b)
		n.a.step()
		for _, w := range take(n.a.wire) {
			if _, ok := record.ParseHeader(packetOf(t, w, n.b.outsideMAC, n.a.outsideMAC, nil)[28:]); !ok {
				t.Fatalf("no record left the gateway: %x", w)
			}
		}
		for _, answer := range take(n.a.host) {
			size, _, ok := linkHeaderLen(answer)
			if !ok {
				t.Fatalf("answer %x", answer)
			}
			sound(t, answer[size:])
		}
		one(t, n.a.sends(outboundPacket(n)))
	})
}

// Whatever arrives outside, and whatever the peer that holds the keys seals,
// the gateway survives it and nothing gets in that its link may not send.
func FuzzInbound(f *testing.F) {
	seeds(f)
	n := newNetwork(f, plan{})
	malicious := newPeer(f, n.b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > pipeRoom-100 {
			return
		}
		n.a.t, n.b.t = t, t
		put(t, n.b.wire, b, malicious.enclose(b, 0), malicious.frame(b))
		n.b.step()
		for _, frame := range take(n.b.host) {
			got := packetOf(t, frame, n.b.hostMAC, n.b.insideMAC, nil)
			var p packet
			if !p.parse(got) || len(p.b) != len(got) {
				t.Fatalf("no packet: %x", got)
			}
			if src := p.source().addr(); !n.a.prefixes()[0].Contains(src) && !n.a.prefixes()[1].Contains(src) {
				t.Fatalf("a packet from %v got in", src)
			}
		}
		n.b.ages(waitingTime)
		n.b.step()
		take(n.b.wire)
		same(t, one(t, n.b.hears(n.a.sends(outboundPacket(n))...)), outboundPacket(n), 2)
	})
}

// The sum of any bytes is that of the plainest way to add them, in pieces and
// after a change.
func FuzzChecksum(f *testing.F) {
	f.Add([]byte{}, uint16(0))
	f.Add(bytes.Repeat([]byte{0xff}, 99), uint16(0xffff))
	f.Add(make([]byte, 64), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, word uint16) {
		congruent := func(a, b uint16) bool { return a == b || a^b == 0xffff && (a == 0 || b == 0) }
		if got, want := checksum(addBytes(0, b)), plainSum(b); !congruent(got, want) {
			t.Fatalf("%#x, want %#x", got, want)
		}
		half := len(b) / 4 * 2
		if got, want := checksum(addBytes(addBytes(0, b[:half])+uint64(word), b[half:])), plainSum(b, make([]byte, len(b)%2), []byte{byte(word >> 8), byte(word)}); !congruent(got, want) {
			t.Fatalf("in pieces %#x, want %#x", got, want)
		}
		if len(b) >= 2 {
			old := binary.BigEndian.Uint16(b)
			changed := append([]byte{byte(word >> 8), byte(word)}, b[2:]...)
			if got, want := adjustChecksum(plainSum(b), old, word), plainSum(changed); !congruent(got, want) {
				t.Fatalf("adjusted %#x, want %#x", got, want)
			}
		}
	})
}

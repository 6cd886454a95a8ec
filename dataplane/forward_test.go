package dataplane

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

var (
	noTag   []uint16
	oneTag  = []uint16{7}
	twoTags = []uint16{100, 0x6fff} // with priority bits
)

// Every family inside and outside, every number of tags, small and largest
// packets, both directions: what comes out is what went in, two routers later.
func TestForward(t *testing.T) {
	for _, outer6 := range []bool{false, true} {
		for _, tags := range [][2][]uint16{{noTag, noTag}, {oneTag, noTag}, {noTag, oneTag}, {twoTags, oneTag}, {oneTag, twoTags}, {twoTags, twoTags}} {
			p := plan{outer6: outer6, insideTags: tags[0], outsideTags: tags[1]}
			t.Run(fmt.Sprintf("outer6=%v inside=%d outside=%d", outer6, len(tags[0]), len(tags[1])), func(t *testing.T) {
				n := newNetwork(t, p)
				for _, d := range [][2]*site{{n.a, n.b}, {n.b, n.a}} {
					for i, sent := range samples(d[0], d[1], outer6) {
						wire := one(t, d[0].sends(sent))
						outer := packetOf(t, wire, d[1].outsideMAC, d[0].outsideMAC, p.outsideTags)
						checkOuter(t, outer, d[0], d[1], sent)
						got := one(t, d[1].hears(wire))
						sound(t, got)
						same(t, got, sent, 2)
						if t.Failed() {
							t.Fatalf("sample %d", i)
						}
					}
				}
				n.a.wantDrops(nil)
				n.b.wantDrops(nil)
			})
		}
	}
}

// samples are packets of all kinds from one site's host to the other's. The
// largest of each family fill the link's MTU.
func samples(from, to *site, outer6 bool) [][]byte {
	mtu := 1440
	if outer6 {
		mtu = 1420
	}
	s4, d4, s6, d6 := from.host4, to.host4, from.host6, to.host6
	return [][]byte{
		udpPacket(s4, d4, nil),
		udpPacket(s4, d4, []byte("odd")),
		udpPacket(s4, d4, padded(mtu-28)),
		tcpPacket(s4, d4, 0x18, nil, padded(1000)),
		tcpPacket(s4, d4, 0x10, []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, padded(mtu-52)),
		ip{src: s4, dst: d4, protocol: 17, ttl: 2 + 1, frag: 0x4000, options: []byte{7, 7, 4, 0, 0, 0, 0, 0}}.around(udp(s4, d4, padded(99))),
		ip{src: s4, dst: d4, protocol: 17, frag: 0x2000, id: 9}.around(padded(800)),
		ip{src: s4, dst: d4, protocol: 17, frag: 100, id: 9}.around(padded(8)),
		ip{src: s4, dst: d4, protocol: 47, ttl: 255}.around(nil),
		udpPacket(s6, d6, []byte("odd")),
		udpPacket(s6, d6, padded(mtu-48)),
		tcpPacket(s6, d6, 0x18, nil, padded(1000)),
		ip{src: s6, dst: d6, protocol: 0, ttl: 3, options: []byte{17, 0, 1, 4, 0, 0, 0, 0}}.around(udp(s6, d6, padded(33))),
		ip{src: s6, dst: d6, protocol: 59, ttl: 255}.around(nil),
	}
}

// checkOuter checks every field of the outer headers.
func checkOuter(t *testing.T, outer []byte, from, to *site, inner []byte) {
	t.Helper()
	sound(t, outer)
	protocol, src, dst, segment := upper(outer)
	if protocol != 17 || src != from.outer || dst != to.outer {
		t.Fatalf("outer packet of protocol %d from %v to %v", protocol, src, dst)
	}
	if src.Is4() {
		if outer[0] != 0x45 || outer[1] != 0 || !bytes.Equal(outer[4:9], []byte{0, 0, 0x40, 0, 64}) {
			t.Fatalf("outer IPv4 header %x", outer[:20])
		}
		if !bytes.Equal(segment[6:8], []byte{0, 0}) {
			t.Fatal("an outer UDP checksum over IPv4 is not expected")
		}
	} else if !bytes.Equal(outer[:4], []byte{0x60, 0, 0, 0}) || outer[7] != 64 {
		t.Fatalf("outer IPv6 header %x", outer[:40])
	}
	if s, d := binary.BigEndian.Uint16(segment), binary.BigEndian.Uint16(segment[2:]); s != 61000 || d != 5580 {
		t.Fatalf("outer ports %d to %d", s, d)
	}
	if len(segment) != 8+32+len(inner) {
		t.Fatalf("a segment of %d bytes for a packet of %d", len(segment), len(inner))
	}
	if _, ok := record.ParseHeader(segment[8:]); !ok {
		t.Fatal("the payload is no record")
	}
	_, innerSrc, innerDst, _ := upper(inner)
	if bytes.Contains(outer, append(innerSrc.AsSlice(), innerDst.AsSlice()...)) {
		t.Fatal("inner addresses are readable outside")
	}
}

// Where the operator asks for them there are UDP checksums on IPv4 as well.
func TestUDPChecksumsOnIPv4(t *testing.T) {
	n := newNetwork(t, plan{sums: true})
	for _, sent := range samples(n.a, n.b, false) {
		wire := one(t, n.a.sends(sent))
		outer := packetOf(t, wire, n.b.outsideMAC, n.a.outsideMAC, nil)
		sound(t, outer)
		if _, _, _, segment := upper(outer); bytes.Equal(segment[6:8], []byte{0, 0}) {
			t.Fatal("there is none")
		}
		same(t, one(t, n.b.hears(wire)), sent, 2)
	}
}

func TestForwardChaCha20(t *testing.T) {
	n := newNetwork(t, plan{aead: record.ChaCha20Poly1305})
	for range 100 {
		n.works()
	}
}

// The padding of a short Ethernet frame does not become part of the packet.
func TestFramePadding(t *testing.T) {
	n := newNetwork(t, plan{})
	sent := udpPacket(n.a.host4, n.b.host4, nil)
	put(t, n.a.host, append(n.a.frame(sent), make([]byte, 18)...))
	n.a.step()
	wire := one(t, take(n.a.wire))
	same(t, one(t, n.b.hears(append(wire, 0xff, 0xff, 0xff))), sent, 2)
}

// A batch larger than a burst keeps order and loses nothing.
func TestLargeBatch(t *testing.T) {
	n := newNetwork(t, plan{outer6: true, capacity: 2 * burstLen})
	var sent [][]byte
	for i := range burstLen + 50 {
		sent = append(sent, udpPacket(n.a.host4, n.b.host4, binary.BigEndian.AppendUint32(nil, uint32(i))))
	}
	wire := n.a.sends(sent...)
	for _, w := range wire {
		sound(t, packetOf(t, w, n.b.outsideMAC, n.a.outsideMAC, nil))
	}
	got := n.b.hears(wire...)
	if len(got) != len(sent) {
		t.Fatalf("%d of %d packets arrived", len(got), len(sent))
	}
	for i := range got {
		same(t, got[i], sent[i], 2)
	}
}

// Reordered on the way, all arrive; repeated, none does twice.
func TestReorderedAndRepeated(t *testing.T) {
	n := newNetwork(t, plan{})
	var frames [][]byte
	for i := range 100 {
		frames = append(frames, n.a.sends(udpPacket(n.a.host4, n.b.host4, []byte{byte(i)}))...)
	}
	for i := len(frames) - 1; i >= 0; i-- {
		if got := one(t, n.b.hears(frames[i])); got[len(got)-1] != byte(i) {
			t.Fatalf("packet %d arrived in the place of %d", got[len(got)-1], i)
		}
	}
	none(t, n.b.hears(frames...))
	n.b.wantDrops(map[Drop]uint64{DropReplayed: 100})
}

// sendsAtOnce is a port whose packets are gone with Flush, as with a kernel that
// copies them: what is written later is too late.
type sendsAtOnce struct {
	*PipeEnd
	sent [][]byte
}

func (p *sendsAtOnce) Flush() {
	for _, s := range p.staged {
		p.sent = append(p.sent, bytes.Clone(s.frame))
	}
	p.PipeEnd.Flush()
}

// When the outside port fills up in the middle of a batch, what has to be
// flushed then is sealed first.
func TestFlushInsideABatch(t *testing.T) {
	for _, outer6 := range []bool{false, true} {
		n := newNetwork(t, plan{outer6: outer6, capacity: 8})
		port := &sendsAtOnce{PipeEnd: n.a.worker().queue.Outside.(*PipeEnd)}
		n.a.worker().queue.Outside = port
		large := ip{src: n.a.host4, dst: n.b.host4, protocol: 17}.around(padded(3000))
		n.a.sends(large, large, large, large, large, large, large, large)
		if len(port.sent) != 24 {
			t.Fatalf("%d frames left, want 24 in batches of 8", len(port.sent))
		}
		for i, frame := range port.sent {
			sound(t, packetOf(t, frame, n.b.outsideMAC, n.a.outsideMAC, nil))
			if got := n.b.hears(frame); len(got) != 1 {
				t.Fatalf("frame %d does not open, drops %v", i, n.b.drops())
			}
		}
	}
}

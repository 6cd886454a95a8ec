package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

const (
	synFlag, ackFlag, rstFlag, finFlag = 0x02, 0x10, 0x04, 0x01
)

func mssOption(size uint16) []byte { return []byte{2, 4, byte(size >> 8), byte(size)} }

func TestMSSClamped(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	nop, scale := []byte{1}, []byte{3, 3, 7}
	for _, c := range []struct {
		name    string
		flags   byte
		options []byte
		at      int // where the size stands among the options; -1: nothing may change
	}{
		{"alone", synFlag, mssOption(1460), 2},
		{"SYN-ACK", synFlag | ackFlag, mssOption(1460), 2},
		{"SYN with ECN flags", synFlag | 0xc0, mssOption(1460), 2},
		{"the largest", synFlag, mssOption(65535), 2},
		{"one too many", synFlag, mssOption(1401), 2},
		{"after NOPs", synFlag, join(nop, nop, nop, nop, mssOption(1460)), 6},
		{"at an odd place", synFlag, join(nop, mssOption(1460), scale), 3},
		{"at an odd place, later", synFlag, join(scale, mssOption(9000), nop), 5},
		{"after others", synFlag, join([]byte{4, 2}, []byte{8, 10, 1, 2, 3, 4, 0, 0, 0, 0}, mssOption(1460)), 14},
		{"small enough", synFlag, mssOption(1400), -1},
		{"smaller", synFlag, mssOption(536), -1},
		{"zero", synFlag, mssOption(0), -1},
		{"ACK", ackFlag, mssOption(1460), -1},
		{"RST", rstFlag, mssOption(1460), -1},
		{"FIN", finFlag | ackFlag, mssOption(1460), -1},
		{"no options", synFlag, nil, -1},
		{"behind the end of options", synFlag, join([]byte{0, 0, 0, 0}, mssOption(1460)), -1},
		{"wrong length", synFlag, []byte{2, 6, 5, 0xb4, 5, 0xb4, 1, 1}, -1},
		{"length 0", synFlag, []byte{2, 0, 5, 0xb4}, -1},
		{"length 1", synFlag, []byte{2, 1, 5, 0xb4}, -1},
		{"cut off", synFlag, []byte{1, 1, 2, 4}, -1},
		{"half cut off", synFlag, []byte{1, 2, 4, 5}, -1},
		{"kind only", synFlag, []byte{1, 1, 1, 2}, -1},
		{"option longer than the header", synFlag, []byte{8, 200, 2, 4, 5, 0xb4, 1, 1}, -1},
		{"inside another option", synFlag, []byte{8, 8, 2, 4, 5, 0xb4, 1, 1}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t, plan{})
			for _, ends := range [][2]netip.Addr{{n.a.host4, n.b.host4}, {n.a.host6, n.b.host6}} {
				most := uint16(1440 - 40)
				if ends[0].Is6() {
					most = 1440 - 60
				}
				// The payload must survive: it follows the options immediately.
				sent := tcpPacket(ends[0], ends[1], c.flags, c.options, []byte("payload"))
				want := bytes.Clone(sent)
				header := len(sent) - len("payload") - len(c.options)
				if c.at >= 0 {
					binary.BigEndian.PutUint16(want[header+c.at:], most)
				} else if ends[0].Is6() && c.name == "small enough" {
					binary.BigEndian.PutUint16(want[header+2:], most) // 1400 is not small enough here
				}
				tcp := want[header-20:]
				tcp[16], tcp[17] = 0, 0
				binary.BigEndian.PutUint16(tcp[16:], plainSum(pseudo(ends[0], ends[1], 6, len(tcp)), tcp))
				same(t, one(t, n.b.hears(n.a.sends(sent)...)), want, 2)
			}
		})
	}
}

// Each gateway clamps to its own link in both directions: the far one protects
// hosts behind a gateway that does not clamp.
func TestMSSClampedInbound(t *testing.T) {
	n := newNetwork(t, plan{})
	narrow := n.plan
	narrow.wireMTU = 1000
	peer := newPeer(t, n.b)
	n.b.install(n.a, narrow, n.b.session, spareSealer())
	for _, c := range []struct {
		flags byte
		want  uint16
	}{{synFlag, 900}, {synFlag | ackFlag, 900}, {ackFlag, 1460}} {
		p := tcpPacket(n.a.host4, n.b.host4, c.flags, mssOption(1460), nil)
		got := one(t, n.b.hears(peer.frame(p)))
		sound(t, got)
		if size := binary.BigEndian.Uint16(got[42:]); size != c.want {
			t.Errorf("flags %#x: size %d, want %d", c.flags, size, c.want)
		}
	}
}

// In a later fragment, what looks like a SYN is payload.
func TestMSSLeavesFragmentsAlone(t *testing.T) {
	n := newNetwork(t, plan{})
	segment := tcp(n.a.host4, n.b.host4, synFlag, mssOption(1460), nil)
	sent := ip{src: n.a.host4, dst: n.b.host4, protocol: 6, frag: 1}.around(segment)
	same(t, one(t, n.b.hears(n.a.sends(sent)...)), sent, 2)
	behind := append([]byte{6, 0, 0, 8, 0, 0, 0, 1}, segment...) // IPv6 fragment header, offset 1
	sent = ip{src: n.a.host6, dst: n.b.host6, protocol: 44}.around(behind)
	same(t, one(t, n.b.hears(n.a.sends(sent)...)), sent, 2)
}

// Behind extension headers a SYN is still one.
func TestMSSBehindExtensionHeaders(t *testing.T) {
	n := newNetwork(t, plan{})
	segment := tcp(n.a.host6, n.b.host6, synFlag, mssOption(1460), nil)
	sent := ip{src: n.a.host6, dst: n.b.host6, protocol: 0, options: []byte{60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0}}.around(segment)
	got := one(t, n.b.hears(n.a.sends(sent)...))
	if size := binary.BigEndian.Uint16(got[len(got)-2:]); size != 1380 {
		t.Errorf("size %d, want 1380", size)
	}
	body := got[56:]
	if s := plainSum(pseudo(n.a.host6, n.b.host6, 6, len(body)), body); s != 0 {
		t.Errorf("checksum is off by %#x", s)
	}
}

// Whatever stands in the packet, clampMSS changes a size and a checksum or
// nothing, never makes the size larger, and a checksum that was right stays so.
func FuzzClampMSS(f *testing.F) {
	s4, d4 := netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.2.0.5")
	f.Add(tcpPacket(s4, d4, synFlag, mssOption(1460), nil), 1440)
	f.Add(tcpPacket(s4, d4, synFlag, []byte{1, 2, 4, 5, 0xb4, 3, 3, 7}, []byte("x")), 1440)
	f.Add(tcpPacket(netip.MustParseAddr("fd00:1::5"), netip.MustParseAddr("fd00:2::5"), synFlag, mssOption(9000), nil), 1280)
	f.Add(tcpPacket(s4, d4, synFlag, mssOption(1460), nil), -5)
	f.Add(tcpPacket(s4, d4, synFlag, mssOption(1460), nil), 41)
	f.Fuzz(func(t *testing.T, b []byte, mtu int) {
		mtu = min(mtu, 65535) // what a wire can have
		var p packet
		guarded := append(bytes.Clone(b), 0xaa, 0xaa, 0xaa, 0xaa)
		if !p.parse(guarded[:len(b)]) {
			return
		}
		before := bytes.Clone(guarded)
		protocol, at, ok := p.transport()
		isTCP := ok && protocol == protocolTCP && len(p.b) >= at+tcpLen
		p.clampMSS(mtu)
		var changed []int
		for i := range guarded {
			if guarded[i] != before[i] {
				changed = append(changed, i)
			}
		}
		if len(changed) == 0 {
			return
		}
		if !isTCP || len(changed) > 4 {
			t.Fatalf("bytes %v of a packet with TCP=%v changed", changed, isTCP)
		}
		size := -1
		for _, i := range changed {
			switch {
			case i == at+16 || i == at+17:
			case i < at+tcpLen || i >= at+int(before[at+12]>>4)*4 || i >= len(p.b):
				t.Fatalf("byte %d outside the options changed", i)
			case size < 0:
				size = i
			}
		}
		if size < 0 {
			t.Fatal("only the checksum changed")
		}
		// The sum over the segment moves by nothing: right stays right, wrong wrong.
		if a, b := plainSum(before[at:len(p.b)]), plainSum(guarded[at:len(p.b)]); a != b && a^b != 0xffff {
			t.Fatalf("the sum was %#x and is %#x", a, b)
		}
	})
}

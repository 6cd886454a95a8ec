package dataplane

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// reassemble puts IPv4 fragments together as RFC 791 section 3.2 says, in
// whatever order they came. offset is where the first byte belongs, which is
// not 0 when the original was a fragment itself.
func reassemble(t *testing.T, fragments [][]byte, offset int) (body []byte, more bool) {
	t.Helper()
	last, end := false, -1
	pieces := map[int][]byte{}
	for _, f := range fragments {
		sound(t, f)
		header := int(f[0]&15) * 4
		where := binary.BigEndian.Uint16(f[6:])
		at := int(where&0x1fff)*8 - offset
		if pieces[at] != nil {
			t.Fatalf("two fragments at %d", at)
		}
		pieces[at] = f[header:]
		if at+len(f)-header > end {
			end, last = at+len(f)-header, where&0x2000 == 0
		}
		if where&0x2000 != 0 && (len(f)-header)%8 != 0 {
			t.Fatalf("a fragment of %d bytes is followed by others", len(f)-header)
		}
	}
	for len(body) < end {
		piece := pieces[len(body)]
		if len(piece) == 0 {
			t.Fatalf("nothing begins at %d", len(body))
		}
		body = append(body, piece...)
	}
	if len(body) != end {
		t.Fatalf("fragments overlap")
	}
	return body, !last
}

func TestFragments(t *testing.T) {
	options := []byte{7, 7, 4, 0, 0, 0, 0, 1, 148, 4, 0, 0}
	for _, c := range []struct {
		name    string
		wireMTU int
		size    int // of the body
		frag    uint16
		options []byte
		pieces  int
	}{
		{"one byte too many", 1500, 1421, 0, nil, 2},
		{"exactly two", 1500, 2832, 0, nil, 2},
		{"two and a byte", 1500, 2833, 0, nil, 3},
		{"with options", 1500, 3000, 0, options, 3},
		{"a first fragment", 1500, 2000, 0x2000, nil, 2},
		{"a middle fragment", 1500, 2000, 0x2000 | 371, nil, 2},
		{"a last fragment", 1500, 2001, 371, nil, 2},
		{"a middle fragment with options", 1500, 2000, 0x2000 | 371, options, 2},
		{"the last that fits 64 KiB", 1500, 1480, 0x1fff - 185, nil, 2},
		{"MTU that is no multiple of 8", 1507, 3000, 0, nil, 3},
		{"small MTU", 128, 1000, 0, nil, 21},
		{"eight bytes each", 88, 100, 0, nil, 13},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t, plan{wireMTU: c.wireMTU})
			h := ip{src: n.a.host4, dst: n.b.host4, protocol: 17, id: 0xbeef, frag: c.frag, ecn: ecnCapable0, options: c.options}
			sent := h.around(padded(c.size))
			wire := n.a.sends(sent)
			for _, w := range wire {
				if outer := packetOf(t, w, n.b.outsideMAC, n.a.outsideMAC, nil); len(outer) > c.wireMTU {
					t.Errorf("an outer packet of %d bytes, %d fit", len(outer), c.wireMTU)
				}
			}
			if len(wire) != c.pieces {
				t.Errorf("%d fragments, want %d", len(wire), c.pieces)
			}
			rand.Shuffle(len(wire), func(i, j int) { wire[i], wire[j] = wire[j], wire[i] })
			got := n.b.hears(wire...)
			body, more := reassemble(t, got, int(c.frag&0x1fff)*8)
			if !bytes.Equal(body, padded(c.size)) || more != (c.frag&0x2000 != 0) {
				t.Errorf("reassembled to %d bytes, more to come: %v", len(body), more)
			}
			header := 20 + len(c.options)
			for _, f := range got {
				want := routed(sent, 2)[:header] // all but length, offset and checksum are the original's
				copy(want[2:], f[2:4])
				copy(want[6:], f[6:8])
				copy(want[10:], f[10:12])
				if !bytes.Equal(f[:header], want) {
					t.Errorf("header %x, want %x", f[:header], want)
				}
			}
			n.a.wantDrops(nil)
			n.b.wantDrops(nil)
			if s := n.a.engine.Stats()[0]; s.Out.Records != uint64(c.pieces) || s.Answered != 0 {
				t.Errorf("counted %+v", s.Out)
			}
		})
	}
}

// A datagram that fragments were made of before is cut again on a narrower link.
func TestFragmentsOfFragments(t *testing.T) {
	wide, narrow := newNetwork(t, plan{}), newNetwork(t, plan{wireMTU: 600})
	sent := ip{src: wide.a.host4, dst: wide.b.host4, protocol: 17, id: 3}.around(padded(3000))
	var all [][]byte
	for _, f := range wide.b.hears(wide.a.sends(sent)...) {
		all = append(all, narrow.b.hears(narrow.a.sends(f)...)...)
	}
	body, more := reassemble(t, all, 0)
	if !bytes.Equal(body, padded(3000)) || more {
		t.Errorf("%d fragments reassemble to %d bytes, more to come: %v", len(all), len(body), more)
	}
}

// A fragment whose end lies past 64 KiB would, cut again, turn into a beginning.
func TestFragmentPastTheEnd(t *testing.T) {
	for _, frag := range []uint16{0x1fff, 0x1fff - 100, 0x2000 | 0x1fff, 0x1fff - 184} {
		n := newNetwork(t, plan{})
		none(t, n.a.sends(ip{src: n.a.host4, dst: n.b.host4, protocol: 17, frag: frag}.around(padded(1480))))
		n.a.wantDrops(map[Drop]uint64{DropMalformed: 1})
	}
}

// Each of many packets of one batch comes out whole: the scratch memory they
// were cut in is not shared before the batch is sealed.
func TestFragmentsOfABatch(t *testing.T) {
	n := newNetwork(t, plan{wireMTU: 1000})
	var sent [][]byte
	for i := range 50 {
		p := padded(2000)
		p[0], p[1999] = byte(i), byte(i)
		sent = append(sent, ip{src: n.a.host4, dst: n.b.host4, protocol: 17, id: uint16(i)}.around(p))
	}
	byID := map[uint16][][]byte{}
	for _, f := range n.b.hears(n.a.sends(sent...)...) {
		id := binary.BigEndian.Uint16(f[4:])
		byID[id] = append(byID[id], f)
	}
	for i, p := range sent {
		if body, _ := reassemble(t, byID[uint16(i)], 0); !bytes.Equal(body, p[20:]) {
			t.Errorf("packet %d was not put together again", i)
		}
	}
}

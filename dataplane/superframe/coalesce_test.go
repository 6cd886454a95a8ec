package superframe

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// depart gives the frames of a Flush as the kernel would take them: one piece for
// each train, with its virtio-net header.
func depart(frames [][]byte) (pieces [][]byte, headers []vnet) {
	return departFrom(newCoalescer(false), frames)
}

func departFrom(c *coalescer, frames [][]byte) (pieces [][]byte, headers []vnet) {
	c.frames = append(c.frames, frames...)
	c.sort()
	for i := range c.trains {
		t := &c.trains[i]
		v := c.couple(t)
		piece := bytes.Clone(c.frames[t.first])
		for n, j := t.first, 1; j < t.count; j++ {
			n = c.next[n]
			piece = append(piece, c.frames[n][t.payload:]...)
		}
		pieces, headers = append(pieces, piece), append(headers, v)
	}
	return pieces, headers
}

func clones(frames [][]byte) (all [][]byte) {
	for _, f := range frames {
		all = append(all, bytes.Clone(f))
	}
	return all
}

// recut cuts pieces again, as the far end's kernel would if it had to.
func recut(t *testing.T, r *receiver, pieces [][]byte, headers []vnet) (frames [][]byte) {
	t.Helper()
	for i, piece := range pieces {
		got, why := arrive(r, piece, headers[i], 0, 0)
		if why != fine {
			t.Fatalf("piece %d cannot be cut: %v", i, why)
		}
		frames = append(frames, clones(got)...)
	}
	return frames
}

// TestCoalesceIsTheInverse: what was cut becomes one piece again, which is the
// one that was cut but for the sum that nobody has to compute any more.
func TestCoalesceIsTheInverse(t *testing.T) {
	for name, s := range supers() {
		frame, v := s.super(1448)
		if len(s.ipOptions) > 0 || len(s.payload) <= 1448 || s.padding > 0 || len(frame) > maxSuperLen {
			continue
		}
		pieces, headers := depart(s.cutPlainly(1448))
		if len(pieces) != 1 || headers[0] != v {
			t.Fatalf("%s: %d pieces, the first with %+v, want %+v", name, len(pieces), headers, v)
		}
		same(t, name, pieces, [][]byte{frame})
	}
}

// TestWhatMerges changes one thing in the second of three segments. Whatever a
// cutter would not have made different keeps them apart.
func TestWhatMerges(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*segment)
		v6     bool
		pieces int // of the three
	}{
		"nothing":                 {func(s *segment) {}, false, 1},
		"nothing, IPv6":           {func(s *segment) {}, true, 1},
		"shorter":                 {func(s *segment) { s.payload = s.payload[:999] }, false, 2},
		"longer":                  {func(s *segment) { s.payload = append(s.payload, 1) }, false, 3},
		"empty":                   {func(s *segment) { s.payload = nil }, false, 3},
		"push":                    {func(s *segment) { s.flags |= flagPSH }, false, 2},
		"end":                     {func(s *segment) { s.flags |= flagFIN }, false, 2},
		"reset":                   {func(s *segment) { s.flags |= 4 }, false, 3},
		"opening":                 {func(s *segment) { s.flags |= 2 }, false, 3},
		"urgent":                  {func(s *segment) { s.flags |= 0x20; s.urgent = 1 }, false, 3},
		"no acknowledgement":      {func(s *segment) { s.flags &^= flagACK }, false, 3},
		"congestion answered":     {func(s *segment) { s.flags |= flagECE }, false, 3},
		"congestion reduced":      {func(s *segment) { s.flags |= flagCWR }, false, 2}, // the third joins it
		"urgent pointer alone":    {func(s *segment) { s.urgent = 1 }, false, 3},
		"another acknowledgement": {func(s *segment) { s.ack++ }, false, 3},
		"another window":          {func(s *segment) { s.window++ }, false, 3},
		"another timestamp":       {func(s *segment) { s.options = []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 3} }, false, 3},
		"other options":           {func(s *segment) { s.options = []byte{1, 1, 1, 1} }, false, 3},
		"a gap":                   {func(s *segment) { s.seq++ }, false, 3},
		"again":                   {func(s *segment) { s.seq -= 1000 }, false, 3},
		"another TTL":             {func(s *segment) { s.ttl-- }, false, 3},
		"another hop limit":       {func(s *segment) { s.ttl-- }, true, 3},
		"congestion met":          {func(s *segment) { s.tos |= 3 }, false, 3},
		"another class":           {func(s *segment) { s.tos |= 3 }, true, 3},
		"may be split":            {func(s *segment) { s.flagsV = 0 }, false, 3},
		"a fragment":              {func(s *segment) { s.flagsV |= 0x2000 }, false, 3},
		"IPv4 options":            {func(s *segment) { s.ipOptions = []byte{1, 1, 1, 0} }, false, 3},
		"another identification":  {func(s *segment) { s.id += 5 }, false, 3},
		"another port":            {func(s *segment) { s.port++ }, false, 2}, // another flow in between, and a gap
		"another host":            {func(s *segment) { s.host++ }, false, 2},
		"a VLAN tag":              {func(s *segment) { s.tags = []uint16{etherVLAN} }, false, 3},
		"UDP":                     {func(s *segment) { s.udp = true }, false, 2},
		"padding":                 {func(s *segment) { s.padding = 3 }, false, 3},
	} {
		one := plain(4344)
		one.v6 = test.v6
		var frames [][]byte
		for i := range 3 {
			s := one
			s.payload = bytes.Clone(one.payload[i*1448 : (i+1)*1448])
			s.seq, s.id = one.seq+uint32(i*1448), one.id+uint16(i)
			if i == 1 {
				test.change(&s)
			}
			frames = append(frames, s.bytes())
		}
		want := test.pieces
		if name == "another port" || name == "another host" || name == "UDP" {
			want = 3 // the third does not continue the first
		}
		pieces, _ := depart(clones(frames))
		if len(pieces) != want {
			t.Errorf("%s: %d pieces, want %d", name, len(pieces), want)
		}
	}
}

// TestWhatUDPMerges does so with datagrams.
func TestWhatUDPMerges(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *segment, frame []byte) []byte
		pieces int // of the three
	}{
		"nothing":         {func(s *segment, f []byte) []byte { return f }, 1},
		"shorter":         {func(s *segment, f []byte) []byte { s.payload = s.payload[:99]; return s.bytes() }, 2},
		"longer":          {func(s *segment, f []byte) []byte { s.payload = append(s.payload, 1); return s.bytes() }, 2}, // and takes in the third
		"empty":           {func(s *segment, f []byte) []byte { s.payload = nil; return s.bytes() }, 3},
		"another TTL":     {func(s *segment, f []byte) []byte { s.ttl--; return s.bytes() }, 3},
		"another service": {func(s *segment, f []byte) []byte { s.tos = 8; return s.bytes() }, 3},
		"padding":         {func(s *segment, f []byte) []byte { s.padding = 1; return s.bytes() }, 3},
		"no checksum":     {func(s *segment, f []byte) []byte { f[40], f[41] = 0, 0; return f }, 3},
		"wrong checksum":  {func(s *segment, f []byte) []byte { f[41]++; return f }, 3},
		"another length":  {func(s *segment, f []byte) []byte { f[39]--; return f }, 3},
	} {
		s := plain(300)
		s.udp = true
		frames := s.cutPlainly(100)
		one := s
		one.payload, one.id = bytes.Clone(s.payload[100:200]), s.id+1
		frames[1] = test.change(&one, frames[1])
		if pieces, _ := depart(clones(frames)); len(pieces) != test.pieces {
			t.Errorf("%s: %d pieces, want %d", name, len(pieces), test.pieces)
		}
	}
	many := plain(200 * 10)
	many.udp = true
	if pieces, _ := depart(many.cutPlainly(10)); len(pieces) != 4 {
		t.Errorf("200 datagrams in %d pieces", len(pieces))
	}
}

// The identification may stay the same where it means nothing, and only there.
func TestFixedIdentification(t *testing.T) {
	for flags, want := range map[uint16]int{flagDontFragment: 1, 0: 4} {
		s := plain(4 * 1448)
		s.flagsV = flags
		frames := s.cutPlainly(1448)
		for _, f := range frames {
			binary.BigEndian.PutUint16(f[18:], s.id)
			f[24], f[25] = 0, 0
			binary.BigEndian.PutUint16(f[24:], ^uint16(slowSum(0, f[14:34])))
		}
		if pieces, _ := depart(frames); len(pieces) != want {
			t.Errorf("flags %#x: %d pieces, want %d", flags, len(pieces), want)
		}
	}
}

// TestDamageIsNotBlessed flips every byte of a segment in turn. Whatever leaves
// with the mark that the sums are right was right; what was damaged leaves as it
// came.
func TestDamageIsNotBlessed(t *testing.T) {
	r := newReceiver(1500, false)
	for _, v6 := range []bool{false, true} {
		s := plain(3 * 100)
		s.v6 = v6
		for which := range 3 {
			for at := ethernetLen; at < len(s.cutPlainly(100)[0]); at++ {
				frames := s.cutPlainly(100)
				frames[which][at] ^= 0x81
				pieces, headers := depart(clones(frames))
				left := 0
				for i, piece := range pieces {
					if headers[i].gso == gsoNone {
						left++
						if !bytes.Equal(piece, frames[which]) && !bytes.Equal(piece, frames[(which+1)%3]) && !bytes.Equal(piece, frames[(which+2)%3]) {
							t.Fatalf("byte %d of segment %d: a frame was changed", at, which)
						}
						continue
					}
					// Some bytes are neither summed nor compared with others: none in these.
					for _, one := range recut(t, r, pieces[i:i+1], headers[i:i+1]) {
						if bytes.Equal(one, frames[which]) {
							t.Fatalf("byte %d of segment %d: the damaged frame was merged", at, which)
						}
					}
				}
				if left == 0 {
					t.Fatalf("byte %d of segment %d: everything was merged", at, which)
				}
			}
		}
	}
}

// TestFlowsKeepTheirOrder mixes random flows, some of whose segments do not
// merge, and cuts what has become of them again: every flow's frames are the
// same bytes in the same order.
func TestFlowsKeepTheirOrder(t *testing.T) {
	r := newReceiver(1500, false)
	for seed := range uint64(300) {
		dice := random(seed)
		flows := make([]segment, 1+dice.IntN(2*openMost))
		for i := range flows {
			s := plain(0)
			s.host, s.port = byte(1+dice.IntN(3)), uint16(1000+i)
			s.v6, s.seq, s.id = dice.IntN(2) == 0, dice.Uint32(), uint16(dice.Uint32())
			flows[i] = s
		}
		var sent [][]byte
		for range 400 {
			s := &flows[dice.IntN(len(flows))]
			size := []int{1000, 1000, 1000, 1000, 1000, 300, 0, 1400}[dice.IntN(8)]
			s.payload = make([]byte, size)
			for i := range s.payload {
				s.payload[i] = byte(dice.Uint32())
			}
			one := *s
			switch dice.IntN(20) {
			case 0:
				one.flags |= flagPSH
			case 1:
				one.flags |= flagCWR
			case 2:
				one.flags |= flagFIN
			case 3:
				one.ttl--
			case 4:
				one.udp = true
			case 5:
				s.ack++
			}
			frame := one.bytes()
			if dice.IntN(20) == 0 {
				frame[len(frame)-1] ^= 1
			}
			sent = append(sent, frame)
			s.seq += uint32(size)
			s.id++
		}
		pieces, headers := depart(clones(sent))
		if len(pieces) == len(sent) {
			t.Fatalf("seed %d: nothing was merged", seed)
		}
		got := recut(t, r, pieces, headers)
		if len(got) != len(sent) {
			t.Fatalf("seed %d: %d frames, want %d", seed, len(got), len(sent))
		}
		for i := range flows {
			for _, protocol := range []byte{protocolTCP, protocolUDP} {
				ours := func(frames [][]byte) (some [][]byte) {
					for _, f := range frames {
						if l, _ := read(f, len(f)); l.protocol == protocol && binary.BigEndian.Uint16(f[l.transport:]) == flows[i].port {
							some = append(some, f)
						}
					}
					return some
				}
				same(t, "flow", ours(got), ours(sent))
			}
		}
	}
}

// A super-frame ends where an IP packet must.
func TestLongestPiece(t *testing.T) {
	s := plain(maxSuperLen - 66)
	frames := s.cutPlainly(1448)
	after := s
	after.seq, after.id, after.payload = s.seq+uint32(len(s.payload)), s.id+uint16(len(frames)), make([]byte, 1448)
	pieces, headers := depart(append(frames, after.bytes()))
	if len(pieces) != 2 {
		t.Fatalf("%d pieces", len(pieces))
	}
	r := newReceiver(1500, false)
	same(t, "long", recut(t, r, pieces[:1], headers[:1]), s.cutPlainly(1448))
	// One that would be longer is two.
	long := plain(46 * 1448)
	var all [][]byte
	for i := range 46 {
		one := long
		one.payload, one.seq, one.id = long.payload[i*1448:(i+1)*1448], long.seq+uint32(i*1448), long.id+uint16(i)
		all = append(all, one.bytes())
	}
	if pieces, _ := depart(all); len(pieces) != 2 || len(pieces[0]) != ethernetLen+52+45*1448 {
		t.Errorf("%d pieces, the first of %d bytes", len(pieces), len(pieces[0]))
	}
}

// FuzzCoalesce hands hostile frames to the sender: nothing may be lost or
// changed but by merging what can be cut again.
func FuzzCoalesce(f *testing.F) {
	for _, s := range supers() {
		if cut := s.cutPlainly(1448); len(cut) > 2 {
			f.Add(cut[0], cut[1], cut[2])
		}
	}
	r := newReceiver(1500, false)
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		frames := [][]byte{a, b, c}
		for _, one := range frames {
			if len(one) < ethernetLen || len(one) > 2000 {
				return
			}
		}
		pieces, headers := depart(clones(frames))
		got := recut(t, r, pieces, headers)
		if len(got) != len(frames) {
			t.Fatalf("%d frames of %d", len(got), len(frames))
		}
		merged := len(pieces) < len(frames)
		for _, one := range got {
			if !merged && !bytes.Equal(one, a) && !bytes.Equal(one, b) && !bytes.Equal(one, c) {
				t.Fatal("a frame was changed")
			}
		}
	})
}

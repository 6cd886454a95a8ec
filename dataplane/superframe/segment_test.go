package superframe

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// arrive plays the kernel: it writes a frame into the strip of message 0 the way
// the vectors say, and returns what take makes of it. tag, when not 0, is a VLAN
// tag beside the frame.
func arrive(r *receiver, frame []byte, v vnet, kind, tag uint16) ([][]byte, Refusal) {
	r.frames = r.frames[:0]
	v.write(&r.vnets[0])
	strip := r.strip(0)
	rest := frame[copy(strip[headroom:headroom+r.shape.header+r.shape.size], frame):]
	for j := 1; j < r.pieces; j++ {
		rest = rest[copy(strip[j*r.stride+headroom+r.shape.header:][:r.shape.size], rest):]
	}
	rest = rest[copy(strip[r.pieces*r.stride:][:maxFrameLen], rest):]
	m := &r.messages[0]
	m.length, m.Flags = uint32(vnetLen+len(frame)), 0
	if len(rest) > 0 {
		m.Flags = unix.MSG_TRUNC
	}
	m.SetControllen(controlLen)
	clear(r.controls[0][:])
	control := r.controls[0][auxdata:]
	if kind != 0 {
		binary.NativeEndian.PutUint32(control, unix.TP_STATUS_VLAN_VALID|unix.TP_STATUS_VLAN_TPID_VALID)
		binary.NativeEndian.PutUint16(control[16:], tag)
		binary.NativeEndian.PutUint16(control[18:], kind)
	}
	why := r.take(0)
	return r.frames, why
}

func same(t *testing.T, what string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d frames, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("%s: frame %d of %d is\n%x, want\n%x", what, i, len(want), got[i], want[i])
		}
	}
}

func supers() map[string]segment {
	with := func(change func(*segment)) segment {
		s := plain(20000)
		change(&s)
		return s
	}
	hop := []byte{protocolOptions, 0, 1, 4, 0, 0, 0, 0, protocolTCP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	return map[string]segment{
		"IPv4":            with(func(s *segment) {}),
		"IPv6":            with(func(s *segment) { s.v6 = true }),
		"last segment":    with(func(s *segment) { s.flags |= flagFIN | flagPSH }),
		"congestion":      with(func(s *segment) { s.flags |= flagCWR | flagECE; s.tos = 2 }),
		"no options":      with(func(s *segment) { s.options = nil }),
		"most options":    with(func(s *segment) { s.options = make([]byte, 40) }),
		"IPv4 options":    with(func(s *segment) { s.ipOptions = []byte{1, 1, 1, 0} }),
		"IPv6 options":    with(func(s *segment) { s.v6, s.ipOptions = true, hop }),
		"one tag":         with(func(s *segment) { s.tags = []uint16{etherVLAN} }),
		"two tags":        with(func(s *segment) { s.v6, s.tags = true, []uint16{etherQinQ, etherVLAN} }),
		"one segment":     with(func(s *segment) { s.payload = s.payload[:100] }),
		"one byte":        with(func(s *segment) { s.payload = s.payload[:1] }),
		"one byte over":   with(func(s *segment) { s.payload = s.payload[:1449] }),
		"UDP":             with(func(s *segment) { s.udp = true }),
		"UDP over IPv6":   with(func(s *segment) { s.udp, s.v6 = true, true }),
		"whole segments":  with(func(s *segment) { s.payload = s.payload[:1448*4] }),
		"the most":        with(func(s *segment) { s.payload = make([]byte, maxIPLen-ipv4Len-tcpLen-12) }),
		"padded":          with(func(s *segment) { s.padding = 7 }),
		"length of zeros": with(func(s *segment) { clear(s.payload) }),
	}
}

// TestSegments compares every byte of every segment with what a plain builder
// makes, whatever shape the strips were made for.
func TestSegments(t *testing.T) {
	shapes := []shape{{66, 1448}, {86, 1428}, {54, 1460}, {66, 100}, {66, 9000}, {20, 30}, {200, 536}, {70, 1448}, {70, 1449}}
	for name, s := range supers() {
		for _, size := range []int{1448, 1460, 536, 100, 8948, 1449, 48} {
			if (len(s.payload)+size-1)/size*(size+200) > stripLen {
				continue
			}
			frame, v := s.super(size)
			want := s
			want.padding = 0 // a card sends no padding behind segments
			for _, guess := range shapes {
				r := newReceiver(1500, false)
				r.lay(guess)
				got, why := arrive(r, frame, v, 0, 0)
				if why != fine {
					t.Fatalf("%s of %d: %v", name, size, why)
				}
				same(t, name, got, want.cutPlainly(size))
				if l, _ := read(frame, len(frame)); (guess == shape{l.payload, size}) != (r.guessed == 1) && (len(s.payload)+size-1)/size <= r.pieces {
					t.Errorf("%s of %d: the shape %v was guessed right %d times", name, size, guess, r.guessed)
				}
			}
		}
	}
}

// A tag that the kernel keeps beside the frame comes to stand in every segment.
func TestTagIsPutBack(t *testing.T) {
	for _, guess := range []shape{{66, 1448}, {70, 1448}} {
		for _, kind := range []uint16{etherVLAN, etherQinQ} {
			s := plain(5000)
			frame, v := s.super(1448)
			tagged := s
			tagged.tags = []uint16{kind}
			r := newReceiver(1500, false)
			r.lay(guess)
			got, why := arrive(r, frame, v, kind, 100)
			if why != fine {
				t.Fatal(why)
			}
			same(t, "tagged", got, tagged.cutPlainly(1448))

			s.payload, tagged.payload = s.payload[:99], s.payload[:99]
			frame, v = s.super(1448)
			v.gso, v.size = gsoNone, 0
			got, why = arrive(r, frame, v, kind, 100)
			if why != fine {
				t.Fatal(why)
			}
			same(t, "tagged", got, [][]byte{tagged.bytes()})
		}
	}
}

// A single frame's checksum is finished where the sender left it to its card, and
// left alone where it did not: one that is wrong stays wrong.
func TestSingleFrames(t *testing.T) {
	for name, s := range supers() {
		for _, guess := range []shape{{66, 1448}, {66, 100}, {20, 30}} {
			r := newReceiver(1500, false)
			r.lay(guess)
			begun, v := s.super(1)
			v.gso, v.size = gsoNone, 0
			if s.padding == 0 { // nobody pads a frame and leaves its checksum open
				got, why := arrive(r, begun, v, 0, 0)
				if why != fine {
					t.Fatalf("%s: %v", name, why)
				}
				same(t, name, got, [][]byte{s.bytes()})
			}
			damaged := s.bytes()
			damaged[len(damaged)-1-s.padding] ^= 0x10
			got, why := arrive(r, bytes.Clone(damaged), vnet{}, 0, 0)
			if why != fine {
				t.Fatalf("%s: %v", name, why)
			}
			same(t, name, got, [][]byte{damaged})
		}
	}
}

func TestSCTPChecksum(t *testing.T) {
	s := plain(600)
	frame := s.bytes()
	frame[14+9] = protocolSCTP
	want := bytes.Clone(frame)
	clear(want[34+8 : 34+12])
	binary.LittleEndian.PutUint32(want[34+8:], crc32.Checksum(want[34:], crc32.MakeTable(crc32.Castagnoli)))
	got, why := arrive(newReceiver(1500, false), frame, vnet{flags: needsChecksum, start: 34, inStart: 8}, 0, 0)
	if why != fine {
		t.Fatal(why)
	}
	same(t, "SCTP", got, [][]byte{want})
}

// TestRefused names every super-frame that cannot be cut truthfully.
func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(frame []byte, v *vnet) []byte
		want   Refusal
	}{
		"no checksum begun":         {func(f []byte, v *vnet) []byte { v.flags = 0; return f }, notSegmentable},
		"IPv6 said of IPv4":         {func(f []byte, v *vnet) []byte { v.gso = gsoTCP6; return f }, notSegmentable},
		"UDP said of TCP":           {func(f []byte, v *vnet) []byte { v.gso = gsoUDP; return f }, notSegmentable},
		"a kind that is none":       {func(f []byte, v *vnet) []byte { v.gso = 3; return f }, notSegmentable},
		"segments of no size":       {func(f []byte, v *vnet) []byte { v.size = 0; return f }, notSegmentable},
		"checksum of a tunnel":      {func(f []byte, v *vnet) []byte { v.start += 50; return f }, notSegmentable},
		"checksum elsewhere":        {func(f []byte, v *vnet) []byte { v.inStart = 6; return f }, notSegmentable},
		"a fragment":                {func(f []byte, v *vnet) []byte { f[20] = 0x20; return f }, notSegmentable},
		"longer than its frame":     {func(f []byte, v *vnet) []byte { return f[:len(f)-1] }, notSegmentable},
		"headers cut off":           {func(f []byte, v *vnet) []byte { return f[:40] }, notSegmentable},
		"another EtherType":         {func(f []byte, v *vnet) []byte { f[12] = 9; return f }, notSegmentable},
		"TCP header of 16 bytes":    {func(f []byte, v *vnet) []byte { f[46] = 4 << 4; return f }, notSegmentable},
		"segments of one byte":      {func(f []byte, v *vnet) []byte { v.size = 1; return f }, tooLong},
		"no Ethernet header":        {func(f []byte, v *vnet) []byte { return f[:13] }, malformed},
		"checksum behind the frame": {func(f []byte, v *vnet) []byte { v.gso = gsoNone; v.inStart = 60000; return f }, malformed},
		"more than can be":          {func(f []byte, v *vnet) []byte { return append(f, make([]byte, 2*maxFrameLen)...) }, tooLong},
	} {
		s := plain(20000)
		frame, v := s.super(1448)
		frame = test.change(frame, &v)
		if got, why := arrive(newReceiver(1500, false), frame, v, 0, 0); why != test.want || len(got) != 0 {
			t.Errorf("%s: %v, %d frames, want %v", name, why, len(got), test.want)
		}
	}
	for _, r := range Refusals() {
		if strings.TrimSpace(r.String()) == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
}

// The layout follows what arrives, but not for one stray frame among many.
func TestShapeFollows(t *testing.T) {
	r := newReceiver(1500, false)
	if r.shape != (shape{66, 1448}) {
		t.Fatalf("the first guess is %v", r.shape)
	}
	r.guessed, r.missed, r.wanted = 1, 1, shape{86, 1428}
	r.follow()
	if r.shape != (shape{66, 1448}) {
		t.Errorf("one stray frame made it %v", r.shape)
	}
	r.guessed, r.missed = 0, 1
	r.follow()
	if r.shape != (shape{86, 1428}) {
		t.Errorf("it stayed %v", r.shape)
	}
}

// FuzzTake hands hostile frames with hostile descriptions to the receiver.
func FuzzTake(f *testing.F) {
	for _, s := range supers() {
		frame, v := s.super(1448)
		var header [vnetLen]byte
		v.write(&header)
		f.Add(header[:], frame, uint16(66), uint16(1448), uint16(0))
		f.Add(header[:], frame[:min(len(frame), 60)], uint16(54), uint16(100), uint16(etherVLAN))
	}
	r := newReceiver(1500, false)
	f.Fuzz(func(t *testing.T, header, frame []byte, head, size, tag uint16) {
		if len(header) != vnetLen || len(frame) > 2*maxFrameLen || head < ethernetLen || head > maxHeaderLen || size < 64 || size > 20000 {
			return
		}
		r.lay(shape{int(head), int(size)})
		var v vnet
		v.read((*[vnetLen]byte)(header))
		frames, why := arrive(r, frame, v, tag, 5)
		if (why == fine) != (len(frames) > 0) {
			t.Fatalf("%v, and %d frames", why, len(frames))
		}
		for i := 1; i < len(frames); i++ {
			if len(frames[i-1]) == 0 || &frames[i-1][:cap(frames[i-1])][cap(frames[i-1])-1] == &frames[i][0] {
				t.Fatal("frames overlap")
			}
		}
		if why == fine && v.gso != gsoNone {
			for _, one := range frames {
				if l, ok := read(one, len(one)); !ok || l.end != len(one) || !verify(one, &l) {
					t.Fatalf("a segment that is none: %x", one)
				}
			}
		}
	})
}

// random is a source that gives the same in every run.
func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

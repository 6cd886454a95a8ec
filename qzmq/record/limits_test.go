package record

import (
	"errors"
	"testing"
)

// limited is a sealer with limits that a test can reach.
func limited(l Limits) *Sealer {
	s := NewSealer(testKeys(1), 7, 1)
	s.limits = l
	stuck(s)
	return s
}

// stuck leaves a sealer without further keys, as if nobody prepared them.
func stuck(s *Sealer) {
	s.next.Store(nil)
	s.chain.epoch = lastEpoch
}

const never = ^uint64(0)

func TestSealerLimits(t *testing.T) {
	for _, c := range []struct {
		name              string
		limits            Limits
		payload           int
		rotate, exhausted int // how many records until then
	}{
		{"records", Limits{RotateRecords: 5, RotateBlocks: never, MaxRecords: 10, MaxBlocks: never}, 1, 7, 10},
		{"blocks", Limits{RotateRecords: never, RotateBlocks: 12, MaxRecords: never, MaxBlocks: 24}, 32, 6, 8},
		{"a block begun counts whole", Limits{RotateRecords: never, RotateBlocks: 12, MaxRecords: never, MaxBlocks: 24}, 17, 6, 8},
		{"empty records count the header", Limits{RotateRecords: never, RotateBlocks: 12, MaxRecords: never, MaxBlocks: 24}, 0, 18, 24},
		{"blocks that do not divide", Limits{RotateRecords: never, RotateBlocks: 13, MaxRecords: never, MaxBlocks: 25}, 32, 7, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := limited(c.limits)
			b := NewBurst(1)
			dst, payload := make([]byte, c.payload+Overhead), make([]byte, c.payload)
			for i := 1; i <= c.exhausted; i++ {
				if !b.Add(s, dst, payload) {
					t.Fatalf("record %d refused, want %d", i, c.exhausted)
				}
				b.Seal()
				u := s.Usage()
				if u.Rotate != (i >= c.rotate) {
					t.Fatalf("after %d records Rotate is %v, want it from %d on", i, u.Rotate, c.rotate)
				}
				if u.Records != uint64(i) || u.Bytes != uint64(i*c.payload) {
					t.Fatalf("after %d records usage is %+v", i, u)
				}
			}
			for range 3 {
				if b.Add(s, dst, payload) {
					t.Fatal("sealed past the limit")
				}
			}
			b.Seal()
			if s.header.Seq != uint64(c.exhausted) {
				t.Errorf("next number %d, want %d: a refusal consumes none", s.header.Seq, c.exhausted)
			}
			if u := s.Usage(); !u.Exhausted || !u.Rotate || u.Records != uint64(c.exhausted) {
				t.Errorf("usage %+v at the end", u)
			}
		})
	}
}

// A record too large for what is left of the key is refused; a smaller one may
// still fit.
func TestSealerLimitLargeRecord(t *testing.T) {
	s := limited(Limits{RotateRecords: never, RotateBlocks: never, MaxRecords: never, MaxBlocks: 10})
	b := NewBurst(2)
	if b.Add(s, make([]byte, 160+Overhead), make([]byte, 160)) {
		t.Error("11 blocks sealed under a key of 10")
	}
	if !b.Add(s, make([]byte, 144+Overhead), make([]byte, 144)) {
		t.Error("10 blocks refused by a key of 10")
	}
	b.Seal()
	if u := s.Usage(); !u.Exhausted || u.Records != 1 {
		t.Errorf("usage %+v", u)
	}
}

func TestOpenerForgedLimits(t *testing.T) {
	s, o := NewSealer(testKeys(1), 7, 1), NewOpener(testKeys(1), 7, 1)
	o.limits.RotateForged, o.limits.MaxForged = 4, 8
	genuine := make([][]byte, 10)
	b := NewBurst(1)
	for i := range genuine {
		genuine[i] = make([]byte, Overhead)
		b.Add(s, genuine[i], nil)
		b.Seal()
	}
	bad := append([]byte(nil), genuine[9]...)
	bad[Overhead-1] ^= 1
	for i := uint64(1); i <= 8; i++ {
		if _, v := o.Open(nil, genuine[i-1]); v != Opened {
			t.Fatalf("verdict %d for a genuine record after %d forged ones", v, i-1)
		}
		if _, v := o.Open(nil, bad); v != Forged {
			t.Fatalf("verdict %d for forged record %d", v, i)
		}
		o.Acquire(1)
		o.Release()
		if u := o.Usage(); u.Forged != i || u.Rotate != (i >= 4) || u.Exhausted != (i >= 8) {
			t.Fatalf("after %d forged records usage is %+v", i, u)
		}
	}
	for range 3 {
		if _, v := o.Open(nil, genuine[8]); v != Exhausted {
			t.Errorf("verdict %d at the limit, want Exhausted", v)
		}
	}
	if _, v := o.Open(nil, genuine[0]); v != Replayed {
		t.Errorf("verdict %d for a replay at the limit", v)
	}
}

func TestStreamLimits(t *testing.T) {
	s, o := NewStreamSealer(testKeys(1)), NewStreamOpener(testKeys(1))
	l := Limits{RotateRecords: 3, RotateBlocks: never, MaxRecords: 6, MaxBlocks: never}
	s.limits, o.limits = l, l
	var last []byte
	for i := 1; i <= 6; i++ {
		r, err := s.Seal(nil, []byte("x"))
		if err != nil || s.Rotate() != (i >= 3) {
			t.Fatalf("record %d: %v, Rotate %v", i, err, s.Rotate())
		}
		if _, err := o.Open(nil, r); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		last = r
	}
	if r, err := s.Seal([]byte("kept"), nil); !errors.Is(err, ErrExhausted) || r != nil || s.header.Seq != 6 {
		t.Errorf("at the limit: %x, %v, next number %d", r, err, s.header.Seq)
	}
	if _, err := o.Open(nil, last); !errors.Is(err, ErrExhausted) {
		t.Errorf("opener at its limit: %v", err)
	}
}

// The figures of the protocol's table, and that every key asks to be replaced
// before it stops.
func TestRegisteredLimits(t *testing.T) {
	gcm := Limits{1 << 16, 1 << 27, 1 << 34, 1 << 28, 1 << 35, 1 << 51, 1 << 52}
	if got := AES256GCM.Limits(); got != gcm {
		t.Errorf("AES-256-GCM %+v, want %+v", got, gcm)
	}
	l := ChaCha20Poly1305.Limits()
	if l.FirstRecords != 1<<16 || l.RotateRecords != 1<<27 || l.RotateBlocks != 1<<34 || l.MaxRecords != 1<<48 || l.RotateForged != 1<<35 || l.MaxForged != 1<<36 {
		t.Errorf("ChaCha20-Poly1305 %+v", l)
	}
	for _, a := range []AEAD{AES256GCM, ChaCha20Poly1305} {
		if l := a.Limits(); l.RotateRecords >= l.MaxRecords || l.RotateBlocks >= l.MaxBlocks || l.RotateForged >= l.MaxForged {
			t.Errorf("cipher %d stops before it asks to be replaced: %+v", a, l)
		}
		s := NewSealer(NewKeys(a, SHA256, make([]byte, 32)), 1, 1)
		if s.limits != a.Limits() {
			t.Errorf("a sealer of cipher %d has limits %+v", a, s.limits)
		}
	}
}

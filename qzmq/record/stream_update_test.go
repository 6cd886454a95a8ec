package record

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// carry seals and opens n records, of which each names its number.
func carry(t *testing.T, s *StreamSealer, o *StreamOpener, n int) {
	t.Helper()
	for range n {
		want := fmt.Appendf(nil, "record %d", s.header.Seq)
		r, err := s.Seal(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.Open(r[:0], r)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

func TestStreamUpdate(t *testing.T) {
	for _, a := range []AEAD{AES256GCM, ChaCha20Poly1305} {
		secret := bytes.Repeat([]byte{7}, SHA256.Size())
		s, o := NewStreamSealer(NewKeys(a, SHA256, secret)), NewStreamOpener(NewKeys(a, SHA256, secret))
		for epoch := range 4 {
			// The key of each epoch is that of a stream which starts with its secret.
			fresh := NewKeys(a, SHA256, secret).consume()
			if fresh.iv != s.iv || fresh.iv != o.iv || int(s.header.Epoch) != epoch {
				t.Fatalf("epoch %d has another key", epoch)
			}
			secret = ExpandLabel(SHA256, secret, "traffic upd", nil, SHA256.Size())
			carry(t, s, o, minUpdate)
			if s.header.Seq != uint64((epoch+1)*minUpdate) {
				t.Fatalf("seq is %d after %d epochs", s.header.Seq, epoch+1)
			}
			if err := errors.Join(s.Update(), o.Update()); err != nil {
				t.Fatal(err)
			}
			if s.records != 0 || o.records != 0 {
				t.Fatal("a new key has records already")
			}
		}
	}
}

// One side alone in the next epoch understands nothing.
func TestStreamUpdateOfOneSide(t *testing.T) {
	for _, updates := range []func(*StreamSealer, *StreamOpener) error{
		func(s *StreamSealer, _ *StreamOpener) error { return s.Update() },
		func(_ *StreamSealer, o *StreamOpener) error { return o.Update() },
	} {
		s, o := NewStreamSealer(testKeys(1)), NewStreamOpener(testKeys(1))
		carry(t, s, o, minUpdate)
		if err := updates(s, o); err != nil {
			t.Fatal(err)
		}
		r, err := s.Seal(nil, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Open(nil, r); err != ErrBadRecord {
			t.Errorf("%v", err)
		}
	}
}

// The epoch is authenticated: the same key and number under another epoch byte
// do not open.
func TestStreamEpochIsAuthenticated(t *testing.T) {
	s, o := NewStreamSealer(testKeys(1)), NewStreamOpener(testKeys(1))
	o.header.Epoch = 1
	r, err := s.Seal(nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Open(nil, r); err != ErrBadRecord {
		t.Errorf("%v", err)
	}
}

// An update comes after 1,024 records and not before, on either side, and every
// one needs as many.
func TestStreamUpdateFlood(t *testing.T) {
	s, o := NewStreamSealer(testKeys(1)), NewStreamOpener(testKeys(1))
	s.Lower(Limits{FirstRecords: 1, RotateRecords: 1, RotateBlocks: never, MaxRecords: never, MaxBlocks: never, RotateForged: never, MaxForged: never})
	for range 3 {
		for range minUpdate {
			iv := s.iv
			if s.Due() || s.Update() != ErrUpdate || o.Update() != ErrUpdate || s.iv != iv || o.iv != iv {
				t.Fatalf("an update after %d records", s.records)
			}
			carry(t, s, o, 1)
		}
		if !s.Due() {
			t.Fatal("no update is due")
		}
		if err := errors.Join(s.Update(), o.Update()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStreamUpdateIsDue(t *testing.T) {
	lowered := func(l Limits) *StreamSealer {
		for _, n := range []*uint64{&l.FirstRecords, &l.RotateRecords, &l.RotateBlocks, &l.MaxRecords, &l.MaxBlocks, &l.RotateForged, &l.MaxForged} {
			if *n == 0 {
				*n = never
			}
		}
		s := NewStreamSealer(testKeys(1))
		s.Lower(l)
		return s
	}
	for _, c := range []struct {
		name           string
		limits         Limits
		first, further uint64 // records of the first epoch and of the next
		size           int
	}{
		{"first", Limits{FirstRecords: 2000, RotateRecords: 3000}, 2000, 3000, 1},
		{"records", Limits{RotateRecords: 1500}, 1500, 1500, 1},
		{"blocks", Limits{RotateBlocks: 1200 * 3}, 1200, 1200, 32},
	} {
		s := lowered(c.limits)
		for _, want := range []uint64{c.first, c.further} {
			for !s.Due() && s.records < 10_000 {
				if _, err := s.Seal(nil, make([]byte, c.size)); err != nil {
					t.Fatal(err)
				}
			}
			if s.records != want {
				t.Errorf("%s: after %d records, want %d", c.name, s.records, want)
			}
			if err := s.Update(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The epoch byte does not wrap. Near its end a new session is asked for, and
// then the last key goes on to its limit.
func TestStreamLastEpoch(t *testing.T) {
	s, o := NewStreamSealer(testKeys(1)), NewStreamOpener(testKeys(1))
	l := Limits{FirstRecords: 1, RotateRecords: minUpdate + 1, RotateBlocks: never, MaxRecords: minUpdate + 2, MaxBlocks: never, RotateForged: never, MaxForged: never}
	s.Lower(l)
	o.Lower(l)
	for epoch := range lastEpoch {
		if s.Rotate() != (epoch >= rotateEpoch) {
			t.Fatalf("epoch %d: a new session is asked for: %v", epoch, s.Rotate())
		}
		carry(t, s, o, minUpdate)
		if err := errors.Join(s.Update(), o.Update()); err != nil {
			t.Fatalf("epoch %d: %v", epoch, err)
		}
	}
	carry(t, s, o, minUpdate+2)
	if s.Due() || s.Update() != ErrUpdate || o.Update() != ErrUpdate {
		t.Error("an epoch after the last")
	}
	if _, err := s.Seal(nil, nil); err != ErrExhausted {
		t.Errorf("at the end of the last key: %v", err)
	}
}

func TestStreamUpdateWipesTheSecret(t *testing.T) {
	s := NewStreamSealer(testKeys(1))
	before := s.chain.secret
	s.records = minUpdate
	if err := s.Update(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, make([]byte, len(before))) {
		t.Error("the secret of the epoch before is still there")
	}
}

// The key of an epoch that is over seals nothing more, where the cipher can be
// wiped.
func TestOverIsWiped(t *testing.T) {
	if name, _ := Provider(); name == standard().name {
		t.Log("the standard library's cipher cannot be wiped")
		return
	}
	s := NewStreamSealer(testKeys(1))
	for range minUpdate {
		if _, err := s.Seal(nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	over := s.aead
	if err := s.Update(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("the key before still seals")
		}
	}()
	over.Seal(nil, make([]byte, nonceLen), nil, nil)
}

package record_test

import (
	"bytes"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// stream seals n messages of a TCP connection.
func stream(t *testing.T, a record.AEAD, n int) [][]byte {
	t.Helper()
	s := record.NewStreamSealer(keys(a, 1))
	out := make([][]byte, n)
	for i := range out {
		var err error
		if out[i], err = s.Seal(nil, message(i)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestStreamInOrder(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		o := record.NewStreamOpener(keys(a, 1))
		for i, r := range stream(t, a, 1000) {
			if len(r) != len(message(i))+record.TagLen {
				t.Fatalf("record %d has %d bytes", i, len(r))
			}
			got, err := o.Open(r[:0], r) // in place, as a connection does it
			if err != nil || !bytes.Equal(got, message(i)) {
				t.Fatalf("record %d: %q, %v", i, got, err)
			}
		}
	})
}

// Whatever is wrong with one record, the opener is finished: the genuine record
// and its successors do not open any more.
func TestStreamFailureEndsIt(t *testing.T) {
	sealed := stream(t, record.AES256GCM, 4)
	flipped := func(bit int) []byte {
		b := bytes.Clone(sealed[1])
		b[bit/8] ^= 1 << (bit % 8)
		return b
	}
	type attempt struct {
		name string
		bad  []byte
	}
	attempts := []attempt{
		{"replayed", sealed[0]}, {"one dropped", sealed[2]}, {"reordered", sealed[3]},
		{"empty", nil}, {"no longer than a tag", sealed[1][:record.TagLen]}, {"longer", append(bytes.Clone(sealed[1]), 0)},
		{"zeros", make([]byte, 64)},
	}
	for n := range sealed[1] {
		attempts = append(attempts, attempt{"cut", sealed[1][:n]})
	}
	for bit := range len(sealed[1]) * 8 {
		attempts = append(attempts, attempt{"bit flipped", flipped(bit)})
	}
	for _, c := range attempts {
		o := record.NewStreamOpener(keys(record.AES256GCM, 1))
		if _, err := o.Open(nil, sealed[0]); err != nil {
			t.Fatal(err)
		}
		if got, err := o.Open(nil, c.bad); err != record.ErrBadRecord || got != nil {
			t.Fatalf("%s: %q, %v", c.name, got, err)
		}
		for _, i := range []int{2, 3, 0, 1} { // 2 first: the number that would be next
			if _, err := o.Open(nil, sealed[i]); err != record.ErrBadRecord {
				t.Fatalf("%s: record %d after it: %v", c.name, i, err)
			}
		}
	}
}

// A record of one kind is not one of the other, although key and stream number
// are the same: the type is authenticated.
func TestStreamAndDatagramDoNotMix(t *testing.T) {
	s := record.NewSealer(keys(record.AES256GCM, 1), 0, 1)
	sealed := seal(t, s, []byte("datagram"))
	if _, err := record.NewStreamOpener(keys(record.AES256GCM, 1)).Open(nil, sealed[record.HeaderLen:]); err != record.ErrBadRecord {
		t.Errorf("a datagram opens as a stream record: %v", err)
	}
	r := stream(t, record.AES256GCM, 1)[0]
	o := record.NewOpener(keys(record.AES256GCM, 1), 0, 1)
	mustRefuse(t, o, append(header(0x10, 0, 1, 0, 0), r...), record.Forged)
}

// What one direction sealed does not open in the other: their secrets differ.
func TestStreamReflected(t *testing.T) {
	r := stream(t, record.AES256GCM, 1)[0]
	if _, err := record.NewStreamOpener(keys(record.AES256GCM, 2)).Open(nil, r); err != record.ErrBadRecord {
		t.Errorf("reflected record: %v", err)
	}
}

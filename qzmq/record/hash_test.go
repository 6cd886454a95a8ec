package record_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// hkdfLabel is ExpandLabel through the standard library, with which it shares
// nothing above the hash function itself.
func hkdfLabel(h record.Hash, secret []byte, label string, context []byte, n int) []byte {
	info := []byte{byte(n >> 8), byte(n), byte(6 + len(label))}
	info = append(append(append(info, "qzmq1 "+label...), byte(len(context))), context...)
	out, err := hkdf.Expand(h.New, secret, string(info), n)
	if err != nil {
		panic(err)
	}
	return out
}

func TestEveryHash(t *testing.T) {
	for h, size := range map[record.Hash]int{record.SHA256: 32, record.SHA384: 48, record.SHA512: 64} {
		if !h.Valid() || h.Size() != size || h.New().Size() != size {
			t.Errorf("hash %d: size %d", h, h.Size())
		}
		for _, label := range []string{"", "key", strings.Repeat("l", 249)} {
			for _, context := range [][]byte{nil, secret(3), bytes.Repeat([]byte{7}, 255)} {
				for _, key := range [][]byte{nil, secret(1), bytes.Repeat([]byte{5}, size), bytes.Repeat([]byte{6}, h.New().BlockSize())} {
					for _, n := range []int{0, 1, 12, size - 1, size, size + 1, 3*size + 1, 255 * size} {
						got := record.ExpandLabel(h, key, label, context, n)
						if want := hkdfLabel(h, key, label, context, n); !bytes.Equal(got, want) {
							t.Fatalf("hash %d, %d bytes of secret, label, context %d, %d: %d bytes wrong", h, len(key), len(label), len(context), n)
						}
					}
				}
			}
		}
		k := record.NewKeys(record.AES256GCM, h, make([]byte, size))
		if sealed := k.SealOnce(nil, []byte("x")); len(sealed) != 17 {
			t.Errorf("hash %d seals %d bytes", h, len(sealed))
		}
	}
	for _, h := range []record.Hash{0, 4, 255} {
		if h.Valid() || h.Size() != 0 {
			t.Errorf("hash %d is in the registry", h)
		}
	}
}

func TestExpandLabelTooLong(t *testing.T) {
	for name, f := range map[string]func(){
		"label":   func() { record.ExpandLabel(1, secret(0), strings.Repeat("l", 250), nil, 1) },
		"context": func() { record.ExpandLabel(1, secret(0), "", make([]byte, 256), 1) },
		"output":  func() { record.ExpandLabel(1, secret(0), "", nil, 255*32+1) },
		"secret":  func() { record.ExpandLabel(1, make([]byte, 65), "", nil, 1) },
		"hash":    func() { record.ExpandLabel(4, secret(0), "", nil, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a wrong %s is taken", name)
				}
			}()
			f()
		}()
	}
}

// TestMAC holds it against crypto/hmac, and HKDF-Extract against crypto/hkdf.
func TestMAC(t *testing.T) {
	for h := record.SHA256; h.Valid(); h++ {
		for _, key := range [][]byte{nil, secret(1), bytes.Repeat([]byte{6}, h.New().BlockSize()), make([]byte, 200)} {
			for _, n := range []int{0, 1, 32, 64, 128, 514, 515, 5000} {
				m := hmac.New(h.New, key)
				m.Write(make([]byte, n))
				if got := record.MAC(h, key, make([]byte, n)); !bytes.Equal(got, m.Sum(nil)) {
					t.Errorf("hash %d, key of %d, message of %d bytes", h, len(key), n)
				}
			}
		}
		if prk, err := hkdf.Extract(h.New, secret(2), secret(1)); err != nil || !bytes.Equal(prk, record.MAC(h, secret(1), secret(2))) {
			t.Errorf("hash %d: HKDF-Extract, %v", h, err)
		}
	}
}

// TestExpandLabelAllocates: the result, and nothing else.
func TestExpandLabelAllocates(t *testing.T) {
	for h := record.SHA256; h.Valid(); h++ {
		s := make([]byte, h.Size())
		if n := testing.AllocsPerRun(100, func() { record.ExpandLabel(h, s, "c ap traffic", s, len(s)) }); n > 1 {
			t.Errorf("hash %d: %v allocations", h, n)
		}
	}
}

// TestEarly: early data opens as what it is and as nothing else.
func TestEarly(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		aad, text := []byte("header"), []byte("early")
		sealed := keys(a, 1).SealEarly(aad, text)
		if got, err := keys(a, 1).OpenEarly(aad, sealed); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := keys(a, 1).OpenOnce(aad, sealed); err != record.ErrBadRecord {
			t.Errorf("as a flight: %v", err)
		}
		if _, err := keys(a, 2).OpenEarly(aad, sealed); err != record.ErrBadRecord {
			t.Errorf("another key: %v", err)
		}
		if _, err := keys(a, 1).OpenEarly(text, sealed); err != record.ErrBadRecord {
			t.Errorf("another header: %v", err)
		}
		for at := range sealed {
			sealed[at] ^= 1
			if _, err := keys(a, 1).OpenEarly(aad, sealed); err != record.ErrBadRecord {
				t.Errorf("byte %d: %v", at, err)
			}
			sealed[at] ^= 1
		}
	})
}

// BenchmarkExpandLabel compares with crypto/hkdf in turns of one run, so that
// both see the same machine. "x-hkdf" is the ratio of the times.
func BenchmarkExpandLabel(b *testing.B) {
	for h := record.SHA256; h.Valid(); h++ {
		b.Run(fmt.Sprint(h.Size()*8), func(b *testing.B) {
			s := make([]byte, h.Size())
			const turn = 100
			var ours, theirs time.Duration
			for b.Loop() {
				start := time.Now()
				for range turn {
					record.ExpandLabel(h, s, "c ap traffic", s, len(s))
				}
				middle := time.Now()
				for range turn {
					hkdfLabel(h, s, "c ap traffic", s, len(s))
				}
				ours, theirs = ours+middle.Sub(start), theirs+time.Since(middle)
			}
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N*turn), "ns/label")
			b.ReportMetric(float64(theirs.Nanoseconds())/float64(b.N*turn), "ns/hkdf")
			b.ReportMetric(float64(ours)/float64(theirs), "x-hkdf")
		})
	}
}

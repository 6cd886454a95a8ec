package vaes

import (
	"crypto/cipher"
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkAgainstStandard lets both ciphers take turns, so that a change of clock
// speed meets both, and gives medians, so that the scheduler's pauses meet neither.
func BenchmarkAgainstStandard(b *testing.B) {
	for _, w := range widths() {
		b.Run(w.String(), func(b *testing.B) {
			needs(b, w)
			againstStandard(b, w)
		})
	}
}

func againstStandard(b *testing.B, w width) {
	s := newSource()
	ours, standard := both(b, w, s.bytes(keySize))
	nonce, aad := s.bytes(nonceSize), s.bytes(16)
	for _, n := range []int{64, 256, 512, 1420, 1516, 8900, 65519} {
		plaintext, sealed, opened := s.bytes(n), make([]byte, 0, n+tagSize), make([]byte, 0, n)
		compare(b, fmt.Sprintf("seal/%d", n), ours, standard, func(c cipher.AEAD) {
			c.Seal(sealed, nonce, plaintext, aad)
		})
		ciphertext := ours.Seal(nil, nonce, plaintext, aad)
		compare(b, fmt.Sprintf("open/%d", n), ours, standard, func(c cipher.AEAD) {
			must(c.Open(opened, nonce, ciphertext, aad))
		})
	}
}

func compare(b *testing.B, name string, ours, standard cipher.AEAD, do func(cipher.AEAD)) {
	b.Run(name, func(b *testing.B) {
		const calls = 64 // many enough that reading the clock does not count
		var mine, theirs []time.Duration
		for range b.N {
			start := time.Now()
			for range calls {
				do(ours)
			}
			middle := time.Now()
			for range calls {
				do(standard)
			}
			mine, theirs = append(mine, middle.Sub(start)), append(theirs, time.Since(middle))
		}
		one, other := median(mine)/calls, median(theirs)/calls
		b.ReportMetric(one, "ns/record")
		b.ReportMetric(other, "standard-ns/record")
		b.ReportMetric(other/one, "times-standard")
		b.ReportMetric(0, "ns/op") // a round of both is no figure of interest
	})
}

func BenchmarkNew(b *testing.B) {
	key := make([]byte, keySize)
	for _, w := range widths() {
		b.Run(w.String(), func(b *testing.B) {
			needs(b, w)
			for range b.N {
				must(w.new(key))
			}
		})
	}
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Nanoseconds())
}

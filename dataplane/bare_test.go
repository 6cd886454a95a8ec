package dataplane

import (
	"crypto/aes"
	"crypto/cipher"
	"slices"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
	"github.com/qzmq/gateway/qzmq/record/vaes"
)

// bare is what the packet path is measured against: the cipher of the provider in
// use, called for one batch of packets in memory and nothing else, and a copy of
// the same bytes.
type bare struct {
	aead                     cipher.AEAD
	nonce                    []byte
	plain, sealed            [][]byte
	ours, underneath, copied []time.Duration
}

func newBare(b *testing.B, a record.AEAD, size int) *bare {
	b.Helper()
	if a != record.AES256GCM {
		b.Fatal("only AES-256-GCM is compared")
	}
	c, err := vaes.New(make([]byte, 32))
	if name, _ := record.Provider(); name == "standard library" {
		var block cipher.Block
		if block, err = aes.NewCipher(make([]byte, 32)); err == nil {
			c, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	out := &bare{aead: c, nonce: make([]byte, 12)}
	for range benchBatch {
		out.plain = append(out.plain, make([]byte, size))
		out.sealed = append(out.sealed, make([]byte, size+record.Overhead))
	}
	return out
}

func (c *bare) seal() {
	for i, r := range c.sealed {
		c.aead.Seal(r[16:16], c.nonce, c.plain[i], r[:16])
	}
}

func (c *bare) open() {
	for i, r := range c.sealed {
		if _, err := c.aead.Open(c.plain[i][:0], c.nonce, r[16:], r[:16]); err != nil {
			panic(err)
		}
	}
}

func (c *bare) copy() {
	for i, r := range c.sealed {
		copy(r[16:], c.plain[i])
	}
}

// turn notes what a batch of ours took, and lets the bare cipher and the copy do
// their own.
func (c *bare) turn(ours time.Duration, f func()) {
	start := time.Now()
	f()
	middle := time.Now()
	c.ours, c.underneath = append(c.ours, ours), append(c.underneath, middle.Sub(start))
	c.copy()
	c.copied = append(c.copied, time.Since(middle))
}

func (c *bare) report(b *testing.B) {
	ours, underneath, copied := medianOf(c.ours)/benchBatch, medianOf(c.underneath)/benchBatch, medianOf(c.copied)/benchBatch
	b.ReportMetric(ours, "ns/packet")
	b.ReportMetric(underneath, "bare-ns/packet")
	b.ReportMetric(copied, "copy-ns/packet")
	b.ReportMetric(underneath/ours, "of-bare")
	b.ReportMetric(copied/ours, "of-copy")
	b.ReportMetric(0, "ns/op") // a round of both is no figure of interest
}

// medianOf is in nanoseconds.
func medianOf(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Nanoseconds())
}

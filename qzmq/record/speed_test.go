package record_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

const burstSize = 64

// batch is memory for one burst.
type batch struct {
	burst    *record.Burst
	records  [][]byte
	payloads [][]byte
}

func newBatch(size int) *batch {
	b := &batch{burst: record.NewBurst(burstSize)}
	for range burstSize {
		b.records = append(b.records, make([]byte, size+record.Overhead))
		b.payloads = append(b.payloads, make([]byte, size))
	}
	return b
}

func (b *batch) seal(s *record.Sealer) {
	for i, r := range b.records {
		if !b.burst.Add(s, r, b.payloads[i]) {
			panic("the key is exhausted")
		}
	}
	b.burst.Seal()
}

func TestNoAllocations(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		s, o := pair(a, 1)
		b := newBatch(1420)
		round := func() {
			b.seal(s)
			o.Acquire(1)
			for i, r := range b.records {
				if _, v := o.Open(b.payloads[i], r); v != record.Opened {
					panic("refused")
				}
				if _, v := o.Open(b.payloads[i], r); v != record.Replayed {
					panic("replayed")
				}
				r[len(r)-1] ^= 1
				r[15] ^= 0x80 // a number that was not seen, so that the tag decides
				r[14] ^= 0x80
				if _, v := o.Open(b.payloads[i], r); v != record.Forged {
					panic("forged")
				}
			}
			o.Release()
			s.Usage()
			o.Usage()
		}
		if n := testing.AllocsPerRun(50, round); n != 0 {
			t.Errorf("%v allocations for %d records", n, burstSize)
		}
		ss, so := record.NewStreamSealer(keys(a, 2)), record.NewStreamOpener(keys(a, 2))
		sealed, plain := make([]byte, 0, 2000), make([]byte, 0, 2000)
		if n := testing.AllocsPerRun(50, func() {
			r, err := ss.Seal(sealed, b.payloads[0])
			if err != nil {
				panic(err)
			}
			if _, err := so.Open(plain, r); err != nil {
				panic(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations for a stream record", n)
		}
	})
}

// BenchmarkSeal reports, beside its own time, what the bare call of the cipher
// takes in the same run and what share of the speed remains. Both take turns, so
// that a change of clock speed meets both, and the figures are medians, so that
// the scheduler's pauses meet neither.
func BenchmarkSeal(b *testing.B) {
	eachSize(b, func(b *testing.B, a record.AEAD, size int) {
		c, iv := cipherOf(b, a, 1)
		s, _ := pair(a, 1)
		m := newBatch(size)
		compare(b, func() { m.seal(s) }, func() {
			for i, r := range m.records {
				c.Seal(r[16:16], iv, m.payloads[i], r[:16])
			}
		})
	})
}

// BenchmarkOpen does the same for Open. The records of a round are sealed before
// its clock runs.
func BenchmarkOpen(b *testing.B) {
	eachSize(b, func(b *testing.B, a record.AEAD, size int) {
		c, iv := cipherOf(b, a, 1)
		s, o := pair(a, 1)
		m, bare, dst := newBatch(size), newBatch(size), newBatch(size)
		for i, r := range bare.records {
			c.Seal(r[16:16], iv, bare.payloads[i], r[:16])
		}
		var ours, theirs []time.Duration
		for range b.N {
			m.seal(s)
			start := time.Now()
			o.Acquire(1)
			for i, r := range m.records {
				if _, v := o.Open(dst.payloads[i], r); v != record.Opened {
					b.Fatal("refused")
				}
			}
			o.Release()
			middle := time.Now()
			for i, r := range bare.records {
				if _, err := c.Open(dst.payloads[i][:0], iv, r[16:], r[:16]); err != nil {
					b.Fatal(err)
				}
			}
			ours, theirs = append(ours, middle.Sub(start)), append(theirs, time.Since(middle))
		}
		report(b, ours, theirs)
	})
}

func eachSize(b *testing.B, f func(*testing.B, record.AEAD, int)) {
	for _, c := range ciphers {
		for _, size := range []int{64, 512, 1420} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) { f(b, c.aead, size) })
		}
	}
}

func compare(b *testing.B, ours, bare func()) {
	var mine, theirs []time.Duration
	for range b.N {
		start := time.Now()
		ours()
		middle := time.Now()
		bare()
		mine, theirs = append(mine, middle.Sub(start)), append(theirs, time.Since(middle))
	}
	report(b, mine, theirs)
}

func report(b *testing.B, ours, bare []time.Duration) {
	one, other := median(ours), median(bare)
	b.ReportMetric(one/burstSize, "ns/record")
	b.ReportMetric(other/burstSize, "bare-ns/record")
	b.ReportMetric(other/one, "of-bare")
	b.ReportMetric(0, "ns/op") // a round of both is no figure of interest
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Nanoseconds())
}

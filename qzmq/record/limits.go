package record

import "sync/atomic"

// Limits says how long a key may be used: RFC 9001 section 6.6 and appendix B,
// for records of up to 2 KiB; the bound on blocks covers larger ones.
type Limits struct {
	FirstRecords                uint64 // so many under a stream's first key, so that every link exercises the change
	RotateRecords, RotateBlocks uint64 // then the next key is taken
	MaxRecords, MaxBlocks       uint64 // never sealed past these
	RotateForged, MaxForged     uint64 // failed opens: asked to replace, never opened past
}

// Limits gives the limits of one key of this cipher.
func (a AEAD) Limits() Limits {
	l := Limits{
		FirstRecords:  1 << 16,
		RotateRecords: 1 << 27, RotateBlocks: 1 << 34,
		MaxRecords: 1 << 28, MaxBlocks: 1 << 35,
		RotateForged: 1 << 51, MaxForged: 1 << 52,
	}
	if a == ChaCha20Poly1305 {
		l.MaxRecords, l.MaxBlocks = 1<<48, 1<<60
		l.RotateForged, l.MaxForged = 1<<35, 1<<36
	}
	return l
}

// A key must be replaced before it stops, or traffic would stop with it.
const (
	_ = uint64(1<<28 - 1<<27)
	_ = uint64(1<<35 - 1<<34)
)

// lower gives the stricter of two limits in every respect.
func (l Limits) lower(m Limits) Limits {
	return Limits{
		min(l.FirstRecords, m.FirstRecords),
		min(l.RotateRecords, m.RotateRecords), min(l.RotateBlocks, m.RotateBlocks),
		min(l.MaxRecords, m.MaxRecords), min(l.MaxBlocks, m.MaxBlocks),
		min(l.RotateForged, m.RotateForged), min(l.MaxForged, m.MaxForged),
	}
}

// A key that is half way from its change to its end has not been changed in
// time: its owner asks for a new session.
func (l *Limits) lateRecords() uint64 { return l.RotateRecords + (l.MaxRecords-l.RotateRecords)/2 }
func (l *Limits) lateBlocks() uint64  { return l.RotateBlocks + (l.MaxBlocks-l.RotateBlocks)/2 }

// Usage is how much of its key a sealer or opener has used. Other goroutines
// may read it; it is published once a batch, not per record.
type Usage struct {
	Records, Bytes uint64 // bytes of payload
	Forged         uint64 // failed opens; 0 for a sealer
	Rotate         bool   // the session should be replaced now
	Exhausted      bool   // the key does nothing any more
}

// published is a Usage that its owner writes and anybody reads.
type published struct {
	records, bytes, forged atomic.Uint64
	epoch                  atomic.Uint32
	rotate, exhausted      atomic.Bool
}

func (p *published) load() Usage {
	return Usage{
		Records: p.records.Load(), Bytes: p.bytes.Load(), Forged: p.forged.Load(),
		Rotate: p.rotate.Load(), Exhausted: p.exhausted.Load(),
	}
}

package record

import "sync/atomic"

// Limits says how long a key may be used: RFC 9001 section 6.6 and appendix B,
// for records of up to 2 KiB; the bound on blocks covers larger ones.
type Limits struct {
	RotateRecords, RotateBlocks uint64 // the owner is asked to replace the key
	MaxRecords, MaxBlocks       uint64 // never sealed past these
	RotateForged, MaxForged     uint64 // failed opens: asked to replace, never opened past
}

// Limits gives the limits of one key of this cipher.
func (a AEAD) Limits() Limits {
	l := Limits{
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

// Usage is how much of its key a sealer or opener has used. Other goroutines
// may read it; it is published once a batch, not per record.
type Usage struct {
	Records, Bytes uint64 // bytes of payload
	Forged         uint64 // failed opens; 0 for a sealer
	Rotate         bool   // the key should be replaced now
	Exhausted      bool   // the key does nothing any more
}

// published is a Usage that its owner writes and anybody reads.
type published struct {
	records, bytes, forged atomic.Uint64
	rotate, exhausted      atomic.Bool
}

func (p *published) load() Usage {
	return Usage{
		Records: p.records.Load(), Bytes: p.bytes.Load(), Forged: p.forged.Load(),
		Rotate: p.rotate.Load(), Exhausted: p.exhausted.Load(),
	}
}

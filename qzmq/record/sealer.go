package record

import (
	"crypto/cipher"
	"sync/atomic"
)

// Sealer makes the UDP records of one stream in one direction. It belongs to
// one goroutine, the worker whose stream it is; Prepare, Epoch and Usage are for
// others. It is never serialised: a key that outlived its counter would repeat
// nonces.
//
// Its key is replaced in the stream, without a word to the peer: a record says
// which epoch's key it is under. seq goes on through all epochs.
type Sealer struct {
	half
	header  Header // Epoch of the present key, Seq of the next record
	records uint64 // under the present key
	blocks  uint64 // under the present key
	total   uint64 // records under all keys
	bytes   uint64 // of payload, under all keys
	next    atomic.Pointer[half]
	chain   *chain
	usage   published
}

// NewSealer consumes k. session is the id that the receiver chose for itself.
func NewSealer(k *Keys, session uint32, stream uint16) *Sealer {
	first, chain := k.start()
	s := &Sealer{half: first, chain: chain, header: Header{Session: session, Stream: stream}}
	s.Prepare()
	return s
}

// Usage may be called from any goroutine; it lags by at most one Burst.
func (s *Sealer) Usage() Usage { return s.usage.load() }

// Epoch is that of the key in use. It may be called from any goroutine.
func (s *Sealer) Epoch() uint8 { return uint8(s.usage.epoch.Load()) }

// Prepare derives the key of the next epoch, unless it lies ready, so that the
// owner only has to take it. It may be called from any goroutine, often enough
// that no epoch is over before the next key is there.
func (s *Sealer) Prepare() {
	s.chain.mu.Lock()
	defer s.chain.mu.Unlock()
	if s.next.Load() == nil && s.chain.epoch < lastEpoch {
		key := s.chain.advance()
		s.next.Store(&key)
	}
}

// due says whether a record of n more blocks belongs under the next key.
func (s *Sealer) due(n uint64) bool {
	most := s.limits.RotateRecords
	if s.header.Epoch == 0 {
		most = min(most, s.limits.FirstRecords)
	}
	return s.records >= most || s.blocks+n > s.limits.RotateBlocks
}

// turn takes the next epoch's key, if it lies ready.
func (s *Sealer) turn() {
	if key := s.next.Swap(nil); key != nil {
		s.half = *key
		s.header.Epoch++
		s.records, s.blocks = 0, 0
	}
}

func (s *Sealer) publish() {
	s.usage.records.Store(s.total)
	s.usage.bytes.Store(s.bytes)
	s.usage.epoch.Store(uint32(s.header.Epoch))
	l := &s.limits
	if s.header.Epoch >= rotateEpoch || s.records >= l.lateRecords() || s.blocks >= l.lateBlocks() {
		s.usage.rotate.Store(true)
	}
	if s.records >= l.MaxRecords || s.blocks >= l.MaxBlocks {
		s.usage.exhausted.Store(true)
	}
}

// Burst collects the records of one batch, of any number of sealers, and seals
// them in one call: where the cipher can work on several at once, it then does.
// It belongs to one goroutine and does not allocate after NewBurst.
type Burst struct {
	hidden
	jobs []job // nonces lie in here, because interface arguments escape
}

// job is a record to be sealed, under the key that was in force when it was
// added: the same burst may hold records of two epochs.
type job struct {
	sealer       *Sealer
	aead         cipher.AEAD
	dst, payload []byte
	nonce        [nonceLen]byte
}

// NewBurst makes room for n records.
func NewBurst(n int) *Burst { return &Burst{jobs: make([]job, 0, n)} }

// Add takes the next sequence number of s for payload and writes the header;
// Seal writes the rest. dst has len(payload)+Overhead bytes or more, and both
// stay untouched by the caller until Seal. It is false, and nothing has
// happened, when the key has reached its limit. A full burst panics.
func (b *Burst) Add(s *Sealer, dst, payload []byte) bool {
	_ = dst[len(payload)+Overhead-1] // shorter, and Seal would quietly write to new memory
	n := blocks(len(payload))
	if s.due(n) {
		s.turn()
	}
	if s.records >= s.limits.MaxRecords || s.blocks+n > s.limits.MaxBlocks {
		s.usage.exhausted.Store(true)
		return false
	}
	if len(b.jobs) == cap(b.jobs) {
		panic("record: burst overflows")
	}
	s.header.put(dst, TypeData)
	b.jobs = b.jobs[:len(b.jobs)+1]
	j := &b.jobs[len(b.jobs)-1]
	j.sealer, j.aead, j.dst, j.payload = s, s.aead, dst, payload
	putNonce(&j.nonce, &s.iv, s.header.Stream, s.header.Seq)
	s.header.Seq++
	s.records++
	s.total++
	s.blocks += n
	s.bytes += uint64(len(payload))
	return true
}

// Seal finishes every record added since the last call, and publishes usage.
func (b *Burst) Seal() {
	for i := range b.jobs {
		j := &b.jobs[i]
		s := j.sealer
		j.aead.Seal(j.dst[HeaderLen:HeaderLen], j.nonce[:], j.payload, j.dst[:HeaderLen])
		if i+1 == len(b.jobs) || b.jobs[i+1].sealer != s {
			s.publish()
		}
	}
	b.jobs = b.jobs[:0]
}

// Forget lets go of what the last bursts have worked on, keys and memory, as
// that of OpenBurst.
func (b *Burst) Forget() { clear(b.jobs[:cap(b.jobs)]) }

// Full says that the next Add would panic: Seal first.
func (b *Burst) Full() bool { return len(b.jobs) == cap(b.jobs) }

package record

// Sealer makes the UDP records of one stream in one direction. It belongs to
// one goroutine, the worker whose stream it is; only Usage is for others. It is
// never serialised: a key that outlived its counter would repeat nonces.
type Sealer struct {
	half
	header  Header // Seq is the next record's
	records uint64
	blocks  uint64
	bytes   uint64
	usage   published
}

// NewSealer consumes k. session is the id that the receiver chose for itself.
func NewSealer(k *Keys, session uint32, stream uint16) *Sealer {
	return &Sealer{half: k.consume(), header: Header{Session: session, Stream: stream}}
}

// Usage may be called from any goroutine; it lags by at most one Burst.
func (s *Sealer) Usage() Usage { return s.usage.load() }

func (s *Sealer) publish() {
	s.usage.records.Store(s.records)
	s.usage.bytes.Store(s.bytes)
	l := &s.limits
	if s.records >= l.RotateRecords || s.blocks >= l.RotateBlocks {
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
	jobs  []job
	nonce [nonceLen]byte // in the struct because interface arguments escape
}

type job struct {
	sealer       *Sealer
	dst, payload []byte
	seq          uint64
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
	if s.records >= s.limits.MaxRecords || s.blocks+n > s.limits.MaxBlocks {
		s.usage.exhausted.Store(true)
		return false
	}
	if len(b.jobs) == cap(b.jobs) {
		panic("record: burst overflows")
	}
	s.header.put(dst, TypeData)
	b.jobs = append(b.jobs, job{s, dst, payload, s.header.Seq})
	s.header.Seq++
	s.records++
	s.blocks += n
	s.bytes += uint64(len(payload))
	return true
}

// Seal finishes every record added since the last call, and publishes usage.
func (b *Burst) Seal() {
	for i := range b.jobs {
		j := &b.jobs[i]
		s := j.sealer
		putNonce(&b.nonce, &s.iv, s.header.Stream, j.seq)
		s.aead.Seal(j.dst[HeaderLen:HeaderLen], b.nonce[:], j.payload, j.dst[:HeaderLen])
		if i+1 == len(b.jobs) || b.jobs[i+1].sealer != s {
			s.publish()
		}
		*j = job{}
	}
	b.jobs = b.jobs[:0]
}

// Full says that the next Add would panic: Seal first.
func (b *Burst) Full() bool { return len(b.jobs) == cap(b.jobs) }

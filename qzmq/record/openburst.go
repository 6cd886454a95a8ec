package record

// OpenBurst collects the records of one batch, for any number of openers, and
// opens them in one call: where the cipher can work on several at once, it then
// does. It belongs to one goroutine, which owns the openers from Add to Open,
// and does not allocate after NewOpenBurst.
type OpenBurst struct {
	hidden
	jobs []openJob // nonces lie in here, because interface arguments escape
}

// openJob is a record to be opened, and afterwards what became of it.
type openJob struct {
	opener      *Opener
	key         *epochKey
	dst, record []byte // dst has the payload's length
	nonce       [nonceLen]byte
	header      Header
	verdict     Verdict
}

// NewOpenBurst makes room for n records.
func NewOpenBurst(n int) *OpenBurst { return &OpenBurst{jobs: make([]openJob, 0, n)} }

// Len is the number of records added since the last Reset.
func (b *OpenBurst) Len() int { return len(b.jobs) }

// Full says that the next Add would panic: Open, take the results, and Reset.
func (b *OpenBurst) Full() bool { return len(b.jobs) == cap(b.jobs) }

// Add has record opened by o into the start of dst, which has
// len(record)-Overhead bytes or more and does not overlap record. Both stay
// untouched by the caller until Open. Every verdict but Opened is final, and
// nothing was added; Opened means that Result will tell.
func (b *OpenBurst) Add(o *Opener, dst, record []byte) Verdict {
	h, key, v := o.check(record)
	if v != Opened {
		return v
	}
	dst = dst[: len(record)-Overhead : len(record)-Overhead] // shorter, and Open would quietly write to new memory
	if b.Full() {
		panic("record: burst overflows")
	}
	b.jobs = b.jobs[:len(b.jobs)+1]
	j := &b.jobs[len(b.jobs)-1]
	j.opener, j.key, j.dst, j.record, j.header = o, key, dst, record, h
	putNonce(&j.nonce, &key.iv, h.Stream, h.Seq)
	return Opened
}

// Open verifies every record added since the last Reset, in the order of the
// Adds. A number that came twice in one burst is looked at again here, when the
// window knows the first: one of the two is Opened.
func (b *OpenBurst) Open() {
	for i := range b.jobs {
		j := &b.jobs[i]
		_, err := j.key.aead.Open(j.dst[:0], j.nonce[:], j.record[HeaderLen:], j.record[:HeaderLen])
		b.settle(j, err == nil)
	}
}

func (b *OpenBurst) settle(j *openJob, authentic bool) {
	switch o := j.opener; {
	case !o.window.fresh(j.header.Seq):
		j.verdict = Replayed
	case j.key.forged >= o.limits.MaxForged:
		j.verdict = Exhausted
	default:
		j.verdict = o.settle(j.key, j.header, len(j.dst), authentic)
	}
	if j.verdict != Opened {
		clear(j.dst)
	}
}

// Result tells what became of the i-th record of the burst, and gives its
// payload: nil unless the verdict is Opened.
func (b *OpenBurst) Result(i int) (payload []byte, v Verdict) {
	if j := &b.jobs[i]; j.verdict == Opened {
		return j.dst, Opened
	}
	return nil, b.jobs[i].verdict
}

// Reset empties the burst.
func (b *OpenBurst) Reset() { b.jobs = b.jobs[:0] }

// Forget lets go of what the last bursts have worked on: keys and memory. A
// worker does so before it sleeps; after every burst it would cost as much as
// looking into the window.
func (b *OpenBurst) Forget() { clear(b.jobs[:cap(b.jobs)]) }

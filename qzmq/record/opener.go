package record

import "sync/atomic"

// Verdict is what became of a record. It is an enum, not an error: the packet
// path counts it and goes on.
type Verdict uint8

// The verdicts of Open.
const (
	Opened     Verdict = iota
	Malformed          // not a record of this stream and session
	WrongEpoch         // sealed under a key that this opener does not hold
	Replayed           // seen before, or older than the window
	Forged             // the tag is wrong
	Exhausted          // too many failed opens: the key does nothing any more
)

// Opener opens the UDP records of one stream in one direction. It belongs to
// one goroutine at a time, since its window must see every record: whoever
// shares it among workers takes it with Acquire for a batch.
type Opener struct {
	half
	header  Header // what must stand in each record; Seq unused
	window  window
	nonce   [nonceLen]byte
	records uint64
	bytes   uint64
	forged  uint64
	usage   published
	taken   atomic.Bool
}

// NewOpener consumes k. session is the id that this side chose.
func NewOpener(k *Keys, session uint32, stream uint16) *Opener {
	return &Opener{half: k.consume(), header: Header{Session: session, Stream: stream}}
}

// Acquire makes the caller the owner until Release, or is false when another
// goroutine is. A stream normally arrives on one queue, so this is one
// uncontended word once a batch.
func (o *Opener) Acquire() bool { return o.taken.CompareAndSwap(false, true) }

// Release ends the ownership that Acquire gave and publishes usage.
func (o *Opener) Release() {
	o.usage.records.Store(o.records)
	o.usage.bytes.Store(o.bytes)
	if o.forged > 0 {
		o.usage.forged.Store(o.forged)
		o.usage.rotate.Store(o.forged >= o.limits.RotateForged)
		o.usage.exhausted.Store(o.forged >= o.limits.MaxForged)
	}
	o.taken.Store(false)
}

// Usage may be called from any goroutine; it lags by at most one batch.
func (o *Opener) Usage() Usage { return o.usage.load() }

// Open verifies one UDP record and puts its payload at the start of dst, which
// has len(record)-Overhead bytes or more and does not overlap record. The
// window moves only after the tag was found right, so a forged number moves
// nothing. On every verdict but Opened n is 0 and dst holds no plaintext.
func (o *Opener) Open(dst, record []byte) (n int, v Verdict) {
	h, ok := ParseHeader(record)
	if !ok || h.Stream != o.header.Stream || h.Session != o.header.Session {
		return 0, Malformed
	}
	if h.Epoch != o.header.Epoch {
		return 0, WrongEpoch
	}
	if !o.window.fresh(h.Seq) {
		return 0, Replayed
	}
	if o.forged >= o.limits.MaxForged {
		return 0, Exhausted
	}
	putNonce(&o.nonce, &o.iv, h.Stream, h.Seq)
	// The capacity is cut to the payload's length, so that too short a dst panics:
	// the cipher would allocate, and the caller look in the wrong place.
	out, err := o.aead.Open(dst[:0:len(record)-Overhead], o.nonce[:], record[HeaderLen:], record[:HeaderLen])
	if err != nil {
		o.forged++
		return 0, Forged
	}
	o.window.set(h.Seq)
	o.records++
	o.bytes += uint64(len(out))
	return len(out), Opened
}

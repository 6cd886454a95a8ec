package record

import (
	"sync/atomic"
	"time"
)

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
// shares it among workers takes it with Acquire for a batch. Prepare, Advance
// and Usage are for others.
//
// It holds the keys of the epochs from one before the newest that it has seen
// to three after it, and the epoch byte of a record picks exactly one.
type Opener struct {
	hidden
	header  Header // what must stand in each record; Epoch and Seq unused
	limits  Limits
	window  window
	nonce   [nonceLen]byte
	records uint64
	bytes   uint64
	forged  uint64
	keys    [keySlots]atomic.Pointer[epochKey] // by epoch
	newest  atomic.Uint32                      // epoch: of an authentic record, or announced
	chain   *chain
	settled epochSince // guarded by chain.mu
	usage   published
	owner   atomic.Uint32 // 0: nobody
	home    atomic.Uint32 // owner at the last authentic record, 0 before the first
}

const (
	keySlots    = 8 // a power of two that holds all epochs below at once
	epochsAhead = 3
	epochsBack  = 1

	// epochGrace is how long the key before the newest still opens late
	// records.
	epochGrace = 5 * time.Second

	_ = uint(keySlots - epochsBack - 1 - epochsAhead)
)

// epochKey is the key of one epoch and what was tried on it. forged belongs to
// the opener's owner.
type epochKey struct {
	half
	epoch  uint8
	forged uint64
}

// epochSince remembers since when an epoch has been the newest.
type epochSince struct {
	epoch uint32
	since time.Time
}

// NewOpener consumes k. session is the id that this side chose.
func NewOpener(k *Keys, session uint32, stream uint16) *Opener {
	first, chain := k.start()
	o := &Opener{chain: chain, header: Header{Session: session, Stream: stream}, limits: first.limits}
	o.keys[0].Store(&epochKey{half: first})
	o.Prepare(time.Time{})
	return o
}

// Prepare derives the keys of the epochs ahead and forgets those that are over:
// all but the last one at once, that one after a grace. It may be called from
// any goroutine; now never goes back.
func (o *Opener) Prepare(now time.Time) {
	o.chain.mu.Lock()
	defer o.chain.mu.Unlock()
	newest := o.newest.Load()
	if newest != o.settled.epoch {
		o.settled = epochSince{newest, now}
	}
	for uint32(o.chain.epoch) < min(newest+epochsAhead, lastEpoch) {
		key := &epochKey{half: o.chain.advance()}
		key.epoch = o.chain.epoch // the one that advance has come to
		o.keys[key.epoch%keySlots].Store(key)
	}
	for i := range o.keys {
		key := o.keys[i].Load()
		if key == nil || uint32(key.epoch) >= newest {
			continue
		}
		if uint32(key.epoch)+epochsBack < newest || now.Sub(o.settled.since) > epochGrace {
			o.keys[i].Store(nil)
		}
	}
}

// Advance takes the sender's word, from an authenticated channel, that it has
// come to epoch: what was missed is caught up. It only ever moves forward.
func (o *Opener) Advance(epoch uint8, now time.Time) {
	o.forward(uint32(epoch))
	o.Prepare(now)
}

// forward makes epoch the newest unless there was a newer one.
func (o *Opener) forward(epoch uint32) {
	for {
		newest := o.newest.Load()
		if epoch <= newest || o.newest.CompareAndSwap(newest, epoch) {
			return
		}
	}
}

// Acquire makes owner, any number but 0, the owner until Release. It is false
// when another one is. A stream normally arrives on one queue, so this is one
// uncontended word once a batch.
func (o *Opener) Acquire(owner uint32) bool { return o.owner.CompareAndSwap(0, owner) }

// OwnedBy says whether owner has acquired the opener.
func (o *Opener) OwnedBy(owner uint32) bool { return o.owner.Load() == owner }

// Home is the owner that opened the last authentic record, 0 before the first:
// the queue that the stream arrives at. Who sees a session id can send anything
// to another queue, but cannot move the home.
func (o *Opener) Home() uint32 { return o.home.Load() }

// Release ends the ownership that Acquire gave and publishes usage.
func (o *Opener) Release() {
	o.usage.records.Store(o.records)
	o.usage.bytes.Store(o.bytes)
	if o.forged > 0 {
		o.usage.forged.Store(o.forged)
	}
	o.owner.Store(0)
}

// Usage may be called from any goroutine; it lags by at most one batch.
func (o *Opener) Usage() Usage { return o.usage.load() }

// Open verifies one UDP record and puts its payload at the start of dst, which
// has len(record)-Overhead bytes or more and does not overlap record. The
// window moves only after the tag was found right, so a forged number moves
// nothing. On every verdict but Opened n is 0 and dst holds no plaintext.
func (o *Opener) Open(dst, record []byte) (n int, v Verdict) {
	h, key, v := o.check(record)
	if v != Opened {
		return 0, v
	}
	putNonce(&o.nonce, &key.iv, h.Stream, h.Seq)
	// The capacity is cut to the payload's length, so that too short a dst panics:
	// the cipher would allocate, and the caller look in the wrong place.
	dst = dst[: 0 : len(record)-Overhead]
	_, err := key.aead.Open(dst, o.nonce[:], record[HeaderLen:], record[:HeaderLen])
	if v = o.settle(key, h, cap(dst), err == nil); v != Opened {
		return 0, v
	}
	return cap(dst), Opened
}

// check is what can be said of a record without its key's work: layout, epoch,
// window, limit of failed opens.
func (o *Opener) check(record []byte) (Header, *epochKey, Verdict) {
	h, ok := ParseHeader(record)
	if !ok || h.Stream != o.header.Stream || h.Session != o.header.Session {
		return h, nil, Malformed
	}
	key := o.keys[h.Epoch%keySlots].Load()
	if key == nil || key.epoch != h.Epoch {
		return h, nil, WrongEpoch
	}
	if !o.window.fresh(h.Seq) {
		return h, nil, Replayed
	}
	if key.forged >= o.limits.MaxForged {
		return h, nil, Exhausted
	}
	return h, key, Opened
}

// settle takes in what became of a record of n bytes of payload that check let
// pass: whether its tag was right.
func (o *Opener) settle(key *epochKey, h Header, n int, authentic bool) Verdict {
	if !authentic {
		o.forged++
		if key.forged++; key.forged >= o.limits.RotateForged {
			o.usage.rotate.Store(true)
			o.usage.exhausted.Store(key.forged >= o.limits.MaxForged)
		}
		return Forged
	}
	o.window.set(h.Seq)
	if owner := o.owner.Load(); o.home.Load() != owner {
		o.home.Store(owner)
	}
	if uint32(h.Epoch) > o.newest.Load() {
		o.forward(uint32(h.Epoch))
	}
	o.records++
	o.bytes += uint64(n)
	return Opened
}

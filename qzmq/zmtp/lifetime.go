package zmtp

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Lifetime is the policy by which a session is replaced (2.8): the initiator
// rotates when a limit draws near, and if it does not, the responder asks it to.
// So no limit is reached while both sides live. What both directions have carried
// counts together, and the sides need not have the same limits.
type Lifetime struct {
	MaxMessages uint64        // records; 0 means DefaultMaxMessages
	MaxBytes    uint64        // of their plaintext; 0 means DefaultMaxBytes
	MaxAge      time.Duration // 0 means DefaultMaxAge

	// Clock is the caller's monotonic clock, best one that counts suspension. nil
	// is that of the handshake's Config, and time.Now where there is none.
	Clock func() time.Duration

	// Never leaves it to the caller to rotate, or to open another session instead.
	Never bool
}

// The defaults of Lifetime.
const (
	DefaultMaxMessages = 1 << 32
	DefaultMaxBytes    = 1 << 40
	DefaultMaxAge      = 600 * time.Second
)

// ErrTooOld reports a session that could not be replaced in time: it has ended.
var ErrTooOld = errors.New("zmtp: the session is past its age and was not replaced")

const (
	// The parts of a limit at which the initiator begins, and the responder asks.
	// An age is less up to ageJitter, so that many sessions that began at the same
	// moment do not all rotate at the same moment.
	rotateAt, askAt = 0.8, 0.9
	ageJitter       = 0.1

	agesAtMost = 3                // nothing is sealed or opened past so many times MaxAge
	lookAtMost = 30 * time.Second // between two looks at Clock, which may have leapt

	// After a rotation, or a request for one, that came to nothing there is another
	// after a part of MaxAge, and retryAtMost: several before the session ends.
	retryPart   = 4
	retryAtMost = 10 * time.Second
)

// due is what a Lifetime means at one side.
type due struct {
	records, bytes uint64
	age, end       time.Duration
	retry          time.Duration
	clock          func() time.Duration
}

func (c *Conn) dueBy(l Lifetime) (due, error) {
	if l.Never {
		return due{records: math.MaxUint64, bytes: math.MaxUint64}, nil
	}
	if l.MaxAge < 0 {
		return due{}, errors.New("zmtp: the age of a session is not negative")
	}
	if l.MaxMessages == 0 {
		l.MaxMessages = DefaultMaxMessages
	}
	if l.MaxBytes == 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	if l.MaxAge == 0 {
		l.MaxAge = DefaultMaxAge
	}
	if l.Clock == nil {
		l.Clock = c.config.Clock
	}
	if l.Clock == nil {
		start := time.Now()
		l.Clock = func() time.Duration { return time.Since(start) }
	}
	at, age := askAt, askAt
	if c.initiator {
		at, age = rotateAt, rotateAt-ageJitter*rand.Float64()
	}
	part := func(most uint64) uint64 { return max(1, uint64(at*float64(most))) }
	return due{
		records: part(l.MaxMessages), bytes: part(l.MaxBytes),
		age: time.Duration(age * float64(l.MaxAge)), end: agesAtMost * l.MaxAge,
		retry: min(l.MaxAge/retryPart, retryAtMost), clock: l.Clock,
	}, nil
}

// live begins to look after the session's age. The caller holds c.rotating.
func (c *Conn) live(d due) {
	if c.aging != nil {
		c.aging.Stop()
	}
	c.due, c.aging = d, nil
	if d.clock != nil {
		c.born = d.clock()
		c.aging = time.AfterFunc(min(d.age, lookAtMost), c.lookAtAge)
	}
}

// stopAging is for the end of the Conn. A look that has begun sees that it is over.
func (c *Conn) stopAging() {
	c.rotating.Lock()
	defer c.rotating.Unlock()
	if c.aging != nil {
		c.aging.Stop()
	}
}

// lookAtAge is called by the timer, until the Conn is closed.
func (c *Conn) lookAtAge() {
	c.rotating.Lock()
	d := c.due
	if c.closing.Load() || d.clock == nil {
		c.rotating.Unlock()
		return
	}
	age := d.clock() - c.born
	left := d.age - age
	if left <= 0 {
		left = min(rotateGap, d.age)
	}
	c.aging.Reset(min(left, lookAtMost))
	c.rotating.Unlock()
	switch {
	case age > d.end:
		c.CloseWith(handshake.AlertNone) // a word to the peer would be sealed
		if tell := c.options.Rotated; tell != nil {
			tell(nil, ErrTooOld)
		}
	case age >= d.age:
		c.wish()
	}
}

// carried counts what was sealed or opened.
func (c *Conn) carried(records, bytes int) {
	r, b := c.records.Add(uint64(records)), c.bytes.Add(uint64(bytes))
	if r >= c.due.records || b >= c.due.bytes {
		c.wish()
	}
}

// wish has the session replaced. It may be called by whoever holds locks or must
// not wait, and again and again: there is one wish at a time.
func (c *Conn) wish() {
	if c.wishing.Load() || c.due.clock == nil || c.closing.Load() || c.wishing.Swap(true) {
		return
	}
	go func() {
		if !c.initiator {
			if !c.isRotating() {
				c.RequestRotation() // an error has ended the session
			}
		} else if c.rotateInTime() == nil {
			c.wishing.Store(false)
			return
		}
		// The responder's wish is over with the session; this is for one that is
		// not heard.
		time.AfterFunc(c.due.retry, func() { c.wishing.Store(false) })
	}()
}

// rotateInTime is Rotate for who is told the outcome by Options.Rotated.
func (c *Conn) rotateInTime() error {
	ctx, cancel := context.WithTimeout(context.Background(), stageTimeout)
	defer cancel()
	return c.Rotate(ctx)
}

func (c *Conn) isRotating() bool {
	c.rotating.Lock()
	defer c.rotating.Unlock()
	return c.rotation != nil
}

package zmtp

import (
	"fmt"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Options are the limits and habits of a session. They are local: the peer is
// not told, and may have others.
type Options struct {
	// MaxMessage is the most that a message's parts may have together, in bytes,
	// either way. A peer that announces more is refused before a byte of it is
	// held. 0 means DefaultMaxMessage.
	MaxMessage int
	// MaxParts is the most parts of a message, either way, so that empty parts
	// are bounded as well. 0 means DefaultMaxParts.
	MaxParts int
	// PadTo makes the plaintext of every record that is sent a multiple of so
	// many bytes, up to MaxRecord, to hide sizes. 0 is no padding. Padded records
	// are always taken.
	PadTo int
	// WriteTimeout is how long a peer that reads nothing is borne with before
	// it costs the connection; negative is for ever, as a socket under back
	// pressure wants it. 0 means DefaultWriteTimeout.
	WriteTimeout time.Duration
	// Pool is where memory to read into comes from: a Conn that waits for its peer
	// then has none. It is for who has many, as a relay. nil is memory of its own.
	// Whoever gives one calls GiveBack at the end.
	Pool *Pool
	// Lifetime is when the session is replaced by a new one.
	Lifetime Lifetime
	// Rotated is told of the end of every rotation: the session that has
	// replaced the old one, or why there is none. It must not block, nor call the
	// Conn. nil is fine.
	Rotated func(*handshake.Session, error)
}

// The defaults of Options. A message of 64 MiB is larger than what systems on
// ZeroMQ usually send in one piece, and a receiver can hold one.
const (
	DefaultMaxMessage   = 64 << 20
	DefaultMaxParts     = 16 << 10
	DefaultWriteTimeout = 10 * time.Second
)

// Configure sets the options. It is called before the Conn is used.
func (c *Conn) Configure(o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	due, err := c.dueBy(o.Lifetime)
	if err != nil {
		return err
	}
	c.options = o
	c.in.from(c.nc, o.Pool)
	c.rotating.Lock()
	defer c.rotating.Unlock()
	c.live(due)
	return nil
}

// complete fills in the defaults, or says what is wrong.
func (o *Options) complete() error {
	if o.MaxMessage < 0 || o.MaxParts < 0 {
		return fmt.Errorf("zmtp: a message of at most %d bytes in %d parts cannot be", o.MaxMessage, o.MaxParts)
	}
	if o.PadTo < 0 || o.PadTo > MaxRecord {
		return fmt.Errorf("zmtp: records of up to %d bytes cannot be padded to %d", MaxRecord, o.PadTo)
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = DefaultMaxMessage
	}
	if o.MaxParts == 0 {
		o.MaxParts = DefaultMaxParts
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	return nil
}

package zmtp

import (
	"errors"
	"fmt"

	"github.com/qzmq/gateway/qzmq/record"
)

// Writing, from the outside in:
//
//  1. WriteMessage, QueueMessage and WriteFrame cut a message into pieces that fit
//     a record. Other messages wait until its last one; commands need not.
//  2. put queues a piece: frames that wait at the same time share records.
//  3. flush (send.go) takes all that is queued, seals it and writes it in one
//     call. Whoever comes while that goes on queues, and the first of those to get
//     the lock writes for all. Nobody waits for more to come.

// maxBatch bounds what is written in one call, and what waits meanwhile, in
// bytes: one full record and more behind it.
const maxBatch = 2 * (recordHead + MaxRecord + record.TagLen)

// maxPiece is the largest body of a piece.
const maxPiece = MaxRecord - maxPieceLen

// WriteMessage sends a message of one or more parts, together with whatever was
// queued before it, and returns when it was written; the parts are the caller's
// again.
//
// A message over the limits of Options is refused with ErrTooLarge. Any other
// error comes again with every call: a record may have gone in part, and none
// can follow it. A peer that does not read costs at most Options.WriteTimeout,
// and the connection.
func (c *Conn) WriteMessage(parts ...[]byte) error {
	ticket, err := c.queueMessage(parts)
	if err != nil {
		return err
	}
	return c.flush(ticket)
}

// QueueMessage is WriteMessage that writes only when much is queued: many small
// messages then share a record. Whoever has no more to queue calls Flush.
func (c *Conn) QueueMessage(parts ...[]byte) error {
	_, err := c.queueMessage(parts)
	return err
}

// Flush writes what is queued. Errors are those of WriteMessage.
func (c *Conn) Flush() error {
	c.queueing.Lock()
	ticket := c.queued
	c.queueing.Unlock()
	return c.flush(ticket)
}

func (c *Conn) queueMessage(parts [][]byte) (ticket uint64, err error) {
	if len(parts) == 0 {
		panic("zmtp: a message has at least one part")
	}
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	if total > c.options.MaxMessage || len(parts) > c.options.MaxParts {
		return 0, fmt.Errorf("%w: a message of %d bytes in %d parts", ErrTooLarge, total, len(parts))
	}
	c.messages.Lock()
	defer c.messages.Unlock()
	for i, p := range parts {
		flags := More
		if i == len(parts)-1 {
			flags = 0
		}
		if ticket, err = c.queueBody(flags, len(p), 0, p); err != nil {
			return 0, err
		}
	}
	return ticket, nil
}

// WriteFrame queues a message's frame, or a piece of it, as a relay has them: the
// pieces of a frame in order, none of them but a whole frame empty, and all
// frames of a message one after the other. Messages of others wait from the first
// piece until the last one of the last frame. A command is queued whole. Flush
// writes what is queued; f.Body is the caller's again at once.
//
// Only one goroutine writes frames of messages. Errors are those of WriteMessage,
// and ErrReserved for a command that only the session itself may send. One inside
// a message leaves it incomplete, so that nothing more can be written. A piece
// out of order panics.
func (c *Conn) WriteFrame(f Frame) error {
	if f.Flags&Command != 0 {
		name, data, err := ParseCommand(f.Body)
		if err != nil {
			return err
		}
		_, err = c.queueCommand(string(name), data)
		return err
	}
	begun := c.sending.parts > 0
	if !begun {
		c.messages.Lock()
	}
	p := piece{f.Flags, uint64(len(f.Body)), uint64(f.Size)}
	if f.At > 0 {
		p.flags |= rest
	}
	if !f.Last() {
		p.flags |= cut
	}
	at, err := c.sending.take(p, &c.options)
	switch {
	case errors.Is(err, ErrTooLarge):
	case err != nil || at != uint64(f.At):
		panic("zmtp: a piece of a frame is out of order")
	default:
		_, err = c.queueBody(f.Flags, f.Size, f.At, f.Body)
	}
	if err != nil {
		if begun {
			c.giveUp(err)
		}
		c.sending = progress{}
	}
	if c.sending.parts == 0 {
		c.messages.Unlock()
	}
	return err
}

// queueBody queues a frame's body from at on, cut where a record is full. The
// caller holds c.messages.
func (c *Conn) queueBody(flags Flags, size, at int, body []byte) (ticket uint64, err error) {
	for {
		f := flags
		if at > 0 {
			f |= rest
		}
		n := len(body)
		if at+n < size || pieceLen(f, n) > MaxRecord {
			f |= cut
			n = min(n, maxPiece)
		}
		if ticket, err = c.put(f, size, body[:n]); err != nil {
			return 0, err
		}
		if at, body = at+n, body[n:]; len(body) == 0 {
			return ticket, nil
		}
	}
}

// put queues a piece that fits a record. When much is queued already it writes
// that first, at the peer's pace.
func (c *Conn) put(flags Flags, total int, body []byte) (ticket uint64, err error) {
	if err := c.lockQueue(pieceLen(flags, len(body))); err != nil {
		return 0, err
	}
	c.queue.frame(flags, total, body, c.options.PadTo)
	return c.unlockQueue(), nil
}

// WriteCommand sends one command, together with whatever was queued before it,
// and returns when it was written; body is the caller's again.
//
// A command that does not fit MaxRecord is refused with ErrTooLarge, and a name
// that is not a command's, or is the session's own, panics. Otherwise as
// WriteMessage.
func (c *Conn) WriteCommand(name string, body []byte) error {
	mustBeName(name)
	ticket, err := c.queueCommand(name, body)
	if errors.Is(err, ErrReserved) {
		panic("zmtp: only the session itself sends " + name)
	}
	if err != nil {
		return err
	}
	return c.flush(ticket)
}

func (c *Conn) queueCommand(name string, body []byte) (ticket uint64, err error) {
	if isReserved(name) {
		return 0, fmt.Errorf("%w: %s", ErrReserved, name)
	}
	n := frameLen(1 + len(name) + len(body))
	if n > MaxRecord {
		return 0, fmt.Errorf("%w: command %s takes %d bytes, a record has %d", ErrTooLarge, name, n, MaxRecord)
	}
	if err := c.lockQueue(n); err != nil {
		return 0, err
	}
	c.queue.command(name, body, false, c.options.PadTo)
	return c.unlockQueue(), nil
}

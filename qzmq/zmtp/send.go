package zmtp

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// lockQueue takes c.queueing when there is room for n bytes.
func (c *Conn) lockQueue(n int) error {
	c.queueing.Lock()
	for !c.queue.fits(n, maxBatch) {
		ticket := c.queued
		c.queueing.Unlock()
		if err := c.flush(ticket); err != nil {
			return err
		}
		c.queueing.Lock()
	}
	return nil
}

// unlockQueue gives the ticket of what was queued last.
func (c *Conn) unlockQueue() uint64 {
	c.queued++
	ticket := c.queued
	c.queueing.Unlock()
	return ticket
}

// flush returns when everything up to ticket is written.
func (c *Conn) flush(ticket uint64) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.written >= ticket {
		return nil
	}
	return c.write("", nil, nil)
}

// sendOwn sends a command of the session itself, last in its record. If next is
// not nil, that record is the last that the present sealer seals.
func (c *Conn) sendOwn(name string, data []byte, next *record.StreamSealer) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(name, data, next)
}

// write writes all that is queued and then, if it has a name, a command of the
// session's. The caller holds c.writing.
func (c *Conn) write(name string, data []byte, next *record.StreamSealer) error {
	if c.writeErr != nil {
		return c.writeErr
	}
	// The deadline before the look: CloseWith does it the other way round, so
	// that either we see it closing or its shorter deadline is the last one set.
	var deadline time.Time
	if c.options.WriteTimeout > 0 {
		deadline = time.Now().Add(c.options.WriteTimeout)
	}
	err := c.nc.SetWriteDeadline(deadline)
	if c.closing.Load() {
		return net.ErrClosed
	}
	c.queueing.Lock()
	c.out, c.queue = c.queue, c.out
	ticket := c.queued
	c.queueing.Unlock()
	if name != "" {
		c.out.command(name, data, true, c.options.PadTo)
	}
	if err == nil && !c.out.empty() {
		err = c.send(next)
	}
	if err != nil {
		return c.endWrite(err)
	}
	c.written = ticket
	return nil
}

// endWrite does what has to be done about a writer's error, and names it.
func (c *Conn) endWrite(err error) error {
	c.writeErr = fmt.Errorf("zmtp: write: %w", err)
	if isTimeout(err) || errors.Is(err, record.ErrExhausted) {
		if c.closing.Swap(true) {
			c.writeErr = net.ErrClosed
		}
		c.nc.Close()
	}
	// A broken connection is the reader's to close: it may still find there why
	// the peer ended the session.
	return c.writeErr
}

// giveUp ends all writing: err has left something incomplete.
func (c *Conn) giveUp(err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.writeErr == nil {
		c.writeErr = fmt.Errorf("zmtp: write: %w", err)
	}
}

// send seals and writes c.out. Then it goes on to the next key when that is due,
// or to the next sealer if there is one. The caller holds c.writing.
func (c *Conn) send(next *record.StreamSealer) error {
	c.out.end(c.options.PadTo)
	err := c.out.seal(c.sealer)
	if err == nil && next == nil && c.sealer.Due() {
		err = c.updateKey()
	}
	if next != nil {
		c.sealer = next
	}
	if err == nil {
		c.list = append(c.list[:0], c.out.bytes())
		err = c.sink.Write(c.list)
	}
	c.carried(c.out.volume())
	c.out.reset()
	if c.sealer.Rotate() {
		c.worn.Store(true)
		c.wish()
	}
	return err
}

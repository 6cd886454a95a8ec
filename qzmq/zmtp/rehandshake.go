package zmtp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// The reading goroutine's part of a rotation. It runs the handshake, a millisecond
// or two of public-key work, since what it opens with changes between two records.
// It never waits for room to write, or two sides that write much could wait for
// each other: answers go out from a goroutine of their own, one at a time.

// handshakeMessage takes a message of a rotation. An error is a fault of the
// peer that ends the session.
func (c *Conn) handshakeMessage(msg []byte) error {
	if err := c.endRecord(); err != nil {
		return err
	}
	c.awaitAnswer()
	c.rotating.Lock()
	defer c.rotating.Unlock()
	if c.rotation == nil {
		if err := c.answerRotation(); err != nil {
			return err
		}
	}
	r := c.rotation
	if r.handle == nil {
		return ErrUnexpected
	}
	reply, session, err := r.handle(msg)
	var refused *handshake.PeerAlert
	switch {
	case err == nil && session == nil:
		c.answer(handshakeName, reply, nil, nil)
	case err == nil:
		c.agreed(r, session, reply)
	case reply != nil:
		r.handle = nil
		c.answer(handshakeName, reply, nil, func() { c.endRotation(r, fmt.Errorf("%w: %w", ErrRefused, err)) })
	case errors.As(err, &refused):
		c.endRotationLocked(r, fmt.Errorf("%w: %w", ErrRefused, err))
	default:
		return fmt.Errorf("%w: %w", ErrUnexpected, err)
	}
	return nil
}

// answerRotation begins a rotation at the responder. The caller holds c.rotating.
func (c *Conn) answerRotation() error {
	if c.initiator || time.Since(c.rotated) < rotateGap {
		return ErrUnexpected
	}
	c.rotated = time.Now()
	machine, err := handshake.NewResponder(c.rehandshake())
	if err != nil {
		return err
	}
	if c.turns != nil {
		// The peer is known, and does not wait for strangers.
		machine.TakeTurns(func(bool) (func(), error) {
			ctx, cancel := context.WithTimeout(context.Background(), stageTimeout)
			defer cancel()
			return c.turns.take(ctx, known)
		})
	}
	c.rotation = &rotation{handle: machine.Handle, done: make(chan struct{})}
	return nil
}

// agreed takes what the handshake has come to. What we open with changes now at
// the initiator, and with SWITCH at the responder, and with it the session: no
// frame under the new keys is given out before. The caller holds c.rotating.
func (c *Conn) agreed(r *rotation, s *handshake.Session, finished []byte) {
	sealer, opener := s.Records()
	r.handle = nil
	if c.initiator {
		c.opener = opener
		c.adopt(s)
		c.answer(switchName, nil, sealer, func() { c.endRotation(r, nil) })
		return
	}
	c.nextOpener, c.nextSession = opener, s
	c.answer(handshakeName, finished, sealer, nil)
}

// adopt makes s the session. The caller holds c.rotating.
func (c *Conn) adopt(s *handshake.Session) {
	within, err := s.Rehandshake()
	if err != nil {
		panic("zmtp: " + err.Error()) // nobody has had it who could have closed it
	}
	c.session, c.within = s, within
	c.worn.Store(false)
	c.records.Store(0)
	c.bytes.Store(0)
	if c.due.clock != nil {
		c.born = c.due.clock()
	}
	if !c.initiator {
		c.wishing.Store(false)
	}
}

// switched ends a rotation at the responder.
func (c *Conn) switched(data []byte) error {
	if len(data) != 0 {
		return ErrCommand
	}
	if err := c.endRecord(); err != nil {
		return err
	}
	if c.nextOpener == nil {
		return ErrUnexpected
	}
	c.awaitAnswer()
	c.opener, c.nextOpener = c.nextOpener, nil
	c.rotating.Lock()
	defer c.rotating.Unlock()
	c.adopt(c.nextSession)
	c.nextSession = nil
	c.endRotationLocked(c.rotation, nil)
	return nil
}

// renew does what the responder asks for, once at a time. A wish that crosses a
// rotation was for the session that is replaced by it.
func (c *Conn) renew(data []byte) error {
	if len(data) != 0 {
		return ErrCommand
	}
	if !c.initiator {
		return ErrUnexpected
	}
	c.rotating.Lock()
	crossed := c.rotation != nil || time.Since(c.rotated) < rotateGap
	c.rotating.Unlock()
	if !crossed && !c.renewing.Swap(true) {
		go func() {
			defer c.renewing.Store(false)
			c.rotateInTime()
		}()
	}
	return nil
}

// answer sends a command from a goroutine, changes what is sealed with behind it,
// and calls then. Only the reading goroutine calls it.
func (c *Conn) answer(name string, data []byte, next *record.StreamSealer, then func()) {
	sent := make(chan struct{})
	c.answered = sent
	go func() {
		defer close(sent)
		if c.sendOwn(name, data, next) == nil && then != nil {
			then()
		}
	}()
}

// awaitAnswer waits until our last answer is on its way. A peer that speaks next
// has it already; one that speaks out of turn waits with us.
func (c *Conn) awaitAnswer() {
	if c.answered != nil {
		<-c.answered
		c.answered = nil
	}
}

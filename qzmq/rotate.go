package qzmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// rotations are who waits for a session's next rotation to end, since only the
// initiator is told of that by the session itself.
type rotations struct {
	mu      sync.Mutex
	waiting []chan error
}

func (r *rotations) next() <-chan error {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := make(chan error, 1)
	r.waiting = append(r.waiting, ended)
	return ended
}

func (r *rotations) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ended := range r.waiting {
		ended <- err
	}
	r.waiting = nil
}

// rotated is told of every session that was replaced, or was not.
func (s *socket) rotated(o *opened, err error) {
	defer o.rotations.end(err) // Rotate returns when it was counted
	e := Event{Kind: EventRekeyed, Address: o.peer.Address, Peer: o.peer}
	if err != nil {
		e.Kind, e.Err = EventRekeyFailed, fmt.Errorf("%w: %w", ErrKeyRotationFailed, err)
	} else {
		s.transport.stats.rotations.Add(1)
		s.rekeyed.Add(1)
	}
	s.monitors.tell(e)
}

// Rotate rotates where we are the initiator; where we are not it asks the initiator,
// and looks whether it has.
func (s *socket) Rotate(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	var sessions []*connection
	for p := range s.pipes {
		if c := p.conn; c != nil && c.sealed != nil {
			sessions = append(sessions, c)
		}
	}
	s.mu.Unlock()
	if len(sessions) == 0 {
		return ErrNotConnected
	}
	var all sync.WaitGroup
	errs := make([]error, len(sessions))
	for i, c := range sessions {
		all.Go(func() {
			if err := c.rotate(ctx); err != nil {
				errs[i] = fmt.Errorf("%w: %s: %w", ErrKeyRotationFailed, c.peer.Address, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (c *connection) rotate(ctx context.Context) error {
	if c.sealed.Session().Initiator() {
		return c.sealed.Rotate(ctx)
	}
	ended := c.rotations.next()
	ask := time.NewTicker(askEvery)
	defer ask.Stop()
	for {
		if err := c.sealed.RequestRotation(); err != nil {
			return err
		}
		select {
		case <-ask.C:
		case err := <-ended:
			return err
		case <-c.over:
			return ErrNotConnected
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// askEvery is more than the second for which an initiator that has just rotated takes a
// request to be for the session before.
const askEvery = 1100 * time.Millisecond

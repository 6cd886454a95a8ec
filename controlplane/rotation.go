package controlplane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	tendEvery = time.Second

	// A session is replaced at this part of its greatest age, less up to a
	// tenth, by the side that dialled it; the other asks for it later, if its
	// own age is the lower one. Nothing is sealed or opened past agesAtMost
	// times that age.
	rotateAt   = 0.8
	askAt      = 0.9
	jitter     = 0.1
	agesAtMost = 3

	// Rotations are not closer than this, whoever asks for them. One that came to
	// nothing is asked for again after a part of the greatest age, and retryAtMost:
	// several times before the session ends.
	rotateLeast = time.Second
	retryPart   = 4
	retryAtMost = 10 * time.Second
)

// tend looks after the link's age and wear until ctx ends.
func (l *link) tend(ctx context.Context) {
	t := time.NewTicker(tendEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			l.peering.engine.Prepare(l.cfg.Name, time.Now())
			l.check(sinceBoot())
		}
	}
}

// check ends what is too old at this time, by sinceBoot, and replaces what will be.
func (l *link) check(now time.Duration) {
	r := &l.peering.rotation
	l.mu.Lock()
	var old []*channel
	for _, c := range l.channels {
		if now-c.born > agesAtMost*r.MaxAge {
			old = append(old, c)
		}
	}
	c, by := l.sealing, l.rotateBy
	l.mu.Unlock()
	for _, o := range old {
		if o == c {
			l.log.Error("keys are past their age, nothing uses them any more", "session_age", now-c.born)
		}
		l.forget(o)
		o.conn.Close()
	}
	if c == nil || slices.Contains(old, c) {
		return
	}
	used := l.peering.engine.Usage(l.cfg.Name)
	switch {
	case now > by:
		l.rotate("age")
	case used.Rotate:
		l.rotate("limit of the cipher")
	case used.Session.Records >= r.MaxMessages:
		l.rotate("messages")
	case used.Session.Bytes >= r.MaxBytes:
		l.rotate("bytes")
	}
}

// Why a session is not replaced now. Whoever asks may ask again.
var (
	errNotConnected = errors.New("the link has no control connection over which a session could be agreed")
	errRotatesEarly = errors.New("the session is new, or is being replaced already")
)

// rotate has the sealing session replaced: by a new connection from the side
// that dialled it, make before break.
func (l *link) rotate(why string) error {
	now := sinceBoot()
	retry := max(rotateLeast, min(l.peering.rotation.MaxAge/retryPart, retryAtMost))
	l.mu.Lock()
	c := l.sealing
	connected := c != nil && c.alive
	due := connected && now-c.born > rotateLeast && (l.rotating == 0 || now-l.rotating > retry)
	if due {
		l.rotating = now
	}
	l.mu.Unlock()
	switch {
	case !connected:
		return errNotConnected
	case !due:
		return errRotatesEarly
	}
	l.log.Info("session is to be replaced", "reason", why)
	if c.dialled {
		l.askToDial(true)
		return nil
	}
	if err := c.conn.WriteCommand(commandRotate, nil); err != nil {
		l.log.Warn("the peer cannot be asked for a new session", "reason", err)
		return fmt.Errorf("ask the peer for a new session: %w", err)
	}
	return nil
}

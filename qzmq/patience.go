package qzmq

import (
	"context"
	"time"
)

// patience is a call that waits: for something to happen to its socket, for its context
// or for a timeout. It is used again and again, since calls wait often.
type patience struct {
	changed chan struct{} // rung by the mailbox
	timer   *time.Timer
	timing  bool
}

// wait waits. The timeout counts from the first wait.
func (p *patience) wait(ctx context.Context, timeout time.Duration) error {
	if timeout == 0 {
		return ErrAgain
	}
	var until <-chan time.Time
	if timeout > 0 {
		p.start(timeout)
		until = p.timer.C
	}
	select {
	case <-p.changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-until:
		return ErrTimeout
	}
}

func (p *patience) start(timeout time.Duration) {
	switch {
	case p.timing:
	case p.timer == nil:
		p.timer = time.NewTimer(timeout)
	default:
		p.timer.Reset(timeout)
	}
	p.timing = true
}

// endWait is for the end of the call, whether it has waited or not.
func (s *socket) endWait(at **patience) {
	p := *at
	if p == nil {
		return
	}
	if p.timing {
		p.timer.Stop() // nothing is received from C after that
		p.timing = false
	}
	s.mail.leave(p)
}

package qzmq

import (
	"sync"
	"sync/atomic"
)

// event is what has happened to a pipe.
type event uint8

const (
	readable event = 1 << iota // there is something to receive again
	writable                   // there is room to send again
)

// mailbox tells a socket what has happened at the other ends of its pipes, and wakes
// the calls that wait for it. Its lock is the last one to be taken, so that anybody
// may post whatever he holds.
type mailbox struct {
	posted atomic.Bool // there is something; a hint that costs no lock

	mu      sync.Mutex // guards what follows, and pipe.mail
	pipes   []*pipe    // each once
	spare   []*pipe
	waiting []chan struct{} // of calls that wait; each has room for one word
	idle    []*patience     // of calls that have ended, for the next ones
}

// mostResting is how many patiences a socket keeps: so many calls wait at once, as a rule.
const mostResting = 4

// post tells of an event. Events of the same kind on one pipe are one.
func (m *mailbox) post(p *pipe, e event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.mail == 0 {
		m.pipes = append(m.pipes, p)
		m.posted.Store(true)
	}
	p.mail |= e
	m.wakeLocked()
}

// wakeAll wakes every call that waits: the socket itself has changed.
func (m *mailbox) wakeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wakeLocked()
}

func (m *mailbox) wakeLocked() {
	for i, waits := range m.waiting {
		ring(waits)
		m.waiting[i] = nil
	}
	m.waiting = m.waiting[:0]
}

// collect gives every event to handle. Only who holds the socket's lock calls it.
func (m *mailbox) collect(handle func(*pipe, event)) {
	m.mu.Lock()
	pipes := m.pipes
	m.pipes = m.spare[:0]
	m.posted.Store(false)
	events := make([]event, 0, 16)
	for _, p := range pipes {
		events = append(events, p.mail)
		p.mail = 0
	}
	m.mu.Unlock()
	for i, p := range pipes {
		handle(p, events[i])
	}
	clear(pipes)
	m.spare = pipes
}

// wait has p rung when something happens, or has happened and was not collected. p is
// nil for a call that has not waited yet. The caller holds the socket's lock, and has
// found nothing.
func (m *mailbox) wait(p *patience) *patience {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.idle); p == nil && n > 0 {
		p, m.idle = m.idle[n-1], m.idle[:n-1]
	} else if p == nil {
		p = &patience{changed: make(chan struct{}, 1)}
	}
	if len(m.pipes) > 0 {
		ring(p.changed)
	} else {
		m.waiting = append(m.waiting, p.changed)
	}
	return p
}

// leave is for a call that does not wait any more, and may have been rung.
func (m *mailbox) leave(p *patience) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = remove(m.waiting, p.changed)
	select {
	case <-p.changed:
	default:
	}
	if len(m.idle) < mostResting {
		m.idle = append(m.idle, p)
	}
}

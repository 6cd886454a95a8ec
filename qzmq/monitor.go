package qzmq

import (
	"fmt"
	"sync"
	"time"
)

// EventKind is what a monitor tells of.
type EventKind int

// The kinds of events.
const (
	EventListening       EventKind = iota // Bind has an address
	EventAccepted                         // somebody has called
	EventConnecting                       // we call
	EventConnectFailed                    // nobody is there; we call again
	EventHandshakeFailed                  // Err says why
	EventConnected                        // there is a session, and Peer is who it is with
	EventDisconnected                     // it has ended; Err says why, nil when the peer has closed in good order
	EventRekeyed                          // it was replaced by one with new keys
	EventRekeyFailed                      // it goes on under its old keys
	EventClosed                           // the socket is closed; the last event
)

var eventNames = [...]string{"listening", "accepted", "connecting", "connect failed", "handshake failed", "connected", "disconnected", "rekeyed", "rekey failed", "closed"}

// String gives the kind in words.
func (k EventKind) String() string {
	if k < 0 || int(k) >= len(eventNames) {
		return fmt.Sprintf("event %d", int(k))
	}
	return eventNames[k]
}

// Event is what happens to a socket's connections.
type Event struct {
	Kind     EventKind
	Time     time.Time
	Endpoint string // of Bind or Connect
	Address  string // of the peer, where there is one
	Peer     *Peer  // of EventConnected and what follows it
	Resumed  bool   // EventConnected: by a ticket, nobody has signed
	Err      error
}

// eventsKept is how many events wait for a monitor that is slow.
const eventsKept = 128

// monitors are who listens to a socket's events.
type monitors struct {
	mu      sync.Mutex
	all     []chan Event
	closed  bool
	dropped uint64
}

// add makes a monitor; of a socket that is closed it has ended.
func (m *monitors) add() <-chan Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	events := make(chan Event, eventsKept)
	if m.closed {
		close(events)
	} else {
		m.all = append(m.all, events)
	}
	return events
}

// tell waits for nobody.
func (m *monitors) tell(e Event) {
	e.Time = time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	for _, events := range m.all {
		select {
		case events <- e:
		default:
			m.dropped++
		}
	}
	if e.Kind == EventClosed {
		m.closed = true
		for _, events := range m.all {
			close(events)
		}
	}
}

func (m *monitors) lost() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}

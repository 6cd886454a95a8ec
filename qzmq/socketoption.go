package qzmq

import (
	"fmt"
	"time"
)

func (s *socket) SetOption(key string, value any) error {
	switch key {
	case "subscribe", "unsubscribe":
		topic, err := asBytes(value, unlimited)
		if err != nil {
			return fmt.Errorf("%w: option %s: %w", ErrInvalidOptions, key, err)
		}
		return s.topic(string(topic), key == "subscribe")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.set.apply(key, value); err != nil {
		return err
	}
	id := s.set.routingID
	s.named.Store(&id)
	s.mail.wakeAll() // a call that waits looks at its timeout again
	return nil
}

func (s *socket) Subscribe(topic string) error   { return s.topic(topic, true) }
func (s *socket) Unsubscribe(topic string) error { return s.topic(topic, false) }

// topic subscribes, or cancels.
func (s *socket) topic(topic string, subscribe bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.collect()
	switch t := s.pattern.(type) {
	case *subscriber:
		if subscribe {
			t.subscribe(topic)
		} else {
			t.cancel(topic)
		}
		return nil
	case *publisher:
		if s.kind == XPUB {
			return t.manual(topic, subscribe)
		}
	}
	return unsupported(s.kind, "subscribe")
}

// GetOption also has these, which cannot be set: type, last_endpoint, events, and of
// the connections there are qzmq.suite and qzmq.encrypted. qzmq.encrypted is true when
// there is a session at least, and nothing that is not one.
func (s *socket) GetOption(key string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch key {
	case "type":
		return s.kind, nil
	case "last_endpoint":
		return s.last, nil
	case "events":
		return s.events(), nil
	case "qzmq.encrypted":
		sealed, plain, _ := s.sessions()
		return sealed > 0 && plain == 0, nil
	case "suite", "qzmq.suite":
		_, _, suite := s.sessions()
		return suite, nil
	}
	return s.set.read(key)
}

// sessions counts what the socket is connected by, and names a suite in force, empty
// where there is none. The caller holds s.mu.
func (s *socket) sessions() (sealed, plain int, suite string) {
	for p := range s.pipes {
		switch {
		case p.conn != nil && p.conn.sealed != nil:
			sealed++
			suite = p.conn.sealed.Session().Suite().String()
		case p.live:
			plain++
		}
	}
	return sealed, plain, suite
}

func (s *socket) Monitor() <-chan Event { return s.monitors.add() }

func (s *socket) GetMetrics() *SocketMetrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.metrics
	latency := time.Duration(0)
	if m.replies > 0 {
		latency = m.latency / time.Duration(m.replies)
	}
	return &SocketMetrics{
		MessagesSent: m.sent, MessagesReceived: m.received, BytesSent: m.bytesSent, BytesReceived: m.bytesReceived,
		MessagesDropped: m.dropped, PeersCut: m.cut, EventsDropped: s.monitors.lost(), Errors: m.errors, KeyUpdates: s.rekeyed.Load(),
		AverageLatency: latency,
	}
}

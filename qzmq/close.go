package qzmq

import "time"

// Close goes through these steps:
//
//  1. No call is taken any more, and those that wait end with ErrClosed.
//  2. Listeners close; handshakes that have nothing to send end.
//  3. Every queue ends: its connection sends what is in it and closes in good order. A
//     Connect that has something to send goes on trying.
//  4. When all that is done, or linger is over, everything else is cut.
//
// It returns when no goroutine of the socket is left.
func (s *socket) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.all.Wait()
		return nil
	}
	s.closed = true
	linger := s.set.linger
	s.depart()
	for _, l := range s.binds {
		l.l.Close()
	}
	var partners []*pipe
	for p := range s.pipes {
		if linger == 0 && p.inproc == nil { // inproc it is with the peer already
			p.out.clear()
		}
		p.in.abandon()
		p.out.end()
		if p.inproc != nil {
			partners = append(partners, p.inproc)
		}
	}
	for _, d := range s.connects {
		if d.finished() && (d.p == nil || d.p.conn == nil) {
			d.cancel()
		}
	}
	s.mail.wakeAll()
	s.mu.Unlock()

	s.transport.unbindAll(s)
	for _, p := range partners {
		p.partnerGone()
	}
	s.drain(linger)
	s.transport.forget(s)
	s.monitors.tell(Event{Kind: EventClosed})
	return nil
}

// drain waits for what is to be sent, as long as linger says.
func (s *socket) drain(linger time.Duration) {
	if linger >= 0 {
		// A connection that has nothing to send takes a moment to say so.
		timer := time.AfterFunc(max(linger, goodbye), s.cancel)
		defer timer.Stop()
	}
	s.all.Wait()
	s.cancel()
}

// detachAll takes the pipes of connections from the socket, which end when what waits
// is sent. The caller holds s.mu.
func (s *socket) detachAll(which func(*connection) bool) {
	for p := range s.pipes {
		if p.conn != nil && which(p.conn) {
			s.detach(p)
		}
	}
}

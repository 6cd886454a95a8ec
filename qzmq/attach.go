package qzmq

import "slices"

// newPipe makes a pipe between the socket and a connection. The caller holds s.mu.
func (s *socket) newPipe(set *settings, url string) *pipe {
	p := &pipe{owner: s, endpoint: url, in: &queue{limits: set.receiveLimits()}, out: &queue{limits: set.sendLimits()}}
	p.in.consumer, p.out.producer = readEnd{p}, writeEnd{p}
	p.least = leastAcknowledged(p.in.limits)
	return p
}

// leastAcknowledged is how many messages are acknowledged together: libzmq's low-water
// mark.
func leastAcknowledged(l limits) int {
	if l.messages == 0 {
		return 1 << 10
	}
	return (l.messages + 1) / 2
}

// attach makes a pipe one of the socket's. The caller holds s.mu.
func (s *socket) attach(p *pipe) error {
	if s.closed {
		return ErrClosed
	}
	if err := s.pattern.attach(p); err != nil {
		return err
	}
	s.pipes[p] = struct{}{}
	return nil
}

// detach is the end of a pipe: what has come can still be received. The caller holds
// s.mu.
func (s *socket) detach(p *pipe) {
	if _, there := s.pipes[p]; !there {
		return
	}
	delete(s.pipes, p)
	s.unpeer(p)
	s.pattern.detach(p)
	if p.inproc != nil || p.conn != nil {
		p.out.end() // what is in it is sent, and then the connection ends
	} else {
		p.out.abandon()
	}
	p.in.end()
}

// peered says that a peer is at the other end. The caller holds s.mu.
func (s *socket) peered(p *pipe, peer *Peer) error {
	p.peer, p.kind, p.live = peer, peer.Type, true
	err := s.pattern.connected(p)
	if err != nil {
		p.live = false
	}
	return err
}

func (s *socket) unpeer(p *pipe) {
	if p.live {
		p.live = false
		s.pattern.disconnected(p)
	}
}

// enter gives a connection that has been opened its pipe.
func (s *socket) enter(c *connection, set *settings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed && c.from == nil {
		return ErrClosed
	}
	s.collect()
	var p *pipe
	if c.lasts() {
		p = c.from.p
	} else {
		p = s.newPipe(set, c.url)
		if err := s.attach(p); err != nil {
			return err
		}
	}
	if err := s.peered(p, c.peer); err != nil {
		if !c.lasts() {
			s.detach(p)
		}
		return err
	}
	c.p, p.conn = p, c
	p.out.serve(c)
	p.in.feed(reader{c})
	c.pulse.begin(set, c.wake, func() { s.all.Go(func() { c.end(errHeartbeat) }) })
	s.mail.wakeAll()
	return nil
}

// leave is the end of a connection. Who is told of it finds the socket without the peer.
func (s *socket) leave(c *connection) {
	s.mu.Lock()
	s.collect() // what the peer has said last, while it counts as there
	p := c.p
	p.conn = nil
	p.out.serve(nil)
	p.in.feed(nil)
	if c.lasts() {
		s.unpeer(p)
	} else {
		s.detach(p)
	}
	s.mail.wakeAll()
	s.mu.Unlock()
	s.monitors.tell(Event{Kind: EventDisconnected, Endpoint: c.url, Address: c.peer.Address, Peer: c.peer, Err: c.err})
	s.transport.log.Info("disconnected", "endpoint", c.url, "peer", c.peer.Address, "error", c.err)
	if c.from != nil {
		s.all.Go(c.from.again)
	}
}

// reset cuts the connection of a pipe for a reason; where we have connected there will be another,
// for which is what is sent from now on. The caller holds the socket's lock.
func (p *pipe) reset(why error) {
	s := p.owner
	switch c := p.conn; {
	case c != nil:
		p.out.serve(nil)
		if c.lasts() {
			s.unpeer(p)
		} else {
			s.detach(p)
		}
		s.all.Go(func() { c.end(why) })
	case p.inproc != nil:
		s.detach(p)
		s.all.Go(func() {
			p.inproc.partnerGone()
			if p.called {
				s.Connect(p.endpoint) // an error is that one of both has closed
			}
		})
	}
}

// lasts says whether the pipe of a connection is there before and after it.
func (c *connection) lasts() bool { return c.from != nil && c.from.p != nil }

func remove[T comparable](all []T, one T) []T {
	if i := slices.Index(all, one); i >= 0 {
		return slices.Delete(all, i, i+1)
	}
	return all
}

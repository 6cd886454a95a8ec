package qzmq

import (
	"fmt"
	"slices"
)

// Two sockets of a Transport that are connected inproc have two queues between them,
// each with the room of both sides, and nothing else: no goroutine, no copy but that
// of Send, and no encryption, since whoever could listen could read the program's
// memory.

// inprocNames are who has bound a name, and who waits for that. It belongs to the
// transport's lock.
type inprocNames struct {
	bound   map[string]*socket
	waiting map[string][]*pipe
}

func (s *socket) bindInproc(e endpoint, url string) error {
	t := s.transport
	t.mu.Lock()
	if t.inproc.bound[e.address] != nil {
		t.mu.Unlock()
		return fmt.Errorf("%w: %v", ErrAddressInUse, e)
	}
	if t.inproc.bound == nil {
		t.inproc.bound = map[string]*socket{}
	}
	t.inproc.bound[e.address] = s
	waiting := t.inproc.waiting[e.address]
	delete(t.inproc.waiting, e.address)
	t.mu.Unlock()

	s.mu.Lock()
	closed := s.closed
	s.last = url
	s.mu.Unlock()
	if closed {
		t.unbindAll(s)
		return ErrClosed
	}
	s.monitors.tell(Event{Kind: EventListening, Endpoint: url})
	for _, p := range waiting {
		s.join(p, url)
	}
	return nil
}

func (s *socket) connectInproc(e endpoint, url string) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.collect()
	set := s.set
	p := s.newPipe(&set, url)
	p.called = true
	err := s.attach(p)
	s.last = url
	s.mu.Unlock()
	if err != nil {
		return err
	}
	t := s.transport
	t.mu.Lock()
	other := t.inproc.bound[e.address]
	if other == nil {
		if t.inproc.waiting == nil {
			t.inproc.waiting = map[string][]*pipe{}
		}
		t.inproc.waiting[e.address] = append(t.inproc.waiting[e.address], p)
	}
	t.mu.Unlock()
	s.mail.wakeAll()
	if other == nil {
		return nil
	}
	return other.join(p, url)
}

// join makes the other end of a pipe that was connected to what s has bound.
func (s *socket) join(p *pipe, url string) error {
	from := p.owner
	err := s.kind.talksTo(from.kind)
	var mine *pipe
	if err == nil {
		s.mu.Lock()
		s.collect()
		set := s.set
		mine = s.newPipe(&set, url)
		mine.inproc = p
		mine.in.limits, mine.out.limits = limits{}, limits{}
		in, out := set.receiveLimits().both(p.out.limits), set.sendLimits().both(p.in.limits)
		mine.in, mine.out = p.out, p.in
		mine.least = leastAcknowledged(in)
		p.out.connect(readEnd{mine}, nil, in)
		p.in.connect(nil, writeEnd{mine}, out)
		if err = s.attach(mine); err == nil {
			if err = s.peered(mine, &Peer{Address: url, RoutingID: from.routingID(), Type: from.kind}); err != nil {
				s.detach(mine)
			}
		}
		s.mail.wakeAll()
		s.mu.Unlock()
	}
	if err = from.joined(p, mine, s, url, err); err != nil && mine != nil {
		mine.partnerGone()
	}
	return err
}

// joined ends what join has begun, at the side that was there before.
func (s *socket) joined(p, other *pipe, with *socket, url string, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collect()
	if err == nil && s.closed {
		err = ErrClosed
	}
	if err == nil {
		p.inproc, p.least = other, leastAcknowledged(p.in.limits)
		err = s.peered(p, &Peer{Address: url, RoutingID: with.routingID(), Type: with.kind})
	}
	if err != nil {
		s.detach(p)
	}
	s.mail.wakeAll()
	return err
}

// routingID is what a peer is told. It is read while the other socket is locked, and
// so not under this one's lock.
func (s *socket) routingID() []byte {
	if id := s.named.Load(); id != nil && s.kind.hasRoutingID() {
		return *id
	}
	return nil
}

// partnerGone is for the socket at the other end of a pipe that is over: what was sent
// to it can still be received.
func (p *pipe) partnerGone() {
	s := p.owner
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collect()
	s.detach(p)
	s.mail.wakeAll()
}

// unbindInproc gives a name back.
func (t *transport) unbindInproc(s *socket, e endpoint) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inproc.bound[e.address] != s {
		return false
	}
	delete(t.inproc.bound, e.address)
	return true
}

// wait sets who waits for a name. The caller holds the transport's lock.
func (n *inprocNames) wait(name string, pipes []*pipe) {
	if len(pipes) == 0 {
		delete(n.waiting, name)
	} else {
		n.waiting[name] = pipes
	}
}

// stopWaiting gives a pipe of the socket's that waits for somebody to bind, which it then
// does not any more; nil if there is none.
func (t *transport) stopWaiting(s *socket, e endpoint) *pipe {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := t.inproc.waiting[e.address]
	for i, p := range waiting {
		if p.owner == s {
			t.inproc.wait(e.address, slices.Delete(waiting, i, i+1))
			return p
		}
	}
	return nil
}

// unbindAll gives back what a socket has bound and waits for.
func (t *transport) unbindAll(s *socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, who := range t.inproc.bound {
		if who == s {
			delete(t.inproc.bound, name)
		}
	}
	for name, pipes := range t.inproc.waiting {
		kept := pipes[:0]
		for _, p := range pipes {
			if p.owner != s {
				kept = append(kept, p)
			}
		}
		t.inproc.wait(name, kept)
	}
}

package qzmq

import (
	"context"
	"fmt"
	"strings"
)

func (s *socket) Bind(url string) error {
	e, err := parseEndpoint(url)
	if err != nil {
		return err
	}
	if e.network == "inproc" {
		return s.bindInproc(e, url)
	}
	s.mu.Lock()
	set := s.set
	s.mu.Unlock()
	if err := s.mayOpen(e, &set, false); err != nil {
		return err
	}
	nl, err := e.listen(s.staying)
	if err != nil {
		return err
	}
	l := &listener{s: s, e: e.bound(nl), set: set, url: url, l: nl}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		nl.Close()
		return ErrClosed
	}
	s.binds = append(s.binds, l)
	s.last = l.e.String()
	s.monitors.tell(Event{Kind: EventListening, Endpoint: s.last})
	s.all.Go(l.run)
	return nil
}

func (s *socket) Connect(url string) error {
	e, err := parseEndpoint(url)
	if err != nil {
		return err
	}
	if e.network == "inproc" {
		return s.connectInproc(e, url)
	}
	if e.network == "tcp" && strings.HasSuffix(e.address, ":0") {
		return fmt.Errorf("%w: %v: there is no port to connect to", ErrInvalidOptions, e)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.collect()
	if err := s.mayOpen(e, &s.set, true); err != nil {
		return err
	}
	d := &dialer{s: s, e: e, set: s.set, url: url}
	if !s.set.immediate {
		d.p = s.newPipe(&d.set, url)
		if err := s.attach(d.p); err != nil {
			return err
		}
		s.mail.wakeAll()
	}
	d.ctx, d.cancel = context.WithCancel(s.ctx)
	s.connects = append(s.connects, d)
	s.last = e.String()
	s.all.Go(d.run)
	return nil
}

// mayOpen says whether a connection could become a session at all, which is better
// known now than when the first one fails.
func (s *socket) mayOpen(e endpoint, set *settings, connects bool) error {
	o := &s.transport.opts
	if o.InsecurePlaintext {
		if e.sealed {
			return fmt.Errorf("%w: %v is not for a Transport with InsecurePlaintext", ErrInvalidOptions, e)
		}
		return nil
	}
	initiator := connects
	if set.role != RoleAuto {
		initiator = set.role == RoleInitiator
	}
	if !initiator {
		return s.transport.doorErr
	}
	if set.peer.IsZero() && (o.Certificates == nil || o.Certificates.PeerName == "") {
		return fmt.Errorf("%w: %v: who is called is not known: set Options.Peer, the option qzmq.peer, or Certificates.PeerName", ErrInvalidOptions, e)
	}
	return nil
}

func (s *socket) Unbind(url string) error {
	s.mu.Lock()
	for i, l := range s.binds {
		if l.url == url || l.e.String() == url {
			s.binds = append(s.binds[:i:i], s.binds[i+1:]...)
			l.l.Close()
			s.detachAll(func(c *connection) bool { return c.from == nil && c.url == l.e.String() })
			s.mu.Unlock()
			return nil
		}
	}
	s.mu.Unlock()
	if e, err := parseEndpoint(url); err == nil && e.network == "inproc" && s.transport.unbindInproc(s, e) {
		return nil
	}
	return fmt.Errorf("%w: %q is not bound", ErrInvalidOptions, url)
}

func (s *socket) Disconnect(url string) error {
	s.mu.Lock()
	for i, d := range s.connects {
		if d.url == url || d.e.String() == url {
			s.connects = append(s.connects[:i:i], s.connects[i+1:]...)
			d.cancel()
			if d.p != nil {
				s.detach(d.p)
			}
			s.detachAll(func(c *connection) bool { return c.from == d })
			s.mu.Unlock()
			return nil
		}
	}
	for p := range s.pipes {
		if p.inproc != nil && p.endpoint == url {
			s.detach(p)
			s.mu.Unlock()
			p.inproc.partnerGone()
			return nil
		}
	}
	s.mu.Unlock()
	if e, err := parseEndpoint(url); err == nil && e.network == "inproc" {
		if p := s.transport.stopWaiting(s, e); p != nil {
			s.mu.Lock()
			s.detach(p)
			s.mu.Unlock()
			return nil
		}
	}
	return fmt.Errorf("%w: %q is not connected", ErrInvalidOptions, url)
}

package qzmq

import (
	"errors"
	"net"
	"time"
)

// listener is a Bind: it accepts, and each connection has its handshake beside the
// others.
type listener struct {
	s   *socket
	e   endpoint // with the port that the kernel has chosen
	set settings
	url string // as Bind was given it
	l   net.Listener
}

// run accepts until the listener is closed.
func (l *listener) run() {
	s := l.s
	for {
		nc, err := l.l.Accept()
		if errors.Is(err, net.ErrClosed) || s.ctx.Err() != nil {
			return
		}
		if err != nil {
			// Out of descriptors, most likely.
			s.transport.log.Error("a connection cannot be accepted", "endpoint", l.e, "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.staying.Done():
			}
			continue
		}
		leave, ok := s.transport.shaking.Enter(nc)
		if !ok {
			s.transport.stats.failed.Add(1)
			nc.Close()
			continue
		}
		s.all.Go(func() {
			defer leave()
			l.answer(nc)
		})
	}
}

// answer makes a connection of what was accepted.
func (l *listener) answer(nc net.Conn) {
	s := l.s
	url := l.e.String()
	s.monitors.tell(Event{Kind: EventAccepted, Endpoint: url, Address: addressOf(nc)})
	o, err := s.open(s.staying, nc, nil, &l.set)
	if s.staying.Err() != nil && err != nil {
		return // who comes while we close finds nobody
	}
	err = s.transport.opening(o, err)
	var c *connection
	if err == nil {
		c = s.newConnection(o, nc, nil, url)
		if err = s.enter(c, &l.set); err != nil {
			c.end(err)
		}
	}
	if err != nil {
		s.failed(url, addressOf(nc), err)
		return
	}
	s.connected(c)
	// What public-key work has made of this goroutine's stack is not kept for as long as
	// the connection.
	c.start()
}

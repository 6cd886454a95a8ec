package qzmq

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// dialer keeps a socket connected to an endpoint. While there is a connection nothing
// of it runs.
type dialer struct {
	s      *socket
	e      endpoint
	set    settings
	url    string // as Connect was given it
	p      *pipe  // nil with the option immediate: then each connection has its own
	ctx    context.Context
	cancel context.CancelFunc
	before bool // there has been a session
	failed int  // attempts in a row
	came   time.Time
}

// steady is how long a connection has to last to count as one: who is turned away right
// after the handshake calls again ever more slowly, too.
const steady = time.Second

// run calls until there is a connection.
func (d *dialer) run() {
	for !d.finished() {
		c, err := d.call()
		if err == nil {
			d.came = time.Now()
			c.start()
			return
		}
		d.failed++
		if !d.pause() {
			return
		}
	}
}

// again follows a connection that is over.
func (d *dialer) again() {
	if d.failed++; time.Since(d.came) > steady {
		d.failed = 0
	}
	if d.pause() {
		d.run()
	}
}

// call makes one attempt.
func (d *dialer) call() (*connection, error) {
	s := d.s
	s.monitors.tell(Event{Kind: EventConnecting, Endpoint: d.url})
	nc, err := d.e.dial(d.ctx)
	if err != nil {
		s.monitors.tell(Event{Kind: EventConnectFailed, Endpoint: d.url, Err: err})
		return nil, err
	}
	o, err := s.open(d.ctx, nc, d, &d.set)
	if d.ctx.Err() != nil && err != nil {
		return nil, err
	}
	err = s.transport.opening(o, err)
	var c *connection
	if err == nil {
		c = s.newConnection(o, nc, d, d.url)
		if err = s.enter(c, &d.set); err != nil {
			c.end(err)
		}
	}
	if err != nil {
		s.failed(d.url, addressOf(nc), err)
		return nil, err
	}
	d.before = true
	s.connected(c)
	return c, nil
}

// failed tells of a connection that has not become one. Strangers who do not know whom
// they call are many, and not worth a line each.
func (s *socket) failed(url, address string, err error) {
	s.monitors.tell(Event{Kind: EventHandshakeFailed, Endpoint: url, Address: address, Err: err})
	level := slog.LevelWarn
	if errors.Is(err, handshake.ErrSilent) {
		level = slog.LevelDebug
	}
	s.transport.log.Log(s.ctx, level, "handshake failed", "endpoint", url, "peer", address, "error", err)
}

// connected tells of a new connection.
func (s *socket) connected(c *connection) {
	resumed := c.sealed != nil && c.sealed.Session().Resumed()
	s.monitors.tell(Event{Kind: EventConnected, Endpoint: c.url, Address: c.peer.Address, Peer: c.peer, Resumed: resumed})
	s.transport.log.Info("connected", "endpoint", c.url, "peer", c.peer.Address, "resumed", resumed)
}

// pause waits before the next attempt, twice as long each time and not as long as
// others wait. It is false when there is none.
func (d *dialer) pause() bool {
	wait := d.set.reconnect
	if wait < 0 {
		return false
	}
	for i := 1; i < d.failed && wait < d.set.reconnectMax; i++ {
		wait = min(2*wait, d.set.reconnectMax)
	}
	if d.finished() {
		return false
	}
	leaving := d.s.staying.Done()
	if d.s.staying.Err() != nil {
		leaving = nil // there is something to send still
	}
	timer := time.NewTimer(wait/2 + rand.N(wait/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.ctx.Done():
	case <-leaving:
	}
	return !d.finished()
}

// finished says whether nothing is to be sent to the endpoint any more.
func (d *dialer) finished() bool {
	if d.ctx.Err() != nil {
		return true
	}
	return d.s.staying.Err() != nil && (d.p == nil || d.p.out.empty())
}

var errReset = errors.New("qzmq: the socket has cut the connection")

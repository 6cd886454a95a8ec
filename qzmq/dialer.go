package qzmq

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
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

// earlyRuns are messages that have been taken out of a pipe to travel early.
type earlyRuns struct {
	data *handshake.EarlyData
	from *queue
	runs []run
}

// takeEarly takes the messages that wait in front, as long as they are of safe topics
// and few enough.
func (d *dialer) takeEarly(t *transport) *earlyRuns {
	e := &earlyRuns{data: t.safe.Early()}
	if d.p == nil {
		return e
	}
	e.from = d.p.out
	all, _ := e.from.take(nil, nil) // more than may be early
	most := handshake.MaxEarlyData
	if t.opts.MaxEarlyData > 0 {
		most = int(t.opts.MaxEarlyData)
	}
	size := 0
	for i, r := range all {
		for rest := r.wire; len(rest) > 0; {
			parts, after := firstMessage(rest)
			n := len(rest) - len(after)
			if size += n; size > most || e.data.Add(parts) != nil {
				left := append([]run{{wire: rest, messages: r.messages, shared: true}}, all[i+1:]...)
				e.from.putBack(left)
				return e
			}
			r.messages--
			e.runs = append(e.runs, run{wire: rest[:n:n], messages: 1, shared: true})
			rest = after
		}
	}
	return e
}

// putBack is for a handshake that has failed: what was said early may have arrived or
// not, and is said again.
func (e *earlyRuns) putBack() {
	if e != nil && len(e.runs) > 0 {
		e.from.putBack(e.runs)
	}
}

// refused puts back what was not taken early by a peer that there is a session with.
func (e *earlyRuns) refused(messages []handshake.EarlyMessage) {
	if e != nil && len(messages) > 0 {
		e.from.putBack(e.runs[len(e.runs)-len(messages):])
	}
}

// firstMessage gives the parts of the message that wire begins with, and what follows.
func firstMessage(wire []byte) (parts handshake.EarlyMessage, after []byte) {
	for more := true; more; {
		h, n, err := zmtp.ParseHeader(wire)
		if err != nil || n == 0 {
			panic("qzmq: a queue has what is no message")
		}
		end := n + int(h.Size)
		parts = append(parts, wire[n:end])
		wire, more = wire[end:], h.Flags&zmtp.More != 0
	}
	return parts, wire
}

var errReset = errors.New("qzmq: the socket has cut the connection")

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// ipv6LeastMTU is what IPv6 asks of every link (RFC 8200 section 5), in bytes.
const ipv6LeastMTU = 1280

// link is one peer. It has no channel, one, or for a short while several: while
// a session is replaced, and when both sides dial at once.
type link struct {
	peering *peering
	cfg     LinkConfig
	log     *slog.Logger
	dial    chan bool // a request to dial; true for a new session beside the present one
	end     func()    // of what peering.begin has begun

	mu       sync.Mutex
	channels []*channel    // whose sessions are installed, oldest first
	sealing  *channel      // whose path the dataplane has
	rotateBy time.Duration // when the sealing session is to be replaced, by sinceBoot
	rotating time.Duration // when that was last set going; zero once there is a new one
	failure  string        // what was logged last, so that it is logged once
	closed   bool          // for good: no channel joins any more

	joined, rotations uint64 // sessions set up, and those of them beside one that worked
}

func newLink(p *peering, cfg LinkConfig) *link {
	return &link{peering: p, cfg: cfg, log: p.log.With("link", cfg.Name), dial: make(chan bool, 1)}
}

// peerName is what the operator calls the peer: its fingerprint or its name.
func (l *link) peerName() string {
	if l.cfg.Peer.IsZero() {
		return l.cfg.PeerName
	}
	return l.cfg.Peer.String()
}

// open sets up a fresh control connection and has its session carry the link's
// data. It owns conn; run serves what it returns.
func (l *link) open(conn *zmtp.Conn, dialled bool) (*channel, error) {
	c, err := l.setUp(conn, dialled)
	if err != nil {
		conn.CloseWith(handshake.AlertFor(err))
		return nil, fmt.Errorf("link set-up: %w", err)
	}
	if !l.join(c) {
		c.remove()
		conn.CloseWith(handshake.AlertClose)
		return nil, errLinkClosed
	}
	// Whoever was admitted by a policy that is over meanwhile leaves again.
	l.enforce(l.peering.policy.Load().authority)
	return c, nil
}

var errLinkClosed = errors.New("the link was taken out of the configuration")

// run serves a channel until it or ctx ends.
func (l *link) run(ctx context.Context, c *channel) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.pings(ctx)
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	if l.peering.decides(c.conn.Session().Peer()) {
		go l.settle(ctx, c)
	}
	l.leave(c, c.listen())
	c.conn.Close()
}

// join makes c the channel whose session seals from now on, unless the link is
// closed.
func (l *link) join(c *channel) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	c.alive = true
	l.joined++
	// Sessions that come up together are those of two sides that both dialled.
	if l.sealing != nil && l.sealing.alive && c.born-l.sealing.born > rotateLeast {
		l.rotations++
	}
	for _, other := range l.channels {
		if !other.alive {
			l.retire(other)
		}
	}
	l.channels = append(l.channels, c)
	l.choose()
	l.failure = ""
	l.log.Info("link is up", "peer", c.conn.Session().Peer(), "address", c.path.Peer, "wire_mtu", c.path.WireMTU,
		"suite", c.conn.Session().Suite(), "dialled", c.dialled, "resumed", c.conn.Session().Resumed(), "handshake", c.conn.HandshakeTime())
	if inner := c.path.WireMTU - dataplane.Overhead(c.path.Peer.Addr()); inner < ipv6LeastMTU {
		l.log.Warn("IPv6 packets of 1280 bytes, which every link must carry, do not fit", "inner_mtu", inner)
	}
	// Every rotation looks again, so that a gateway that runs for months says it in time.
	for _, certificate := range []*handshake.Certificate{l.peering.policy.Load().authority.certificate, c.conn.Session().PeerCertificate()} {
		if soon := expiring(certificate, time.Now()); soon != "" {
			l.log.Warn(soon)
		}
	}
	return true
}

// leave takes note that c's control connection ended. Its data goes on, unless
// the peer said goodbye, until another session comes up: the peer may not have
// noticed yet, and a session beside this one may end in the next moment.
func (l *link) leave(c *channel, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.alive = false
	if goodbye(why) {
		c.closed = errors.Is(why, io.EOF)
		l.retire(c)
	}
	l.choose()
	l.log.Info("control channel ended", "reason", why, "data_goes_on", l.sealing != nil)
	if !l.anyAlive() {
		l.askToDial(false)
	}
}

func (l *link) connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.anyAlive()
}

func (l *link) anyAlive() bool {
	return slices.ContainsFunc(l.channels, func(c *channel) bool { return c.alive })
}

// retire has c's session removed once late records have arrived.
func (l *link) retire(c *channel) {
	if c.retired {
		return
	}
	c.retired = true
	time.AfterFunc(l.peering.tempo.grace, func() { l.forget(c) })
}

func (l *link) forget(c *channel) {
	l.mu.Lock()
	l.channels = slices.DeleteFunc(l.channels, func(o *channel) bool { return o == c })
	c.retired = true
	l.choose()
	l.mu.Unlock()
	c.remove()
}

// choose gives the dataplane the path of the best session, of equals the newest.
func (l *link) choose() {
	var best *channel
	for _, c := range l.channels {
		if c.rank() > 0 && (best == nil || c.rank() >= best.rank()) {
			best = c
		}
	}
	if best == l.sealing {
		return
	}
	l.sealing = best
	if best == nil {
		l.peering.engine.Stop(l.cfg.Name)
		return
	}
	if err := l.peering.engine.Install(best.id, best.path); err != nil {
		l.log.Error("the link cannot seal", "error", err)
	}
	part := askAt
	if best.dialled {
		part = rotateAt - jitter*rand.Float64()
	}
	l.rotateBy = best.born + time.Duration(float64(l.peering.rotation.MaxAge)*part)
	l.rotating = 0
}

// settle leaves one channel, some time after newest made them two: one that this
// side dialled if the peer has spoken on it since, otherwise newest. What came up
// later is left to its own settling, and nothing is settled for a channel before
// the peer has said something on it. Only the side with the smaller fingerprint
// settles, so both cannot close each other's favourite. The rules are those of
// qzmq/model/spin/rotation.pml.
func (l *link) settle(ctx context.Context, newest *channel) {
	trial := l.peering.tempo.settle
	for first := true; first || newest.heard.Load() == 0; first = false {
		if !sleep(ctx, trial) {
			return
		}
	}
	lately := time.Now().Add(-trial).UnixNano()
	preferred := func(c *channel) bool { return c.dialled && c.heard.Load() > lately }
	keep := newest
	var rest []*channel
	l.mu.Lock()
	sofar := l.channels[:slices.Index(l.channels, newest)+1] // in the order in which they came up
	for _, c := range sofar {
		if c.alive && preferred(c) && !preferred(keep) {
			keep = c
		}
	}
	for _, c := range sofar {
		if c.alive && c != keep {
			rest = append(rest, c)
			c.alive = false // so that choose does not come back to it
			l.retire(c)
		}
	}
	l.choose()
	l.mu.Unlock()
	for _, c := range rest {
		c.conn.CloseWith(handshake.AlertSuperseded)
	}
}

func (l *link) askToDial(rotate bool) {
	select {
	case l.dial <- rotate:
	default: // it will dial anyway
	}
}

// close ends every channel with a sealed goodbye and removes the sessions, for
// good.
func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	channels := slices.Clone(l.channels)
	l.mu.Unlock()
	var all sync.WaitGroup
	for _, c := range channels {
		all.Go(func() { c.conn.Close() })
	}
	all.Wait()
	for _, c := range channels {
		l.forget(c)
	}
}

// fail logs a failure, once for each new reason.
func (l *link) fail(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if why := cause(err); why != l.failure {
		l.failure = why
		l.log.Warn(what, "peer", l.peerName(), "reason", why)
	}
}

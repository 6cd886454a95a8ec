package controlplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

const (
	handshakeTime = 5 * time.Second

	// Handshakes of callers who have proved nothing yet. A source is an IPv4
	// address or an IPv6 /64.
	halfOpenMost      = 256
	halfOpenPerSource = 8
)

// sessionTable is where the steering program looks session ids up.
type sessionTable interface {
	AddSession(id uint32) error
	RemoveSession(id uint32) error
}

// peering makes and takes control connections and hands them to their links.
type peering struct {
	identity *handshake.Identity
	suite    handshake.Suite
	local    netip.AddrPort // the outside address, and the port of TCP and UDP alike
	rotation RotationConfig
	tempo    tempo
	engine   *dataplane.Engine
	steer    sessionTable
	resolve  func(netip.Addr) // asks for the next hop towards a peer
	wireMTU  func() int       // bytes of IP packet that the outside carries
	log      *slog.Logger
	meter    *handshakeMeter

	links map[handshake.Fingerprint]*link // does not change while run runs

	mu       sync.Mutex
	halfOpen map[netip.Prefix]int
	pending  int // sum of halfOpen
	refusals map[string]bool
	oldest   time.Time // when refusals was last emptied
}

// addLinks makes the links of the configuration.
func (p *peering) addLinks(links []LinkConfig) {
	p.halfOpen, p.refusals = map[netip.Prefix]int{}, map[string]bool{}
	p.links = map[handshake.Fingerprint]*link{}
	for _, cfg := range links {
		p.links[cfg.Peer] = newLink(p, cfg)
	}
}

// run serves all links until ctx ends, and closes them in good order. It owns
// the listener.
func (p *peering) run(ctx context.Context, listener net.Listener) {
	var all sync.WaitGroup
	all.Go(func() { p.accept(ctx, listener, &all) })
	for _, l := range p.links {
		all.Go(func() { l.tend(ctx) })
		if l.cfg.Endpoint.IsValid() {
			all.Go(func() { p.dialLoop(ctx, l, &all) })
		}
	}
	<-ctx.Done()
	listener.Close()
	all.Wait()
	for _, l := range p.links {
		l.close()
	}
}

// dialLoop keeps a control connection to the link's endpoint, and makes another
// one beside it when the session is to be replaced.
func (p *peering) dialLoop(ctx context.Context, l *link, all *sync.WaitGroup) {
	l.askToDial(false)
	for {
		var rotate bool
		select {
		case <-ctx.Done():
			return
		case rotate = <-l.dial:
		}
		// When both sides dial, the one that would lose waits for the other.
		pause := time.Duration(0)
		if !rotate && !l.decider {
			pause = p.tempo.polite + rand.N(2*p.tempo.polite)
		}
		for backoff := p.tempo.backoff; sleep(ctx, pause) && (rotate || !l.connected()); backoff = min(2*backoff, p.tempo.backoffMost) {
			c, err := p.dialOnce(ctx, l)
			if err == nil {
				all.Go(func() { l.run(ctx, c) })
				break
			}
			if ctx.Err() != nil {
				return
			}
			l.fail("link cannot be made", err)
			if rotate {
				break // the old session goes on, and asks again
			}
			pause = backoff/2 + rand.N(backoff/2+1)
		}
	}
}

// sleep is false when ctx ended before d was over.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return ctx.Err() == nil
	}
}

func (p *peering) dialOnce(ctx context.Context, l *link) (*channel, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: p.local.Addr().AsSlice()}}
	nc, err := dialer.DialContext(ctx, "tcp", l.cfg.Endpoint.String())
	if err != nil {
		return nil, err
	}
	conn, err := zmtp.Initiate(ctx, nc, handshake.Config{
		Identity: p.identity, Suites: []handshake.Suite{p.suite}, Purpose: handshake.PurposeLink, Peer: l.cfg.Peer,
	})
	p.meter.done("initiator", conn, err)
	if errors.Is(err, zmtp.ErrTruncated) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%v gave no answer: it is silent to whoever calls another identity than its own, so its fingerprint may not be %v (%w)",
			l.cfg.Endpoint, l.cfg.Peer, err)
	}
	if err != nil {
		return nil, err
	}
	return l.open(conn, true)
}

// accept takes connections until the listener closes.
func (p *peering) accept(ctx context.Context, listener net.Listener, all *sync.WaitGroup) {
	for {
		nc, err := listener.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.log.Error("a control connection cannot be accepted", "error", err)
			sleep(ctx, 100*time.Millisecond) // out of descriptors, most likely
			continue
		}
		source, leave, ok := p.enter(nc.RemoteAddr())
		if !ok {
			p.meter.refused("too_many_half_open")
			nc.Close()
			continue
		}
		all.Go(func() { p.answer(ctx, nc, source, leave) })
	}
}

// answer runs the handshake of a caller, and the link if it is one of ours.
func (p *peering) answer(ctx context.Context, nc net.Conn, source netip.Prefix, leave func()) {
	bounded, cancel := context.WithTimeout(ctx, handshakeTime)
	conn, err := zmtp.Respond(bounded, nc, handshake.Config{
		Identity: p.identity, Suites: []handshake.Suite{p.suite}, Purpose: handshake.PurposeLink,
		Authorize: func(f handshake.Fingerprint) bool { return p.links[f] != nil },
	})
	cancel()
	leave()
	p.meter.done("responder", conn, err)
	if err != nil {
		if ctx.Err() == nil {
			p.refuse(source, err)
		}
		return
	}
	l := p.links[conn.Session().Peer()]
	c, err := l.open(conn, false)
	if err != nil {
		l.fail("link cannot be made", err)
		return
	}
	l.run(ctx, c)
}

// enter counts a half-open connection, or refuses it: limits come before
// anything that costs. The caller leaves once.
func (p *peering) enter(a net.Addr) (source netip.Prefix, leave func(), ok bool) {
	remote, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return source, nil, false
	}
	addr, bits := remote.Addr().Unmap(), 32
	if addr.Is6() {
		bits = 64
	}
	source, _ = addr.WithZone("").Prefix(bits)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending >= halfOpenMost || p.halfOpen[source] >= halfOpenPerSource {
		return source, nil, false
	}
	p.pending++
	p.halfOpen[source]++
	return source, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.pending--
		if p.halfOpen[source]--; p.halfOpen[source] == 0 {
			delete(p.halfOpen, source)
		}
	}, true
}

const (
	refusalsMost  = 256
	refusalsReset = 10 * time.Minute
)

// refuse logs why a caller got no link: once for each source and reason, so that
// nobody can fill the log.
func (p *peering) refuse(source netip.Prefix, err error) {
	why := cause(err)
	said := source.String() + " " + why
	p.mu.Lock()
	if now := time.Now(); now.Sub(p.oldest) > refusalsReset {
		clear(p.refusals)
		p.oldest = now
	}
	known := p.refusals[said] || len(p.refusals) >= refusalsMost
	if !known {
		p.refusals[said] = true
	}
	p.mu.Unlock()
	if !known {
		p.log.Warn("a caller was refused", "source", source, "reason", why)
	}
}

// cause is an error's text without the addresses that package net puts into
// it: their ports differ each time, and the same reason is logged once.
func cause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

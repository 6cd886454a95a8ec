package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

const handshakeTime = 5 * time.Second

// sessionTable is where the steering program looks session ids up.
type sessionTable interface {
	AddSession(id uint32) error
	RemoveSession(id uint32) error
}

// peering makes and takes control connections and hands them to their links.
type peering struct {
	identity *handshake.Identity
	local    netip.AddrPort // the outside address, and the port of TCP and UDP alike
	rotation RotationConfig
	tempo    tempo
	callers  *callers
	// Of sessions that may be resumed; nil for none.
	serverTickets *handshake.ServerTickets
	clientTickets *handshake.ClientTickets
	engine        *dataplane.Engine
	steer         sessionTable
	resolve       func(netip.Addr) // asks for the next hop towards a peer
	wireMTU       func() int       // bytes of IP packet that the outside carries
	options       uint32           // of LINK_OFFER
	udpChecksum   bool             // on IPv4 too
	log           *slog.Logger
	meter         *handshakeMeter
	keyLog        io.Writer   // nil unless the operator gives the keys away
	turns         *zmtp.Turns // of the public-key work that callers cause

	policy  atomic.Pointer[policy] // what the configuration says of peers
	changes chan change            // of the policy, for run; nil for none
}

// protect makes what guards against callers and what resumes sessions.
func (p *peering) protect(a AntiDoSConfig, r ResumptionConfig) (err error) {
	p.turns = zmtp.NewTurns()
	if p.callers, err = newCallers(a, p.log); err != nil || !r.Enabled {
		return err
	}
	if p.serverTickets, err = handshake.NewServerTickets(r.TicketLifetime); err != nil {
		return err
	}
	p.clientTickets, err = handshake.NewClientTickets(r.TicketLifetime)
	return err
}

// run serves all links until ctx ends, and closes them in good order. It owns
// the listener, and alone starts and ends links.
func (p *peering) run(ctx context.Context, listener net.Listener) {
	var all sync.WaitGroup
	all.Go(func() { p.accept(ctx, listener, &all) })
	for _, l := range p.policy.Load().links {
		p.begin(ctx, l, &all)
	}
	old := time.NewTicker(expireEvery)
	defer old.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-old.C:
			p.eachTickets(func(s tickets) { s.Expire(sinceBoot()) })
		case c := <-p.changes:
			p.change(ctx, c, &all)
		}
	}
	listener.Close()
	all.Wait()
	for _, l := range p.policy.Load().links {
		l.close()
	}
}

// expireEvery is how often the keys of tickets that are over go away. None of them
// is used in between.
const expireEvery = time.Minute

// tickets are what can be done with either store.
type tickets interface {
	Expire(now time.Duration)
	RevokeAll()
}

// eachTickets calls f for the stores that there are.
func (p *peering) eachTickets(f func(tickets)) {
	if p.serverTickets != nil {
		f(p.serverTickets)
	}
	if p.clientTickets != nil {
		f(p.clientTickets)
	}
}

// begin serves a link until ctx or the link ends.
func (p *peering) begin(ctx context.Context, l *link, all *sync.WaitGroup) {
	ctx, l.end = context.WithCancel(ctx)
	all.Go(func() { l.tend(ctx) })
	if l.cfg.Endpoint.IsValid() {
		all.Go(func() { p.dialLoop(ctx, l, all) })
	}
}

// dialLoop keeps a control connection to the link's endpoint, and makes another
// one beside it when the session is to be replaced.
func (p *peering) dialLoop(ctx context.Context, l *link, all *sync.WaitGroup) {
	l.askToDial(false)
	attempt := 0
	for {
		var rotate bool
		select {
		case <-ctx.Done():
			return
		case rotate = <-l.dial:
		}
		// When both sides dial, the one that would lose waits for the other.
		pause := time.Duration(0)
		if !rotate && !p.decides(l.cfg.Peer) {
			pause = p.tempo.polite + rand.N(2*p.tempo.polite)
		}
		for backoff := p.tempo.backoff; sleep(ctx, pause) && (rotate || !l.connected()); backoff = min(2*backoff, p.tempo.backoffMost) {
			c, err := p.dialOnce(ctx, l, attempt, !rotate)
			attempt++
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

// decides says whether this side settles which of several channels to a peer is
// left: the one with the smaller fingerprint does. A peer that is known by name
// alone is the zero fingerprint until it has shown its own.
func (p *peering) decides(peer handshake.Fingerprint) bool {
	own := p.identity.Fingerprint()
	return bytes.Compare(own[:], peer[:]) < 0
}

// base is what every handshake of this gateway has in common. A caller is not
// known before it has shown who it is, so a responder starts from the least that
// any link asks for, and the link's own policy is looked at afterwards.
func (p *peering) base(mode handshake.Mode, suites []handshake.Suite) handshake.Config {
	return handshake.Config{
		Identity: p.identity, Suites: suites, Mode: mode, Purpose: handshake.PurposeLink, Clock: sinceBoot,
		KeyLog: p.keyLog,
	}
}

// weaker says whether a mode admits more than another.
func weaker(a, b handshake.Mode) bool {
	strength := map[handshake.Mode]int{handshake.ModeClassical: 0, handshake.ModePQOnly: 1, handshake.ModeHybrid: 2}
	return strength[a] < strength[b]
}

// sinceBoot is the clock of cookies, tickets and the ages of keys. It does not
// stop when the machine sleeps.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("controlplane: no boot time clock: " + err.Error())
	}
	return time.Duration(t.Nano())
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

// dialOnce makes a control connection, and with it a session that carries the
// link's data. attempt counts them, since a name may have several keys to try.
// resume allows a handshake without signatures: to reconnect, never to rotate.
func (p *peering) dialOnce(ctx context.Context, l *link, attempt int, resume bool) (*channel, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: p.local.Addr().AsSlice()}}
	nc, err := dialer.DialContext(ctx, "tcp", l.cfg.Endpoint.String())
	if err != nil {
		return nil, err
	}
	cfg := p.base(l.cfg.Mode, []handshake.Suite{l.cfg.Suite})
	authority := p.policy.Load().authority
	authority.calling(&cfg, &l.cfg, attempt, time.Now())
	cfg.ClientTickets, cfg.Reconnect = p.clientTickets, resume && p.clientTickets != nil
	conn, err := zmtp.Initiate(ctx, nc, cfg)
	p.meter.done("initiator", conn, err)
	if errors.Is(err, zmtp.ErrTruncated) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%v gave no answer: it is silent to whoever calls another identity than its own or has not its knock, so it may not be %v (%w)",
			l.cfg.Endpoint, l.peerName(), err)
	}
	if err != nil {
		return nil, err
	}
	if err := p.policy.Load().authority.admit(&l.cfg, conn.Session().Peer(), conn.Session().PeerCertificate()); err != nil {
		conn.CloseWith(handshake.AlertAccessDenied)
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
		source, leave, ok := p.callers.enter(nc.RemoteAddr())
		if !ok {
			p.meter.refused("too_many_half_open")
			nc.Close()
			continue
		}
		all.Go(func() { p.answer(ctx, p.policy.Load(), nc, source, leave) })
	}
}

// answer runs the handshake of a caller, and the link if it is one of ours.
func (p *peering) answer(ctx context.Context, now *policy, nc net.Conn, source netip.Prefix, leave func()) {
	bounded, cancel := context.WithTimeout(ctx, handshakeTime)
	conn, err := now.door.Respond(bounded, nc, zmtp.Caller{Addr: source.Addr(), Known: p.callers.expects(source)})
	cancel()
	leave()
	p.meter.done("responder", conn, err)
	if err != nil {
		if ctx.Err() == nil {
			p.callers.refuse(source, err)
		}
		return
	}
	now = p.policy.Load() // who was let in may have been shut out meanwhile
	linkConfig, err := now.authority.linkOf(conn.Session().Peer(), conn.Session().PeerCertificate())
	if err != nil {
		conn.CloseWith(handshake.AlertAccessDenied)
		p.callers.refuse(source, err)
		return
	}
	l := now.links[linkConfig.Name]
	if err := l.cfg.permits(conn.Session(), p.identity.Algorithm()); err != nil {
		conn.CloseWith(handshake.AlertInsufficientSecurity)
		l.fail("link cannot be made", err)
		return
	}
	c, err := l.open(conn, false)
	if err != nil {
		l.fail("link cannot be made", err)
		return
	}
	l.run(ctx, c)
}

package controlplane

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/relay"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// relays are the relays of a gateway. One that reads the same after a reload is the
// same relay, and so are its connections.
type relays struct {
	peering   *peering
	pool      *zmtp.Pool
	authority atomic.Pointer[authority]

	mu      sync.Mutex
	running map[string]*runningRelay // by name
	ctx     context.Context          // that of run, nil before
	all     sync.WaitGroup
}

type runningRelay struct {
	*relay.Relay
	cfg  RelayConfig
	stop context.CancelFunc // nil before it runs
	done chan struct{}
}

func (p *peering) newRelays(a *authority) *relays {
	rs := &relays{peering: p, pool: new(zmtp.Pool), running: map[string]*runningRelay{}}
	rs.authority.Store(a)
	return rs
}

// open makes the relays of the first configuration listen, or none.
func (rs *relays) open(cfg *Config) error {
	next, err := rs.prepare(cfg, rs.authority.Load())
	if err == nil {
		next.commit()
	}
	return err
}

// nextRelays is what a configuration makes of the relays before anybody notices.
type nextRelays struct {
	relays    *relays
	cfg       *Config
	authority *authority
	kept      map[string]bool
	opened    []*runningRelay
	later     []*RelayConfig // listen where one does that goes first
}

// prepare checks what a configuration asks for, and listens. It is followed by commit
// or abandon. Errors name the line.
func (rs *relays) prepare(cfg *Config, a *authority) (_ *nextRelays, err error) {
	next := &nextRelays{relays: rs, cfg: cfg, authority: a, kept: map[string]bool{}}
	defer func() {
		if err != nil {
			next.abandon()
		}
	}()
	taken := map[relay.Endpoint]bool{}
	for _, r := range rs.running {
		taken[r.cfg.Listen] = true
	}
	for i := range cfg.Relays {
		c := &cfg.Relays[i]
		before := rs.running[c.Name]
		switch {
		case before != nil && before.cfg.same(*c):
			next.kept[c.Name] = true
		case taken[c.Listen]:
			next.later = append(next.later, c)
		default:
			one, err := rs.listen(cfg, c, a)
			if err != nil {
				return nil, cfg.blame(c.lines.item, itemPath("relays", i), err)
			}
			next.opened = append(next.opened, one)
		}
	}
	return next, nil
}

func (rs *relays) listen(cfg *Config, c *RelayConfig, a *authority) (*runningRelay, error) {
	p := rs.peering
	ways := rs.ways(cfg, c, a)
	r, err := relay.New(context.Background(), relay.Config{
		Name: c.Name, Listen: c.Listen, Connect: c.Connect,
		Handshake: ways[0], Otherwise: ways[1:],
		NameOf: func(f handshake.Fingerprint, cert *handshake.Certificate) string { return rs.nameOf(c, f, cert) },
		RulesOf: func(f handshake.Fingerprint, cert *handshake.Certificate) *relay.Rules {
			return c.rulesOf(f, rs.nameOf(c, f, cert))
		},
		MayStay: func(f handshake.Fingerprint, cert *handshake.Certificate) bool { return rs.mayStay(c, f, cert) },
		Lifetime: zmtp.Lifetime{
			MaxMessages: p.rotation.MaxMessages, MaxBytes: p.rotation.MaxBytes, MaxAge: p.rotation.MaxAge, Clock: sinceBoot,
		},
		Turns: p.turns, Coming: &p.callers.relayed, Pool: rs.pool, Log: p.log,
	})
	if err != nil {
		return nil, err
	}
	return &runningRelay{Relay: r, cfg: *c, done: make(chan struct{})}, nil
}

// abandon undoes prepare.
func (n *nextRelays) abandon() {
	for _, r := range n.opened {
		r.Close()
	}
}

// commit ends the relays that are not in the configuration, has those that stay ask
// what it asks, begins those that are new, and cuts whoever may not be there now.
func (n *nextRelays) commit() {
	rs := n.relays
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.authority.Store(n.authority)
	for name, r := range rs.running {
		if n.kept[name] {
			continue
		}
		delete(rs.running, name)
		rs.peering.log.Info("relay ends: it was changed or taken out of the configuration", "relay", name)
		r.end()
	}
	for i := range n.cfg.Relays {
		c := &n.cfg.Relays[i]
		if r := rs.running[c.Name]; r != nil {
			ways := rs.ways(n.cfg, c, n.authority)
			if err := r.Renew(ways[0], ways[1:]...); err != nil {
				rs.peering.log.Error("a relay makes no new connection until this is mended", "relay", c.Name, "reason", err)
			}
			r.Recheck()
		}
	}
	for _, c := range n.later {
		r, err := rs.listen(n.cfg, c, n.authority)
		if err != nil {
			rs.peering.log.Error("a relay cannot begin", "relay", c.Name, "reason", err)
			continue
		}
		n.opened = append(n.opened, r)
	}
	for _, r := range n.opened {
		rs.running[r.cfg.Name] = r
		if rs.ctx != nil {
			rs.begin(r)
		}
	}
}

// begin runs a relay. The caller holds rs.mu.
func (rs *relays) begin(r *runningRelay) {
	ctx, stop := context.WithCancel(rs.ctx)
	r.stop = stop
	rs.all.Go(func() {
		defer close(r.done)
		r.Run(ctx)
	})
}

// end stops a relay, and returns when it does not listen any more.
func (r *runningRelay) end() {
	r.Close()
	if r.stop != nil {
		r.stop()
	}
}

// run carries until ctx ends.
func (rs *relays) run(ctx context.Context) {
	rs.mu.Lock()
	rs.ctx = ctx
	for _, r := range rs.running {
		rs.begin(r)
	}
	rs.mu.Unlock()
	<-ctx.Done()
	rs.all.Wait()
}

// close stops listening, for a gateway that does not come to run.
func (rs *relays) close() {
	for _, r := range rs.running {
		r.Close()
	}
}

// list gives all relays, by name.
func (rs *relays) list() []*runningRelay {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return slices.SortedFunc(maps.Values(rs.running), func(a, b *runningRelay) int { return strings.Compare(a.cfg.Name, b.cfg.Name) })
}

// show gives the figures of all relays.
func (rs *relays) show() []RelayStatus {
	out := []RelayStatus{}
	for _, r := range rs.list() {
		s := r.Stats()
		one := RelayStatus{
			Name: r.cfg.Name, Listen: r.Endpoint().String(), Connect: r.cfg.Connect.String(), Accepted: s.Accepted, Open: s.Open,
			Handshakes: s.Handshakes, Rotations: s.Rotations, Ended: s.Ended, Peers: []RelayPeerStatus{},
		}
		for _, p := range s.Peers {
			one.Peers = append(one.Peers, RelayPeerStatus{
				p.Peer.String(), rs.nameOf(&r.cfg, p.Peer, nil), p.Connections, p.Open, FrameStatus(p.Sealed), FrameStatus(p.Opened),
			})
		}
		slices.SortFunc(one.Peers, func(a, b RelayPeerStatus) int { return strings.Compare(a.Peer, b.Peer) })
		out = append(out, one)
	}
	return out
}

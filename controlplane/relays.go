package controlplane

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/relay"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// RelayConfig is one relay: plain ZMTP on one side, QZMQ over a stream on the other.
type RelayConfig struct {
	Name    string // unique among the relays
	Listen  relay.Endpoint
	Connect relay.Endpoint // sealed if Listen is not
	Service string         // what callers have to ask for, the same at both ends; may be empty

	// Whom it calls, where Connect is sealed: as in LinkConfig.
	Peer     handshake.Fingerprint
	PeerName string
	// Who may call, where Listen is sealed: keys, and whoever bears one of the names.
	Allow      []handshake.Fingerprint
	AllowNames []string
	// Rules bind some of them; who has none may everything.
	Rules []RelayRules

	line int // where it stands in the file
}

// RelayRules are the rules of a peer, by its key or by its name.
type RelayRules struct {
	Peer     handshake.Fingerprint
	PeerName string
	relay.Rules
}

// rulesOf gives the rules of a peer: those of its key, or else those of its name.
func (c *RelayConfig) rulesOf(f handshake.Fingerprint, name string) *relay.Rules {
	var named *relay.Rules
	for i := range c.Rules {
		switch r := &c.Rules[i]; {
		case r.Peer == f:
			return &r.Rules
		case r.PeerName != "" && r.PeerName == name:
			named = &r.Rules
		}
	}
	return named
}

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
				return nil, cfg.blame(c.line, itemPath("relays", i), err)
			}
			next.opened = append(next.opened, one)
		}
	}
	return next, nil
}

// same says whether two configurations ask for the same, wherever they stand.
func (c RelayConfig) same(o RelayConfig) bool {
	c.line, o.line = 0, 0
	return reflect.DeepEqual(c, o)
}

func (rs *relays) listen(cfg *Config, c *RelayConfig, a *authority) (*runningRelay, error) {
	p := rs.peering
	r, err := relay.New(context.Background(), relay.Config{
		Name: c.Name, Listen: c.Listen, Connect: c.Connect,
		Handshake: rs.handshake(cfg, c, a),
		NameOf:    rs.nameOf,
		RulesOf: func(f handshake.Fingerprint, cert *handshake.Certificate) *relay.Rules {
			return c.rulesOf(f, rs.nameOf(f, cert))
		},
		MayStay: func(f handshake.Fingerprint, cert *handshake.Certificate) bool {
			return c.mayStay(f, rs.nameOf(f, cert))
		},
		Lifetime: zmtp.Lifetime{
			MaxMessages: p.rotation.MaxMessages, MaxBytes: p.rotation.MaxBytes, MaxAge: p.rotation.MaxAge, Clock: sinceBoot,
		},
		Turns: p.turns, Pool: rs.pool, Log: p.log,
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
			if err := r.Renew(rs.handshake(n.cfg, c, n.authority)); err != nil {
				rs.peering.log.Error("a relay goes on as before", "relay", c.Name, "reason", err)
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

// nameOf gives the name that a key has now, by the file of authorised keys, or else by
// its certificate.
func (rs *relays) nameOf(f handshake.Fingerprint, cert *handshake.Certificate) string {
	a := rs.authority.Load()
	if name := a.named[f]; name != "" {
		return name
	}
	// One that has expired is for the next connection; who has issued it must still be
	// believed.
	if cert != nil && cert.Fingerprint() == f && cert.Check(a.trusted, cert.NotAfter) == nil {
		return cert.Name
	}
	return ""
}

// handshake is what a relay asks of its peers under an authority.
func (rs *relays) handshake(cfg *Config, c *RelayConfig, a *authority) handshake.Config {
	p := rs.peering
	h := handshake.Config{Identity: p.identity, Mode: cfg.QZMQ.Mode, Service: c.Service, Clock: sinceBoot}
	a.show(&h, time.Now())
	suite := cfg.QZMQ.DefaultSuite
	if c.Listen.Sealed {
		suite.Sig = p.identity.Algorithm()
		h.Suites = []handshake.Suite{suite}
		h.Knock = a.knock
		h.Authorize = func(f handshake.Fingerprint) bool { return c.mayCall(f, rs.nameOf(f, nil)) }
		if len(h.Authorities) > 0 {
			h.AuthorizeCertified = func(cert *handshake.Certificate) bool {
				return c.mayCall(cert.Fingerprint(), rs.nameOf(cert.Fingerprint(), cert))
			}
		}
		h.ServerTickets, h.Cookies, h.CookieDemanded = p.serverTickets, p.callers.cookies, p.callers.cookieDemanded
		return h
	}
	// The suite names the algorithm of the key that is called, which only its owner
	// knows; the mode says which may be.
	for sig := handshake.Ed25519; sig.Valid(); sig++ {
		if suite.Sig = sig; h.Mode.Admits(suite) {
			h.Suites = append(h.Suites, suite)
		}
	}
	h.Peer, h.PeerName = c.Peer, c.PeerName
	if h.Peer.IsZero() {
		if named := a.keysOf(c.PeerName); len(named) > 0 {
			h.Peer, h.PeerName = named[0], ""
		}
	} else if rs.nameOf(h.Peer, nil) == h.PeerName {
		h.PeerName = "" // the file has named it
	}
	h.ClientTickets, h.Reconnect = p.clientTickets, p.clientTickets != nil
	return h
}

// mayCall says whether the bearer of a key and a name may use the relay.
func (c *RelayConfig) mayCall(f handshake.Fingerprint, name string) bool {
	return slices.Contains(c.Allow, f) || name != "" && slices.Contains(c.AllowNames, name)
}

// mayStay says whether a peer may use the relay still, on either side of the call.
func (c *RelayConfig) mayStay(f handshake.Fingerprint, name string) bool {
	if c.Listen.Sealed {
		return c.mayCall(f, name)
	}
	return c.PeerName == "" || name == c.PeerName
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
				p.Peer.String(), rs.nameOf(p.Peer, nil), p.Connections, p.Open, FrameStatus(p.Sealed), FrameStatus(p.Opened),
			})
		}
		slices.SortFunc(one.Peers, func(a, b RelayPeerStatus) int { return strings.Compare(a.Peer, b.Peer) })
		out = append(out, one)
	}
	return out
}

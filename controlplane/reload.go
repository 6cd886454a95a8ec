package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// policy is what a configuration says of peers: who they are, and what is asked of
// them. It is immutable; a reload puts another in its place. A link that reads the
// same in both is the same link, and notices nothing.
type policy struct {
	authority *authority
	links     map[string]*link      // by name
	door      *zmtp.Door            // what all callers come through
	known     map[netip.Prefix]bool // where peers call from
}

// newPolicy makes the policy that these links ask for, and nothing that anybody
// notices before adopt or change.
func (p *peering) newPolicy(a *authority, links []LinkConfig) (*policy, error) {
	out := &policy{authority: a, links: map[string]*link{}, known: map[netip.Prefix]bool{}}
	before := p.policy.Load()
	var suites []handshake.Suite
	var leastMode handshake.Mode // the weakest that a link asks for
	for i, cfg := range links {
		if before != nil && before.links[cfg.Name] != nil && reflect.DeepEqual(before.links[cfg.Name].cfg, cfg) {
			out.links[cfg.Name] = before.links[cfg.Name]
		} else {
			out.links[cfg.Name] = newLink(p, cfg)
		}
		if s := cfg.answers(p.identity.Algorithm()); !slices.Contains(suites, s) {
			suites = append(suites, s)
		}
		if cfg.Endpoint.IsValid() {
			out.known[sourceOf(cfg.Endpoint.Addr())] = true
		}
		if i == 0 || weaker(cfg.Mode, leastMode) {
			leastMode = cfg.Mode
		}
	}
	if len(links) == 0 { // nobody is let in, which takes a suite of the own key all the same
		nobody := LinkConfig{Suite: handshake.DefaultSuite()}
		suites, leastMode = []handshake.Suite{nobody.answers(p.identity.Algorithm())}, handshake.ModeClassical
	}
	cfg := p.base(leastMode, suites)
	a.answering(&cfg, time.Now())
	cfg.ServerTickets, cfg.Cookies, cfg.CookieDemanded = p.serverTickets, p.callers.cookies, p.callers.cookieDemanded
	var err error
	if out.door, err = zmtp.NewDoor(cfg, p.turns); err != nil {
		return nil, fmt.Errorf("callers cannot be answered: %w", err)
	}
	return out, nil
}

// adopt puts a policy in force, before run or in it.
func (p *peering) adopt(next *policy) {
	p.policy.Store(next)
	p.callers.expect(next.known)
}

// change asks run for another policy.
type change struct {
	next  *policy
	route func() // gives the dataplane the links of next, when those that go have gone
	done  chan struct{}
}

// change ends the links that are not in the next policy, adopts it, cuts peers off
// that it does not admit, and begins the links that are new. A link that reads
// differently goes and comes.
func (p *peering) change(ctx context.Context, c change, all *sync.WaitGroup) {
	defer close(c.done)
	before := p.policy.Load()
	var going sync.WaitGroup
	for name, l := range before.links {
		if c.next.links[name] != l {
			l.log.Info("link ends: it was changed or taken out of the configuration")
			l.end()
			going.Go(l.close) // of the same name there is none before this one has gone
		}
	}
	going.Wait()
	p.adopt(c.next)
	c.route()
	for name, l := range c.next.links {
		if before.links[name] != l {
			p.begin(ctx, l, all)
		} else {
			l.enforce(c.next.authority)
		}
	}
	// Whose right has gone is not asked of each: at the worst a peer that may come
	// back makes a whole handshake.
	p.eachTickets(func(s tickets) { s.RevokeAll() })
}

// enforce ends the sessions whose peers this authority does not admit.
func (l *link) enforce(a *authority) {
	l.mu.Lock()
	channels := slices.Clone(l.channels)
	l.mu.Unlock()
	for _, c := range channels {
		session := c.conn.Session()
		certificate := session.PeerCertificate()
		// It may have expired, which is for the next rotation; who has issued it
		// must still be believed.
		if certificate != nil && certificate.Check(a.trusted, certificate.NotAfter) != nil {
			certificate = nil
		}
		if err := a.admit(&l.cfg, session.Peer(), certificate); err != nil {
			l.log.Warn("a peer is not admitted any more", "peer", session.Peer(), "reason", err)
			l.forget(c) // before the alert, whose way may be long
			c.conn.CloseWith(handshake.AlertAccessDenied)
		}
	}
}

// reload puts a configuration in the place of the one in force. If it cannot, that
// stays, and the log says why.
func (g *gateway) reload(ctx context.Context, next *Config) {
	if err := g.replace(ctx, next); err != nil {
		g.log.Error("the configuration was not reloaded, the one in force stays", "reason", err)
		return
	}
	g.loaded = next
	g.log.Info("configuration reloaded", "links", len(next.Links), "relays", len(next.Relays))
}

// replace checks all that can be wrong before it changes anything. Then what is
// protected becomes more before it becomes less.
func (g *gateway) replace(ctx context.Context, next *Config) error {
	if fixed := needRestart(g.loaded, next); len(fixed) > 0 {
		return fmt.Errorf("only a restart changes %s", strings.Join(fixed, ", "))
	}
	identity, authority, err := next.readFiles(time.Now())
	if err != nil {
		return err
	}
	if identity.Fingerprint() != g.peering.identity.Fingerprint() {
		return errors.New("only a restart changes the key in gateway.identity")
	}
	if err := next.unborne(authority); err != nil {
		g.log.Warn("a link has no peer until a key bears its name again", "reason", err)
	}
	inside := g.cfg.Gateway.Inside.Interface
	local, _, _, err := localPrefixes(inside)
	if err != nil {
		return err
	}
	routes, err := steeringRoutes(next.Links, local)
	if err != nil {
		return err
	}
	policy, err := g.peering.newPolicy(authority, next.Links)
	if err != nil {
		return err
	}

	relays, err := g.relays.prepare(next, authority)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			relays.abandon()
		}
	}()

	if err := syncGuard(inside, guardRules(slices.Concat(g.loaded.Links, next.Links))); err != nil {
		return fmt.Errorf("block what is to be protected: %w", err)
	}
	if err := g.interfaces.inside.steer.SetRoutes(routes); err != nil {
		if before, failure := steeringRoutes(g.loaded.Links, local); failure == nil {
			err = errors.Join(err, g.interfaces.inside.steer.SetRoutes(before))
		}
		return err
	}
	c := change{next: policy, route: func() { g.engine.SetRoutes(linkRoutes(next.Links)) }, done: make(chan struct{})}
	select {
	case g.peering.changes <- c:
		<-c.done
	case <-ctx.Done():
		return nil
	}
	committed = true
	relays.commit()
	if err := syncGuard(inside, guardRules(next.Links)); err != nil {
		g.log.Warn("the kernel blocks more than it has to when the gateway is not running", "reason", err)
	}
	return nil
}

// needRestart names what differs that a running gateway cannot change.
func needRestart(have, want *Config) (keys []string) {
	a, b := reflect.ValueOf(have.Gateway), reflect.ValueOf(want.Gateway)
	for i := range a.NumField() {
		switch name := a.Type().Field(i).Name; name {
		case "Certificate", "Knock": // are read anew
		default:
			if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				keys = append(keys, "gateway."+snake(name))
			}
		}
	}
	if have.QZMQ.KeyRotation != want.QZMQ.KeyRotation {
		keys = append(keys, "qzmq.key_rotation")
	}
	if have.QZMQ.AntiDoS != want.QZMQ.AntiDoS {
		keys = append(keys, "qzmq.anti_dos")
	}
	if have.QZMQ.Resumption != want.QZMQ.Resumption {
		keys = append(keys, "qzmq.resumption")
	}
	return keys
}

// snake gives the name of a field as the configuration has it.
func snake(name string) string {
	var out strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(rune(name[i-1])) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

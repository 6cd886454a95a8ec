package controlplane

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/qzmq/handshake"
)

// reload gives a running site other links, as gateway.replace does.
func (s *site) reload(a *authority, links ...LinkConfig) {
	s.t.Helper()
	next, err := s.peering.newPolicy(a, links)
	if err != nil {
		s.t.Fatal(err)
	}
	c := change{next: next, route: func() { s.peering.engine.SetRoutes(linkRoutes(links)) }, done: make(chan struct{})}
	s.peering.changes <- c
	<-c.done
}

func (s *site) authorityOf(links ...LinkConfig) *authority {
	return newAuthority(s.peering.identity.Fingerprint(), links, nil, nil)
}

// state is that of the link to another site.
func (s *site) state(o *site) LinkState {
	for _, l := range statusOf(s).Links {
		if l.Name == s.linkTo(o, false).Name {
			return l.State
		}
	}
	return ""
}

// TestReloadTakesAndAddsLinks: what is not in the new policy goes in good order,
// what is new comes, and what is in both notices nothing.
func TestReloadTakesAndAddsLinks(t *testing.T) {
	port := freePort(t)
	a, b, c := newSite(t, 1, identity(t), port), newSite(t, 2, identity(t), port), newSite(t, 3, identity(t), port)
	toB, toC := a.linkTo(b, true), a.linkTo(c, true)
	b.begin(b.linkTo(a, false))
	c.begin(c.linkTo(a, false))
	a.begin(toB, toC)
	eventually(t, "both links are up", 10*time.Second, func() bool { return a.state(b) == LinkUp && a.state(c) == LinkUp })
	kept, session := a.link(b), statusOf(a).Links[0].Session.ID

	a.reload(a.authorityOf(toB), toB)
	if a.state(c) != "" || a.peering.policy.Load().links[toC.Name] != nil {
		t.Error("the link is still there")
	}
	if !strings.Contains(a.log.String(), "link ends") {
		t.Error("nothing was logged of the end")
	}
	eventually(t, "the peer took the goodbye", 5*time.Second, func() bool { return c.state(a) == LinkDown })
	if n := a.steer.len(); n != 1 {
		t.Errorf("%d sessions are left in the steering program, want 1", n)
	}

	a.reload(a.authorityOf(toB, toC), toB, toC)
	eventually(t, "the link is back", 10*time.Second, func() bool { return a.state(c) == LinkUp && c.state(a) == LinkUp })

	// A link that reads differently goes and comes, under the same name.
	other := toC
	other.Other = OtherDrop
	old := a.link(c)
	a.reload(a.authorityOf(toB, other), toB, other)
	if a.link(c) == old {
		t.Error("a link that reads differently is the same")
	}
	eventually(t, "the changed link is up", 10*time.Second, func() bool { return a.state(c) == LinkUp && c.state(a) == LinkUp })

	if now := statusOf(a).Links[0].Session; a.link(b) != kept || now == nil || now.ID != session || statusOf(a).Links[0].SessionsUp != 1 {
		t.Errorf("the link that stayed has noticed: session %+v, was %s", now, session)
	}
	cable(t, a, b)
	exchange(t, a, b)
	// Nobody comes in through a link that has ended.
	if old.join(&channel{link: old}) {
		t.Error("a closed link takes channels")
	}
}

// TestReloadCutsRevoked: a peer whose key is not in the file any more has lost its
// session when the reload is done.
func TestReloadCutsRevoked(t *testing.T) {
	port := freePort(t)
	a, b := newSite(t, 1, identity(t), port), newSite(t, 2, identity(t), port)
	toB := a.linkTo(b, false)
	toB.Peer, toB.PeerName = handshake.Fingerprint{}, "site-2"
	own := a.peering.identity.Fingerprint()
	key, another := authorisedKey{b.peering.identity.Fingerprint(), "site-2"}, authorisedKey{handshake.Fingerprint{7}, "site-2"}
	a.authority = newAuthority(own, []LinkConfig{toB}, nil, []authorisedKey{key, another})
	a.begin(toB)
	b.begin(b.linkTo(a, true))
	eventually(t, "the link is up", 10*time.Second, func() bool { return a.state(b) == LinkUp })
	kept := a.link(b)
	if a.peering.serverTickets.Len() == 0 {
		t.Error("the peer has no ticket")
	}

	a.reload(newAuthority(own, []LinkConfig{toB}, nil, []authorisedKey{key}), toB)
	if n := a.peering.serverTickets.Len(); n != 0 {
		t.Errorf("%d tickets outlive a change of rights", n)
	}
	if a.state(b) != LinkUp || a.link(b) != kept {
		t.Error("a peer that is still in the file was cut")
	}
	a.reload(newAuthority(own, []LinkConfig{toB}, nil, []authorisedKey{another}), toB)
	if a.state(b) != LinkDown || a.steer.len() != 0 {
		t.Errorf("the link is %s and %d sessions are left", a.state(b), a.steer.len())
	}
	if !strings.Contains(a.log.String(), "a peer is not admitted any more") {
		t.Error("nothing was logged of it")
	}
	time.Sleep(time.Second)
	if n := a.steer.len(); n != 0 {
		t.Errorf("it came back: %d sessions", n)
	}
	a.reload(newAuthority(own, []LinkConfig{toB}, nil, []authorisedKey{another, key}), toB)
	eventually(t, "it is let in again", 20*time.Second, func() bool { return a.state(b) == LinkUp })
}

// TestReloadCutsUncertified: so has one whose certificate nobody vouches for.
func TestReloadCutsUncertified(t *testing.T) {
	key, err := handshake.GenerateAuthority(handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	other, err := handshake.GenerateAuthority(handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t)
	toB, toA := a.linkTo(b, true), b.linkTo(a, false)
	toB.Peer, toB.PeerName = handshake.Fingerprint{}, "site-2"
	now := time.Now().Add(-time.Hour)
	b.certify(key, "site-2", toB.Routes, now, []LinkConfig{toA})
	a.certify(key, "site-1", toA.Routes, now, []LinkConfig{toB})
	a.begin(toB)
	b.begin(toA)
	up(t, a, b)
	own := a.peering.identity.Fingerprint()
	a.reload(newAuthority(own, []LinkConfig{toB}, []*handshake.Authority{other.Authority(), key.Authority()}, nil), toB)
	if a.state(b) != LinkUp {
		t.Error("cut although its authority is believed")
	}
	a.reload(newAuthority(own, []LinkConfig{toB}, []*handshake.Authority{other.Authority()}, nil), toB)
	if a.state(b) != LinkDown || a.steer.len() != 0 {
		t.Errorf("the link is %s and %d sessions are left", a.state(b), a.steer.len())
	}
}

// TestReloadUnderTraffic: packets of a link that stays are sealed and opened while
// others come and go.
func TestReloadUnderTraffic(t *testing.T) {
	port := freePort(t)
	a, b, c := newSite(t, 1, identity(t), port), newSite(t, 2, identity(t), port), newSite(t, 3, identity(t), port)
	toB, toC := a.linkTo(b, true), a.linkTo(c, false)
	b.begin(b.linkTo(a, false))
	a.begin(toB)
	up(t, a, b)
	cable(t, a, b)
	for range 20 {
		a.reload(a.authorityOf(toB, toC), toB, toC)
		exchange(t, a, b)
		a.reload(a.authorityOf(toB), toB)
		exchange(t, a, b)
	}
	for _, s := range []*site{a, b} {
		for _, d := range dataplane.Drops() {
			if n := s.peering.engine.Stats()[0].Dropped[d]; n > 0 {
				t.Errorf("%d packets died: %v", n, d)
			}
		}
	}
}

func TestNeedRestart(t *testing.T) {
	base := func() *Config {
		c, err := Parse("a.yaml", []byte(minimal), env{}.get)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct {
		change func(*Config)
		want   []string
	}{
		{func(c *Config) {}, nil},
		{func(c *Config) { c.Gateway.Certificate, c.Gateway.Knock, c.QZMQ.AuthorisedKeys = "c", "k", "keys" }, nil},
		{func(c *Config) { c.Links = []LinkConfig{{Name: "b"}} }, nil},
		{func(c *Config) { c.Gateway.BusyPoll, c.Gateway.Outside.Port = 1, 1 }, []string{"gateway.outside", "gateway.busy_poll"}},
		{func(c *Config) { c.Gateway.Admin.Socket, c.QZMQ.KeyRotation.MaxAge = "/s", 1 }, []string{"gateway.admin", "qzmq.key_rotation"}},
		{func(c *Config) { c.QZMQ.AntiDoS.MaxConcurrent, c.QZMQ.Resumption.Enabled = 1, false }, []string{"qzmq.anti_dos", "qzmq.resumption"}},
	} {
		next := base()
		c.change(next)
		if got := needRestart(base(), next); !reflect.DeepEqual(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
}

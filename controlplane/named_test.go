package controlplane

import (
	"net/netip"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// certify makes the site known by name: a certificate of this authority, for
// these routes, from which it also believes the others' names.
func (s *site) certify(key *handshake.AuthorityKey, name string, routes []netip.Prefix, from time.Time, links []LinkConfig) {
	s.t.Helper()
	request, err := handshake.NewRequest(s.peering.identity)
	if err != nil {
		s.t.Fatal(err)
	}
	certificate, err := key.Issue(request, handshake.Grant{
		Name: name, Roles: handshake.LinkRoles, Routes: routes, NotBefore: from, NotAfter: from.Add(handshake.DefaultValidity),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.authority = newAuthority(s.peering.identity.Fingerprint(), links, []*handshake.Authority{key.Authority()}, nil)
	s.authority.certificate = certificate
}

// TestLinkByName has two sites know each other by nothing but a name and a common
// authority, and checks what such a link refuses.
func TestLinkByName(t *testing.T) {
	now := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name    string
		called  string         // what the dialling side calls its peer
		routes  []netip.Prefix // what the called side's certificate allows
		from    time.Time      // when the called side's certificate begins
		refusal string         // in the log of the dialling side; empty for a link
	}{
		{name: "as agreed", called: "site-2", routes: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}, from: now},
		{"another name", "site-3", []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}, now, "name"},
		{"a route that is not allowed", "site-2", []netip.Prefix{netip.MustParsePrefix("10.3.0.0/16")}, now, "route"},
		{"expired", "site-2", []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}, now.Add(-31 * 24 * time.Hour), "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, err := handshake.GenerateAuthority(handshake.MLDSA44)
			if err != nil {
				t.Fatal(err)
			}
			a, b := pair(t)
			toB, toA := a.linkTo(b, true), b.linkTo(a, false)
			toB.Peer, toB.PeerName = handshake.Fingerprint{}, c.called
			toA.Peer, toA.PeerName = handshake.Fingerprint{}, "site-1"
			b.certify(key, "site-2", c.routes, c.from, []LinkConfig{toA})
			a.certify(key, "site-1", []netip.Prefix{a.network}, now, []LinkConfig{toB})
			a.begin(toB)
			b.begin(toA)
			if c.refusal == "" {
				up(t, a, b)
				exchange(t, a, b)
				return
			}
			eventually(t, "the dialling side says why", 10*time.Second, func() bool { return a.log.count(c.refusal) > 0 })
			if a.link(b).connected() {
				t.Error("the link is up all the same")
			}
		})
	}
}

// TestLinkWarnsOfExpiry: seven days before a certificate ends both sides say so, its
// owner too, with every session that comes up and not at the start alone.
func TestLinkWarnsOfExpiry(t *testing.T) {
	key, err := handshake.GenerateAuthority(handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t)
	toB, toA := a.linkTo(b, true), b.linkTo(a, false)
	toB.Peer, toB.PeerName = handshake.Fingerprint{}, "site-2"
	toA.Peer, toA.PeerName = handshake.Fingerprint{}, "site-1"
	sixDaysLeft := time.Now().Add(6*24*time.Hour + time.Hour - handshake.DefaultValidity)
	eightDaysLeft := time.Now().Add(8*24*time.Hour - handshake.DefaultValidity)
	b.certify(key, "site-2", []netip.Prefix{b.network}, sixDaysLeft, []LinkConfig{toA})
	a.certify(key, "site-1", []netip.Prefix{a.network}, eightDaysLeft, []LinkConfig{toB})
	a.begin(toB)
	b.begin(toA)
	up(t, a, b)
	said := func(s *site) int { return s.log.count("the certificate of site-2 expires on ") }
	eventually(t, "both say so", 5*time.Second, func() bool { return said(a) > 0 && said(b) > 0 })
	before := said(b)
	a.link(b).askToDial(true)
	eventually(t, "the owner says so again", 10*time.Second, func() bool { return said(b) > before })
	if a.log.count("site-1 expires")+b.log.count("site-1 expires") > 0 {
		t.Error("a certificate with eight days left is warned of")
	}
}

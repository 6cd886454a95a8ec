package controlplane

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// authNow is the time of these tests.
func authNow() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) }

func newTestIdentity(t testing.TB) *handshake.Identity {
	t.Helper()
	id, err := handshake.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newTestAuthority(t testing.TB) *handshake.AuthorityKey {
	t.Helper()
	ca, err := handshake.GenerateAuthority(handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// certify makes a certificate for links that is in force at authNow.
func certify(t testing.TB, ca *handshake.AuthorityKey, id *handshake.Identity, name string, routes ...string) *handshake.Certificate {
	t.Helper()
	q, err := handshake.NewRequest(id)
	if err != nil {
		t.Fatal(err)
	}
	g := handshake.Grant{
		Name: name, Roles: handshake.LinkRoles, Routes: prefixes(routes...),
		NotBefore: authNow().Add(-time.Hour), NotAfter: authNow().Add(handshake.DefaultValidity),
	}
	c, err := ca.Issue(q, g)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// TestAuthorityDecides is the table of who is the peer of which link.
func TestAuthorityDecides(t *testing.T) {
	ca := newTestAuthority(t)
	own, b, c, d := newTestIdentity(t), newTestIdentity(t), newTestIdentity(t), newTestIdentity(t)
	links := []LinkConfig{
		{Name: "pinned", Peer: b.Fingerprint(), Routes: prefixes("10.2.0.0/16")},
		{Name: "named", PeerName: "site-c", Routes: prefixes("10.3.0.0/16", "fd00:3::/64")},
		{Name: "filed", PeerName: "site-d", Routes: prefixes("10.4.0.0/16")},
		{Name: "both", Peer: handshake.Fingerprint{9}, PeerName: "site-e", Routes: prefixes("10.5.0.0/16")},
	}
	keys := []authorisedKey{{d.Fingerprint(), "site-d"}, {handshake.Fingerprint{8}, "site-x"}, {handshake.Fingerprint{7}, ""}}
	for _, tc := range []struct {
		name        string
		peer        *handshake.Identity
		certificate *handshake.Certificate
		want        string // the link, empty for none
		err         error
	}{
		{"pinned", b, nil, "pinned", nil},
		{"pinned, whatever its certificate says", b, certify(t, ca, b, "site-z"), "pinned", nil},
		{"named", c, certify(t, ca, c, "site-c", "10.0.0.0/8", "fd00::/16"), "named", nil},
		{"named, routes exactly", c, certify(t, ca, c, "site-c", "10.3.0.0/16", "fd00:3::/64"), "named", nil},
		{"in the file", d, nil, "filed", nil},
		{"in the file, no route certified", d, certify(t, ca, d, "site-d"), "filed", nil},
		{"stranger", c, nil, "", errNoLink},
		{"stranger with a certificate", c, certify(t, ca, c, "site-z", "0.0.0.0/0"), "", errNoLink},
		{"pinned key under another name", b, certify(t, ca, b, "site-c", "0.0.0.0/0", "::/0"), "pinned", nil},
		{"key of the file under another name", d, certify(t, ca, d, "site-c", "0.0.0.0/0", "::/0"), "filed", nil},
		{"own key", own, certify(t, ca, own, "site-c", "0.0.0.0/0", "::/0"), "", errOwnKey},
		{"certificate of another key", c, certify(t, ca, b, "site-c", "0.0.0.0/0", "::/0"), "", errOtherName},
		{"name right, pin wrong", c, certify(t, ca, c, "site-e", "0.0.0.0/0"), "", errOtherKey},
		{"a route is missing", c, certify(t, ca, c, "site-c", "10.3.0.0/16"), "", errRouteAbove},
		{"a route is too small", c, certify(t, ca, c, "site-c", "10.3.0.0/17", "10.3.128.0/17", "fd00:3::/64"), "", errRouteAbove},
		{"no routes", c, certify(t, ca, c, "site-c"), "", errRouteAbove},
	} {
		a := newAuthority(own.Fingerprint(), links, []*handshake.Authority{ca.Authority()}, keys)
		l, err := a.linkOf(tc.peer.Fingerprint(), tc.certificate)
		if !errors.Is(err, tc.err) || err == nil && l.Name != tc.want {
			t.Errorf("%s: %+v, %v, want %q, %v", tc.name, l, err, tc.want, tc.err)
		}
	}
}

// TestAuthorityOneKeyOneLink: a key that came under one name is not let in under
// another, until the first link has another key.
func TestAuthorityOneKeyOneLink(t *testing.T) {
	ca := newTestAuthority(t)
	b, c := newTestIdentity(t), newTestIdentity(t)
	links := []LinkConfig{{Name: "b", PeerName: "site-b", Routes: prefixes("10.2.0.0/16")}, {Name: "c", PeerName: "site-c", Routes: prefixes("10.3.0.0/16")}}
	a := newAuthority(handshake.Fingerprint{1}, links, []*handshake.Authority{ca.Authority()}, nil)
	for _, step := range []struct {
		id   *handshake.Identity
		name string
		want error
	}{
		{b, "site-b", nil},
		{b, "site-b", nil},         // a rotation
		{b, "site-c", errTwoNames}, // the same key under another name
		{c, "site-c", nil},
		{c, "site-b", errTwoNames},
		{newTestIdentity(t), "site-b", nil}, // a new key of the old name
		{b, "site-c", nil},                  // the old key is free
	} {
		if _, err := a.linkOf(step.id.Fingerprint(), certify(t, ca, step.id, step.name, "10.0.0.0/8")); !errors.Is(err, step.want) {
			t.Errorf("as %s: %v, want %v", step.name, err, step.want)
		}
	}
}

// TestAuthorityCalls: an initiator takes turns with all that a name can mean.
func TestAuthorityCalls(t *testing.T) {
	ca := newTestAuthority(t).Authority()
	own, old, young := handshake.Fingerprint{1}, handshake.Fingerprint{2}, handshake.Fingerprint{3}
	keys := []authorisedKey{{old, "site-b"}, {own, "site-b"}, {young, "site-b"}}
	type call struct {
		peer handshake.Fingerprint
		name string
	}
	for _, tc := range []struct {
		name    string
		link    LinkConfig
		trusted []*handshake.Authority
		keys    []authorisedKey
		want    []call // of the first attempts
	}{
		{"pin", LinkConfig{Peer: old}, []*handshake.Authority{ca}, keys, []call{{old, ""}, {old, ""}}},
		{"name by file", LinkConfig{PeerName: "site-b"}, nil, keys, []call{{old, ""}, {young, ""}, {old, ""}}},
		{"name by certificate", LinkConfig{PeerName: "site-b"}, []*handshake.Authority{ca}, nil, []call{{name: "site-b"}, {name: "site-b"}}},
		{"name by both", LinkConfig{PeerName: "site-b"}, []*handshake.Authority{ca}, keys, []call{{old, ""}, {young, ""}, {name: "site-b"}, {old, ""}}},
		{"pin and name by file", LinkConfig{Peer: young, PeerName: "site-b"}, []*handshake.Authority{ca}, keys, []call{{young, ""}, {young, ""}}},
		{"pin and name by certificate", LinkConfig{Peer: handshake.Fingerprint{4}, PeerName: "site-b"}, []*handshake.Authority{ca}, keys, []call{{handshake.Fingerprint{4}, "site-b"}}},
	} {
		a := newAuthority(own, []LinkConfig{tc.link}, tc.trusted, tc.keys)
		for attempt, want := range tc.want {
			var c handshake.Config
			a.calling(&c, &tc.link, attempt, authNow())
			if c.Peer != want.peer || c.PeerName != want.name || !slices.Equal(c.Authorities, tc.trusted) || !c.Now.Equal(authNow()) {
				t.Errorf("%s, attempt %d: calls %v %q", tc.name, attempt, c.Peer, c.PeerName)
			}
		}
	}
}

// agree runs a handshake between two gateways, each with its view of who may.
func agree(t *testing.T, caller, called *authority, callerID, calledID *handshake.Identity, link *LinkConfig) (i, r *handshake.Session, err error) {
	t.Helper()
	ic := handshake.Config{Identity: callerID, Purpose: handshake.PurposeLink}
	rc := handshake.Config{Identity: calledID, Purpose: handshake.PurposeLink}
	caller.calling(&ic, link, 0, authNow())
	called.answering(&rc, authNow())
	initiator, err := handshake.NewInitiator(ic)
	if err != nil {
		return nil, nil, err
	}
	responder, err := handshake.NewResponder(rc)
	if err != nil {
		return nil, nil, err
	}
	greetings := [2][64]byte{{32: 0}, {32: 1}}
	msg, err := initiator.Start(greetings[0])
	if err != nil {
		return nil, nil, err
	}
	initiator.PeerGreeting(greetings[1])
	responder.Greetings(greetings[0], greetings[1])
	if msg, _, err = responder.Handle(msg); err != nil {
		return nil, nil, err
	}
	if msg, _, err = initiator.Handle(msg); err != nil {
		return nil, nil, err
	}
	if msg, r, err = responder.Handle(msg); err != nil {
		return nil, nil, err
	}
	_, i, err = initiator.Handle(msg)
	return i, r, err
}

// TestAuthorityInHandshakes: what this package asks for and what the handshake
// does with it fit together, whichever way each side knows the other.
func TestAuthorityInHandshakes(t *testing.T) {
	ca, other := newTestAuthority(t), newTestAuthority(t)
	idA, idB := newTestIdentity(t), newTestIdentity(t)
	a, b := idA.Fingerprint(), idB.Fingerprint()
	certA, certB := certify(t, ca, idA, "site-a", "10.1.0.0/16"), certify(t, ca, idB, "site-b", "10.2.0.0/16")
	trust := []*handshake.Authority{ca.Authority()}
	toB := LinkConfig{Name: "to-b", Routes: prefixes("10.2.0.0/24")}
	toA := LinkConfig{Name: "to-a", Routes: prefixes("10.1.0.0/24")}
	pin := func(l LinkConfig, f handshake.Fingerprint) LinkConfig { l.Peer = f; return l }
	named := func(l LinkConfig, name string) LinkConfig { l.PeerName = name; return l }
	for _, tc := range []struct {
		name             string
		toB, toA         LinkConfig
		trustA, trustB   []*handshake.Authority
		keysA, keysB     []authorisedKey
		certA, certB     *handshake.Certificate
		shake            string // how the handshake fails, empty if it does not
		admitsB, admitsA error  // what the link set-up says at A and at B
	}{
		{name: "pins", toB: pin(toB, b), toA: pin(toA, a)},
		{name: "pins, and certificates of no interest", toB: pin(toB, b), toA: pin(toA, a), certA: certA, certB: certB},
		{name: "certificates", toB: named(toB, "site-b"), toA: named(toA, "site-a"), trustA: trust, trustB: trust, certA: certA, certB: certB},
		{name: "both", toB: named(pin(toB, b), "site-b"), toA: named(pin(toA, a), "site-a"), trustA: trust, trustB: trust, certA: certA, certB: certB},
		{name: "files", toB: named(toB, "site-b"), toA: named(toA, "site-a"), keysA: []authorisedKey{{b, "site-b"}}, keysB: []authorisedKey{{a, "site-a"}}},
		{name: "file and certificate", toB: named(toB, "site-b"), toA: named(toA, "site-a"), keysA: []authorisedKey{{b, "site-b"}}, trustB: trust, certA: certA},
		{name: "pin and certificate", toB: pin(toB, b), toA: named(toA, "site-a"), trustB: trust, certA: certA},

		{name: "called by a stranger", toB: pin(toB, b), toA: pin(toA, handshake.Fingerprint{5}), shake: "not authorised"},
		{name: "called without a certificate", toB: pin(toB, b), toA: named(toA, "site-a"), trustB: trust, shake: "not authorised"},
		{name: "called by another name", toB: pin(toB, b), toA: named(toA, "site-c"), trustB: trust, certA: certA, shake: "not authorised"},
		{name: "pin right, name wrong", toB: pin(toB, b), toA: named(pin(toA, a), "site-c"), trustB: trust, certA: certA, shake: "not authorised"},
		{name: "name right, pin wrong", toB: pin(toB, b), toA: named(pin(toA, handshake.Fingerprint{5}), "site-a"), trustB: trust, certA: certA, shake: "not authorised"},
		{name: "other authority", toB: pin(toB, b), toA: named(toA, "site-a"), trustB: trust, certA: certify(t, other, idA, "site-a", "10.1.0.0/16"), shake: "not trusted here"},
		{name: "responder of another name", toB: named(toB, "site-c"), toA: pin(toA, a), trustA: trust, certB: certB, shake: "of another name"},

		{name: "routes of A", toB: pin(toB, b), toA: named(LinkConfig{Name: "to-a", Routes: prefixes("10.9.0.0/24")}, "site-a"), trustB: trust, certA: certA, admitsA: errRouteAbove},
		{name: "routes of B", toB: named(LinkConfig{Name: "to-b", Routes: prefixes("10.2.0.0/24", "10.1.0.0/24")}, "site-b"), toA: pin(toA, a), trustA: trust, certB: certB, admitsB: errRouteAbove},
	} {
		atA, atB := newAuthority(a, []LinkConfig{tc.toB}, tc.trustA, tc.keysA), newAuthority(b, []LinkConfig{tc.toA}, tc.trustB, tc.keysB)
		atA.certificate, atB.certificate = tc.certA, tc.certB
		i, r, err := agree(t, atA, atB, idA, idB, &atA.links[0])
		if tc.shake != "" || err != nil {
			if err == nil || tc.shake == "" || !strings.Contains(err.Error(), tc.shake) {
				t.Errorf("%s: the handshake says %v, want %q", tc.name, err, tc.shake)
			}
			continue
		}
		if err := atA.admit(&atA.links[0], i.Peer(), i.PeerCertificate()); !errors.Is(err, tc.admitsB) {
			t.Errorf("%s: A says of B %v, want %v", tc.name, err, tc.admitsB)
		}
		l, err := atB.linkOf(r.Peer(), r.PeerCertificate())
		if !errors.Is(err, tc.admitsA) || l == nil || l.Name != "to-a" {
			t.Errorf("%s: B says of A %v, %v, want %v", tc.name, l, err, tc.admitsA)
		}
	}
}

func TestAuthorityExpiring(t *testing.T) {
	c := certify(t, newTestAuthority(t), newTestIdentity(t), "site-b")
	for _, tc := range []struct {
		now  time.Time
		want string
	}{
		{authNow(), ""},
		{c.NotAfter.Add(-handshake.WarnBefore), ""},
		{c.NotAfter.Add(-handshake.WarnBefore + time.Second), "the certificate of site-b expires on 2026-07-15 12:00:00 UTC, in 6 days"},
		{c.NotAfter.Add(time.Second), "the certificate of site-b has expired on 2026-07-15 12:00:00 UTC"},
	} {
		if got := expiring(c, tc.now); got != tc.want {
			t.Errorf("at %v: %q, want %q", tc.now, got, tc.want)
		}
	}
	if got := expiring(nil, authNow()); got != "" {
		t.Errorf("no certificate: %q", got)
	}
}

package handshake

import (
	"errors"
	"testing"
	"time"
)

// TestPinAndName: pins and names go together in every way.
func TestPinAndName(t *testing.T) {
	ca := testAuthority(t, MLDSA44, 7)
	initiator, responder := testIdentity(t, MLDSA44, 1).Fingerprint(), testIdentity(t, MLDSA44, 2).Fingerprint()
	expired := func(g *Grant) { g.NotAfter = certNow().Add(-time.Hour) }
	for _, c := range []struct {
		name      string
		edit      func(p *pair)
		initiator error // how the initiator fails
		responder error
		certified [2]bool // whether initiator and responder have a certificate of the other
	}{
		{"names", func(p *pair) {}, nil, nil, [2]bool{true, true}},
		{"pin and name", func(p *pair) { p.initiatorConf.Peer = responder }, nil, nil, [2]bool{true, true}},
		{"pin right, name wrong", func(p *pair) {
			p.initiatorConf.Peer, p.initiatorConf.PeerName = responder, "site-c"
		}, ErrCertificateName, nil, [2]bool{}},
		{"pinned, certificates shown", func(p *pair) {
			p.initiatorConf.Peer, p.initiatorConf.PeerName = responder, ""
			p.responderConf.Authorize = func(f Fingerprint) bool { return f == initiator }
		}, nil, nil, [2]bool{true, true}},
		{"pinned, authority unknown to both", func(p *pair) {
			p.initiatorConf.Peer, p.initiatorConf.PeerName, p.initiatorConf.Authorities = responder, "", nil
			p.responderConf.Authorize = func(f Fingerprint) bool { return f == initiator }
			p.responderConf.Authorities, p.responderConf.AuthorizeCertified = nil, nil
		}, nil, nil, [2]bool{}},
		{"pinned, certificates expired", func(p *pair) {
			p.initiatorConf.Peer, p.initiatorConf.PeerName = responder, ""
			p.responderConf.Authorize = func(f Fingerprint) bool { return f == initiator }
			p.initiatorConf.Certificate = certificateFor(t, p.initiatorConf.Identity, "site-a", expired)
			p.responderConf.Certificate = certificateFor(t, p.responderConf.Identity, "site-b", expired)
		}, nil, nil, [2]bool{}},
		{"pin and name, expired", func(p *pair) {
			p.initiatorConf.Peer = responder
			p.responderConf.Certificate = certificateFor(t, p.responderConf.Identity, "site-b", expired)
		}, ErrCertificateExpired, nil, [2]bool{}},
		{"named one way, pinned the other", func(p *pair) {
			p.initiatorConf.Certificate = nil
			p.responderConf.AuthorizeCertified = nil
			p.responderConf.Authorize = func(f Fingerprint) bool { return f == initiator }
		}, nil, nil, [2]bool{true, false}},
		{"pin refused, name right", func(p *pair) {
			p.responderConf.Authorize = func(Fingerprint) bool { return false }
		}, nil, nil, [2]bool{true, true}},
	} {
		p := newPair(t).certify(ca)
		c.edit(p)
		p.toServerHello()
		reply, done, err := p.i.Handle(p.answer)
		if c.initiator != nil {
			refused{c.initiator, AlertHandshakeFailure, false}.check(t, c.name, reply, done, err)
			continue
		}
		p.key, _ = p.step(c.name, reply, done, err)
		reply, done, err = p.r.Handle(p.key)
		p.last, p.rDone = p.step(c.name, reply, done, err)
		_, done, err = p.i.Handle(p.last)
		_, p.iDone = p.step(c.name, nil, done, err)
		if got := [2]bool{p.iDone.PeerCertificate() != nil, p.rDone.PeerCertificate() != nil}; got != c.certified {
			t.Errorf("%s: certificates of the peer %v, want %v", c.name, got, c.certified)
		}
		if p.iDone.Peer() != responder || p.rDone.Peer() != initiator {
			t.Errorf("%s: peers %v and %v", c.name, p.iDone.Peer(), p.rDone.Peer())
		}
	}
}

// TestCalledByAuthority: who may be called by an authority's fingerprint.
func TestCalledByAuthority(t *testing.T) {
	old, young := testAuthority(t, MLDSA44, 7), testAuthority(t, MLDSA44, 8)
	both := []*Authority{old.Authority(), young.Authority()}
	reversed := []*Authority{young.Authority(), old.Authority()}
	knock := testKnock(5)
	for _, c := range []struct {
		name  string
		edit  func(i, r *Config)
		heard bool
	}{
		{"the issuer's", func(_, _ *Config) {}, true},
		{"own", func(i, r *Config) { i.Peer = r.Identity.Fingerprint() }, true},
		{"the older of two", func(i, r *Config) { i.Authorities, r.Authorities = both, both }, true},
		{"the younger of two", func(i, r *Config) { i.Authorities, r.Authorities = reversed, both }, true},
		{"one that is not trusted", func(i, r *Config) { i.Authorities = reversed }, false},
		{"no certificate to show", func(_, r *Config) { r.Certificate = nil }, false},
		{"another key's", func(i, _ *Config) { i.Peer = testIdentity(t, MLDSA44, 9).Fingerprint() }, false},
		{"with a knock", func(i, r *Config) { i.Knock, r.Knock = knock, knock }, true},
		{"without the knock", func(_, r *Config) { r.Knock = knock }, false},
	} {
		p := newPair(t).certify(old)
		c.edit(&p.initiatorConf, &p.responderConf)
		p.start()
		reply, done, err := p.r.Handle(p.hello)
		if c.heard {
			p.step(c.name, reply, done, err)
			continue
		}
		refused{ErrSilenceMAC, AlertNone, true}.check(t, c.name, reply, done, err)
	}
}

func TestCertificateConfig(t *testing.T) {
	many := make([]*Authority, MaxAuthorities+1)
	for n := range many {
		many[n] = testAuthority(t, MLDSA44, byte(20+n)).Authority()
	}
	classical := []*Authority{testAuthority(t, Ed25519, 7).Authority()}
	for _, c := range []struct {
		name string
		edit func(*Config)
		want error // nil: any
	}{
		{"certificate of another key", func(c *Config) { c.Certificate = certificateFor(t, testIdentity(t, MLDSA44, 9), "x", nil) }, ErrCertificateOfOthers},
		{"no certificate at all", func(c *Config) { c.Certificate = []byte("x") }, ErrCertificate},
		{"no time", func(c *Config) { c.Now = time.Time{} }, nil},
		{"name without an authority", func(c *Config) { c.Authorities = nil }, nil},
		{"classical authority", func(c *Config) { c.Authorities = classical }, ErrInsufficientSecurity},
		{"too many authorities", func(c *Config) { c.Authorities = many }, nil},
	} {
		p := newPair(t).certify(testAuthority(t, MLDSA44, 7))
		c.edit(&p.initiatorConf)
		c.edit(&p.responderConf)
		if _, err := NewInitiator(p.initiatorConf); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s at an initiator: %v", c.name, err)
		}
		if _, err := NewResponder(p.responderConf); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s at a responder: %v", c.name, err)
		}
	}
	p := newPair(t).certify(testAuthority(t, MLDSA44, 7))
	p.initiatorConf.PeerName = "Site B"
	if _, err := NewInitiator(p.initiatorConf); !errors.Is(err, errName) {
		t.Errorf("a name that no certificate can have: %v", err)
	}
	p.initiatorConf.PeerName = ""
	if _, err := NewInitiator(p.initiatorConf); err == nil {
		t.Error("neither pin nor name, and an initiator")
	}
	if p.responderConf.Identity.certificate != nil {
		t.Error("making a machine has changed the identity of its config")
	}
}

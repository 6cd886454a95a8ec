package handshake

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"
)

// TestResumptionRefused: whatever has changed since, the handshake is a full one
// or none, never less.
func TestResumptionRefused(t *testing.T) {
	second := Suite{X25519MLKEM1024, MLDSA44, 1, 1}
	for _, c := range []struct {
		name   string
		change func(p *pair, clock *testClock)
	}{
		{"responder restarted", func(p *pair, _ *testClock) { p.responderConf.ServerTickets, _ = NewServerTickets(testLifetime) }},
		{"initiator restarted", func(p *pair, _ *testClock) { p.initiatorConf.ClientTickets, _ = NewClientTickets(testLifetime) }},
		{"resumption switched off", func(p *pair, _ *testClock) { p.responderConf.ServerTickets = nil }},
		{"revoked at the responder", func(p *pair, _ *testClock) {
			if n := p.responderConf.ServerTickets.Revoke(p.initiatorConf.Identity.Fingerprint()); n != 1 {
				p.t.Errorf("%d tickets revoked", n)
			}
		}},
		{"revoked at the initiator", func(p *pair, _ *testClock) {
			if n := p.initiatorConf.ClientTickets.Revoke(p.responderConf.Identity.Fingerprint()); n != 1 {
				p.t.Errorf("%d tickets revoked", n)
			}
		}},
		{"too old", func(_ *pair, clock *testClock) { clock.now += testLifetime }},
		{"too old at the responder only", func(p *pair, clock *testClock) {
			p.responderConf.Clock = func() time.Duration { return clock.now + testLifetime }
		}},
		{"stricter suites at the responder", func(p *pair, _ *testClock) {
			p.initiatorConf.Suites = []Suite{DefaultSuite(), second}
			p.responderConf.Suites = []Suite{second}
		}},
		{"stricter suites at the initiator", func(p *pair, _ *testClock) {
			p.initiatorConf.Suites, p.responderConf.Suites = []Suite{second}, []Suite{second}
		}},
		{"another suite preferred", func(p *pair, _ *testClock) {
			p.initiatorConf.Suites = []Suite{second, DefaultSuite()}
			p.responderConf.Suites = p.initiatorConf.Suites
		}},
		{"another service", func(p *pair, _ *testClock) { p.initiatorConf.Service, p.responderConf.Service = "o", "o" }},
		{"another purpose", func(p *pair, _ *testClock) {
			p.initiatorConf.Purpose, p.responderConf.Purpose = PurposeLink, PurposeLink
		}},
		{"another key at the initiator", func(p *pair, _ *testClock) {
			p.initiatorConf.Identity = testIdentity(p.t, MLDSA44, 8)
			p.responderConf.Authorize = func(Fingerprint) bool { return true }
		}},
		{"another key at the responder", func(p *pair, _ *testClock) {
			p.responderConf.Identity = testIdentity(p.t, MLDSA44, 8)
			p.initiatorConf.Peer = p.responderConf.Identity.Fingerprint()
		}},
	} {
		p := newPair(t)
		clock := p.withTickets()
		p.finish()
		c.change(p, clock)
		p.finish()
		p.ends(c.name, false)
		carries(t, p.iDone, p.rDone)
	}

	// A classical key, admitted then and not today.
	p := newPair(t)
	p.withTickets()
	p.initiatorConf.Identity, p.initiatorConf.Mode, p.responderConf.Mode = testIdentity(t, Ed25519, 3), ModeClassical, ModeClassical
	p.responderConf.Authorize = func(Fingerprint) bool { return true }
	p.finish()
	p.responderConf.Mode = ModeHybrid
	p.toClientKey()
	if h, err := parseServerHello(p.answer); err != nil || h.psk {
		t.Errorf("resumed with a key that is not admitted: %v", err)
	}
	reply, done, err := p.r.Handle(p.key)
	refused{ErrInsufficientSecurity, AlertInsufficientSecurity, false}.check(t, "classical key", reply, done, err)

	// No longer authorised: the ticket is gone and the full handshake is refused.
	p = newPair(t)
	p.withTickets()
	p.finish()
	p.responderConf.Authorize = func(Fingerprint) bool { return false }
	p.toClientKey()
	reply, done, err = p.r.Handle(p.key)
	refused{ErrAccessDenied, AlertAccessDenied, false}.check(t, "unauthorised", reply, done, err)
	if n := p.responderConf.ServerTickets.Len(); n != 0 {
		t.Errorf("%d tickets of a peer that was refused", n)
	}
}

// TestRevokedDuringResumption: authorisation is asked again at the end, so a peer
// that is revoked between two messages is not let in either.
func TestRevokedDuringResumption(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.finish()
	p.toClientKey()
	p.r.config.Authorize = func(Fingerprint) bool { return false }
	reply, done, err := p.r.Handle(p.key)
	refused{ErrAccessDenied, AlertAccessDenied, false}.check(t, "revoked", reply, done, err)
	p.told("revoked", reply, AlertAccessDenied)
}

// TestResumptionAfterRetry: the ticket is offered again, with another binder.
func TestResumptionAfterRetry(t *testing.T) {
	p := newPair(t)
	clock := p.withTickets()
	p.finish()
	p.withCookies()
	p.responderConf.Clock = clock.read
	p.toRetry()
	p.fromHello()
	p.ends("after Retry", true)
	carries(t, p.iDone, p.rDone)
}

// TestSelfie: a gateway's own tickets do not work against itself. Its stores are
// of different types; even the same PSK in both is refused as its own name.
func TestSelfie(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.finish()
	p.start()
	h, _ := parseClientHello(p.hello)
	id, _, _, _ := h.psk(p.hello)
	own := p.initiatorConf
	own.ServerTickets, own.Authorize = p.responderConf.ServerTickets, func(Fingerprint) bool { return true }
	tk := own.ServerTickets.at(t, own.Clock(), id)
	tk.own, tk.peer = own.Identity.Fingerprint(), own.Identity.Fingerprint()
	r, err := NewResponder(own)
	if err != nil {
		t.Fatal(err)
	}
	if r.stillGood(tk, own.Purpose, tk.suite) {
		t.Error("a session with ourselves is resumed")
	}
	tk.peer = p.responderConf.Identity.Fingerprint()
	if !r.stillGood(tk, own.Purpose, tk.suite) {
		t.Error("refused for another reason")
	}
}

// TestFreshShares: a PSK alone opens nothing.
func TestFreshShares(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.finish()
	p.toServerHello()
	h, err := parseServerHello(p.answer)
	if err != nil {
		t.Fatal(err)
	}
	thief := p.i.clone()
	key, _, err := generateKEM(h.suite.KEM, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	thief.keys = []*kemKey{key}
	if _, _, err := thief.Handle(p.answer); !errors.Is(err, ErrOpen) {
		t.Errorf("with the PSK and other shares: %v", err)
	}
}

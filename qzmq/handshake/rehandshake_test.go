package handshake

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// within makes p's next handshakes run inside its last session.
func (p *pair) within() *pair {
	p.t.Helper()
	var err error
	if p.initiatorConf.Within, err = p.iDone.Rehandshake(); err != nil {
		p.t.Fatal(err)
	}
	if p.responderConf.Within, err = p.rDone.Rehandshake(); err != nil {
		p.t.Fatal(err)
	}
	return p
}

func TestRehandshake(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.finish()
	firstI, firstR := p.iDone, p.rDone
	p.within()
	p.iSees, p.rSees = [2][greetingLen]byte{{1}, {2}}, [2][greetingLen]byte{{3}, {4}} // not looked at
	for range 3 {
		before := p.iDone.exporter
		p.finish()
		p.ends("in band", false)
		if bytes.Equal(before, p.iDone.exporter) {
			t.Error("the same keys again")
		}
		p.within() // of the session that has replaced the one before
	}
	carries(t, p.iDone, p.rDone)
	carries(t, firstI, firstR) // the first one works on

	// Without a greeting set at all.
	i, err := NewInitiator(p.initiatorConf)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewResponder(p.responderConf)
	if err != nil {
		t.Fatal(err)
	}
	hello, err := i.Start([greetingLen]byte{})
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := r.Handle(hello)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.Handle(answer); err != nil {
		t.Error(err)
	}
}

// TestRehandshakeElsewhere: a handshake of one session does nothing in another, or
// on a connection of its own.
func TestRehandshakeElsewhere(t *testing.T) {
	a, b := newPair(t).finish(), newPair(t).finish()
	a.within()
	b.within()
	a.start()
	for name, other := range map[string]*pair{"another session": b, "a connection": newPair(t)} {
		answer, _, err := other.freshResponder().Handle(a.hello)
		if err != nil {
			t.Fatal(err)
		}
		reply, done, err := a.i.clone().Handle(answer)
		refused{ErrOpen, AlertHandshakeFailure, false}.check(t, name, reply, done, err)
	}
	if bytes.Equal(a.initiatorConf.Within.prologue, b.initiatorConf.Within.prologue) ||
		!bytes.Equal(a.initiatorConf.Within.prologue, a.responderConf.Within.prologue) || len(a.initiatorConf.Within.prologue) != 38 {
		t.Error("the prologue is not the session's")
	}
}

// TestRehandshakeIdentities: nobody else comes in through a session, however
// authorised.
func TestRehandshakeIdentities(t *testing.T) {
	other := testIdentity(t, MLDSA44, 9)
	p := newPair(t).finish().within()
	anyone := func(Fingerprint) bool { return true }

	for name, edit := range map[string]func(*pair){
		"initiator's key":  func(p *pair) { p.initiatorConf.Identity = other },
		"responder's name": func(p *pair) { p.initiatorConf.Peer = other.Fingerprint() },
	} {
		q := *p
		edit(&q)
		if _, err := NewInitiator(q.initiatorConf); !errors.Is(err, ErrIdentityChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	q := *p
	q.responderConf.Identity = other
	if _, err := NewResponder(q.responderConf); !errors.Is(err, ErrIdentityChanged) {
		t.Errorf("responder's key: %v", err)
	}
	if _, err := NewResponder(Config{Identity: p.initiatorConf.Identity, Purpose: PurposeZMTP, Authorize: anyone, Within: p.initiatorConf.Within}); err == nil {
		t.Error("the initiator answers")
	}
	if _, err := NewInitiator(Config{Identity: p.responderConf.Identity, Purpose: PurposeZMTP, Peer: p.initiatorConf.Identity.Fingerprint(), Within: p.responderConf.Within}); err == nil {
		t.Error("the responder calls")
	}

	// A peer that does not care: it knows the old session and signs as another.
	q = *p
	q.responderConf.Authorize = anyone
	q.toServerHello()
	reply, done, err := q.r.Handle(q.forgeClientKey(other, nil, nil))
	refused{ErrIdentityChanged, AlertAccessDenied, false}.check(t, "another initiator", reply, done, err)
	q = *p
	q.start()
	r := q.freshResponder()
	r.config.Identity = other
	r.door.names = []callName{{newSilenceKey(p.responderConf.Identity.Fingerprint(), nil), other}}
	answer, _, err := r.Handle(q.hello)
	if err != nil {
		t.Fatal(err)
	}
	i := q.i.clone()
	reply, done, err = i.Handle(answer)
	refused{ErrIdentityChanged, AlertHandshakeFailure, false}.check(t, "another responder", reply, done, err)

	// The untouched pair is authorised anew: what was revoked stays out.
	q = *p
	q.responderConf.Authorize = func(Fingerprint) bool { return false }
	q.toClientKey()
	reply, done, err = q.r.Handle(q.key)
	refused{ErrAccessDenied, AlertAccessDenied, false}.check(t, "revoked", reply, done, err)
}

// TestRehandshakeOnlyFull: no ticket, early data, cookie or Retry inside a session.
func TestRehandshakeOnlyFull(t *testing.T) {
	p := newPair(t)
	p.withEarly()
	p.withCookies()
	p.within()
	p.start()
	h, err := parseClientHello(p.hello)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.extensions.only(extKeyShare); err != nil || p.i.EarlyData() != nil {
		t.Error("more than the shares is offered")
	}
	for _, ext := range []extensions{
		h.extensions.with(extCookie, make([]byte, cookieLen)),
		h.extensions.with(extPSK, make([]byte, 48)),
		h.extensions.with(extEarlyData, nil).with(extPSK, make([]byte, 48)),
	} {
		c := h
		c.extensions = bytes.Clone(ext)
		reply, done, err := p.freshResponder().Handle(remac(c, p.initiatorConf.Peer))
		refused{ErrUnsupportedExtension, AlertHandshakeFailure, false}.check(t, "extension", reply, done, err)
	}
	key := newSilenceKey(p.initiatorConf.Peer, nil)
	reply, done, err := p.i.clone().Handle(appendRetry(nil, &key, [cookieLen]byte{}))
	refused{ErrUnexpectedMessage, AlertHandshakeFailure, false}.check(t, "Retry", reply, done, err)
	p.fromHello()
	p.ends("full", false)
	if len(p.iDone.RejectedEarly()) != len(spoken) {
		t.Error("early messages are lost")
	}
	// The signatures are fresh, and so is the ticket.
	if n := p.initiatorConf.ClientTickets.Len(); n != 2 {
		t.Errorf("%d tickets", n)
	}
}

// TestRehandshakeNames: with several names it is the session's that stays.
func TestRehandshakeNames(t *testing.T) {
	p := newPair(t)
	p.responderConf.MoreIdentities = []*Identity{testIdentity(t, MLDSA65, 30)}
	p.responderConf.Suites = []Suite{DefaultSuite(), {X25519MLKEM768, MLDSA65, 1, 1}}
	p.initiatorConf.Suites = p.responderConf.Suites
	p.initiatorConf.Peer = p.responderConf.MoreIdentities[0].Fingerprint()
	p.finish().within().finish()
	if p.iDone.Peer() != p.initiatorConf.Peer || p.rDone.Suite().Sig != MLDSA65 {
		t.Errorf("%v, %v", p.iDone.Peer(), p.rDone.Suite())
	}
}

func TestExport(t *testing.T) {
	p := newPair(t).finish()
	seen := map[string]bool{}
	for _, label := range []string{"a", "b", strings.Repeat("l", maxExportLabel)} {
		for _, context := range [][]byte{nil, {0}, bytes.Repeat([]byte{1}, 1000)} {
			a, err := p.iDone.Export(label, context, 32)
			b, other := p.rDone.Export(label, context, 32)
			if err != nil || other != nil || !bytes.Equal(a, b) || len(a) != 32 || seen[string(a)] {
				t.Errorf("%q, %x: %x and %x, %v, %v", label, context, a, b, err, other)
			}
			seen[string(a)] = true
		}
	}
	if b, err := p.iDone.Export("a", nil, 255*32); err != nil || len(b) != 255*32 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	for _, label := range []string{"", labelData, labelRehandshake, "QZMQ1", strings.Repeat("l", maxExportLabel+1)} {
		if _, err := p.iDone.Export(label, nil, 32); err == nil {
			t.Errorf("%q is exported", label)
		}
	}
	for _, n := range []int{-1, 0, 255*32 + 1} {
		if _, err := p.iDone.Export("a", nil, n); err == nil {
			t.Errorf("%d bytes are exported", n)
		}
	}
	p.iDone.Close()
	if _, err := p.iDone.Export("a", nil, 32); !errors.Is(err, ErrSessionClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := p.iDone.Rehandshake(); !errors.Is(err, ErrSessionClosed) {
		t.Errorf("after Close: %v", err)
	}
}

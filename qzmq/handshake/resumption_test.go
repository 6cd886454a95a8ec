package handshake

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

const testLifetime = time.Hour

// withTickets gives both sides stores and one clock, and makes the initiator
// resume when it can.
func (p *pair) withTickets() *testClock {
	p.t.Helper()
	clock := &testClock{now: 500 * time.Second}
	server, err := NewServerTickets(testLifetime)
	if err != nil {
		p.t.Fatal(err)
	}
	client, err := NewClientTickets(testLifetime)
	if err != nil {
		p.t.Fatal(err)
	}
	p.initiatorConf.ClientTickets, p.initiatorConf.Clock, p.initiatorConf.Reconnect = client, clock.read, true
	p.responderConf.ServerTickets, p.responderConf.Clock = server, clock.read
	return clock
}

// ends says how the last handshake went.
func (p *pair) ends(name string, resumed bool) {
	p.t.Helper()
	i, r := p.initiatorConf.Identity.Fingerprint(), p.responderConf.Identity.Fingerprint()
	if p.iDone.Resumed() != resumed || p.rDone.Resumed() != resumed {
		p.t.Errorf("%s: resumed %v and %v, want %v", name, p.iDone.Resumed(), p.rDone.Resumed(), resumed)
	}
	if p.iDone.Peer() != r || p.rDone.Peer() != i || p.iDone.Suite() != p.rDone.Suite() {
		p.t.Errorf("%s: peers %v and %v", name, p.iDone.Peer(), p.rDone.Peer())
	}
	if p.iDone.PeerAlgorithm() != p.responderConf.Identity.alg || p.rDone.PeerAlgorithm() != p.initiatorConf.Identity.alg {
		p.t.Errorf("%s: the peers' keys are for %v and %v", name, p.iDone.PeerAlgorithm(), p.rDone.PeerAlgorithm())
	}
	if p.iDone.resumption != nil || p.rDone.resumption != nil {
		p.t.Errorf("%s: the resumption secret is still there", name)
	}
}

// TestPeerAlgorithm: a policy about keys can be applied to a session that nobody signed.
func TestPeerAlgorithm(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.initiatorConf.Identity = testIdentity(t, Ed25519MLDSA65, 1)
	p.responderConf.Authorize = func(Fingerprint) bool { return true }
	p.finish()
	p.ends("signed", false)
	p.finish()
	p.ends("resumed", true)
}

func TestResumption(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.initiatorConf.Metadata, p.responderConf.Metadata = []byte("mi"), []byte("mr")
	p.initiatorConf.Service, p.responderConf.Service = "orders", "orders"
	p.finish()
	p.ends("first", false)
	sessions := [][]byte{p.iDone.exporter}
	for n := range 5 {
		p.finish()
		p.ends("again", true)
		if !bytes.Equal(p.iDone.PeerMetadata(), []byte("mr")) || !bytes.Equal(p.rDone.PeerMetadata(), []byte("mi")) {
			t.Error("metadata is lost")
		}
		if slices.ContainsFunc(sessions, func(e []byte) bool { return bytes.Equal(e, p.iDone.exporter) }) {
			t.Error("two sessions have the same keys")
		}
		sessions = append(sessions, p.iDone.exporter)
		carries(t, p.iDone, p.rDone)
		if p.authorisations != 1+2*(n+1) {
			t.Errorf("%d questions after %d resumptions", p.authorisations, n+1)
		}
	}
	if n, m := p.initiatorConf.ClientTickets.Len(), p.responderConf.ServerTickets.Len(); n != 1 || m != 1 {
		t.Errorf("%d and %d tickets", n, m)
	}
	p.initiatorConf.Reconnect = false
	p.finish()
	p.ends("rotation", false)
}

// TestResumptionSizes holds the messages to section 2.5.
func TestResumptionSizes(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.finish()
	if len(p.last) != 276 {
		t.Errorf("Finished with a ticket has %d bytes", len(p.last))
	}
	p.finish()
	for _, m := range []struct {
		name string
		msg  []byte
		want int
	}{
		{"ClientHello", p.hello, 1298 + 4 + 16 + 32},
		{"ServerHello", p.answer, 1434},
		{"ClientKey", p.key, 276},
		{"Finished", p.last, 276},
	} {
		if len(m.msg) != m.want {
			t.Errorf("%s has %d bytes, want %d", m.name, len(m.msg), m.want)
		}
	}
}

// TestResumptionSuites: every suite, and the PSK goes with its own only.
func TestResumptionSuites(t *testing.T) {
	for _, s := range built(t) {
		if s.KEM != X25519MLKEM768 {
			continue
		}
		p := newPair(t)
		p.withTickets()
		p.responderConf.Identity = testIdentity(t, s.Sig, 2)
		p.initiatorConf.Peer = p.responderConf.Identity.Fingerprint()
		p.initiatorConf.Suites, p.responderConf.Suites = []Suite{s}, []Suite{s}
		p.initiatorConf.Mode, p.responderConf.Mode = ModeClassical, ModeClassical
		p.finish()
		p.finish()
		p.ends(s.String(), true)
		carries(t, p.iDone, p.rDone)
	}
}

// TestTicketChain: resuming does not make a session younger.
func TestTicketChain(t *testing.T) {
	p := newPair(t)
	clock := p.withTickets()
	signed := clock.now
	p.finish()
	for clock.now += testLifetime / 4; clock.now < signed+testLifetime; clock.now += testLifetime / 4 {
		p.finish()
		p.ends("in time", true)
		if p.iDone.signed != signed || p.rDone.signed != signed {
			t.Errorf("signed at %v and %v, want %v", p.iDone.signed, p.rDone.signed, signed)
		}
	}
	p.finish()
	p.ends("after a lifetime", false)
	if p.rDone.signed != clock.now {
		t.Errorf("signed at %v, want %v", p.rDone.signed, clock.now)
	}
	// Less than a second before the end there is nothing worth giving.
	clock.now += testLifetime - time.Second/2
	p.finish()
	p.ends("at the end", true)
	p.responderConf.ServerTickets.Expire(clock.now)
	if n := p.responderConf.ServerTickets.Len(); n != 0 {
		t.Errorf("%d tickets", n)
	}
	// The responder's lifetime holds for the initiator, too.
	short, err := NewServerTickets(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	p.responderConf.ServerTickets = short
	p.finish()
	clock.now += time.Minute
	p.start()
	if h, err := parseClientHello(p.hello); err != nil || h.extensions.endWith(extPSK) {
		t.Error("a ticket is offered that the responder said is too old")
	}
}

// remembering makes the responder one that takes early data, and so remembers the names
// of used tickets.
func (p *pair) remembering() {
	p.t.Helper()
	var err error
	if p.responderConf.SafeTopics, err = NewSafeTopics("topic"); err != nil {
		p.t.Fatal(err)
	}
}

// TestTicketForgotten: where no early data is taken, a used ticket is one that nobody
// knows, and a peer resumes more often than there is room for names.
func TestTicketForgotten(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.finish()
	p.start()
	for i, want := range []bool{true, false, false} {
		reply, _, err := p.freshResponder().Handle(p.hello)
		if h, bad := parseServerHello(reply); err != nil || bad != nil || h.psk != want {
			t.Errorf("time %d: resumed %v, %v, %v", i, h.psk, err, bad)
		}
	}
	s := p.responderConf.ServerTickets
	for n := range UsedPerPeer + 100 {
		x := numbered(7, n)
		s.put(0, x)
		if ok, err := s.spend(0, x.id, false); !ok || err != nil {
			t.Fatalf("ticket %d of a peer: %v, %v", n, ok, err)
		}
	}
	if n := s.Used(); n != 0 {
		t.Errorf("%d names are remembered", n)
	}
}

// TestTicketOnce: the same ClientHello again is refused, before anything that costs.
func TestTicketOnce(t *testing.T) {
	p := newPair(t)
	clock := p.withTickets()
	p.remembering()
	p.finish()
	p.start()
	reply, _, err := p.freshResponder().Handle(p.hello)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := parseServerHello(reply); err != nil || !h.psk {
		t.Errorf("resumed %v, %v", h.psk, err)
	}
	again := func(name string) {
		t.Helper()
		r := p.freshResponder()
		r.TakeTurns(func(bool) (func(), error) {
			t.Errorf("%s: public-key work", name)
			return func() {}, nil
		})
		reply, done, err := r.Handle(p.hello)
		refused{ErrTicketUsed, AlertHandshakeFailure, false}.check(t, name, reply, done, err)
	}
	again("at once")
	p.responderConf.ServerTickets.Expire(clock.now)
	clock.now += testLifetime - 1
	again("as long as it could have been used")
	if n := p.responderConf.ServerTickets.Used(); n != 1 {
		t.Errorf("%d names of used tickets", n)
	}
	clock.now++
	reply, _, err = p.freshResponder().Handle(p.hello)
	if h, bad := parseServerHello(reply); err != nil || bad != nil || h.psk {
		t.Errorf("when it is forgotten: resumed %v, %v, %v", h.psk, err, bad)
	}
	if p.initiatorConf.ClientTickets.Len() != 0 {
		t.Error("the initiator keeps a ticket that it has offered")
	}
}

// TestBadBinder: who has seen a ticket cannot use it, nor take it from its owner.
func TestBadBinder(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.finish()
	p.start()
	h, err := parseClientHello(p.hello)
	if err != nil {
		t.Fatal(err)
	}
	psk, _ := h.extensions.get(extPSK) // lent from p.hello
	for at := len(ticketID{}); at < len(psk); at++ {
		psk[at] ^= 1
		reply, done, err := p.freshResponder().Handle(remac(h, p.initiatorConf.Peer))
		refused{ErrBinder, AlertHandshakeFailure, false}.check(t, "binder", reply, done, err)
		psk[at] ^= 1
	}
	// The right length for another hash.
	e := h
	e.extensions = slices.Concat(h.extensions[:len(h.extensions)-len(psk)-4], nil).with(extPSK, append(bytes.Clone(psk), make([]byte, 32)...))
	if pskBodyLen(len(psk) + 32) {
		reply, done, err := p.freshResponder().Handle(remac(e, p.initiatorConf.Peer))
		refused{ErrBinder, AlertHandshakeFailure, false}.check(t, "long binder", reply, done, err)
	}
	// Anything else in the ClientHello, and the initiator's greeting.
	h.random[3] ^= 1
	reply, done, err := p.freshResponder().Handle(remac(h, p.initiatorConf.Peer))
	refused{ErrBinder, AlertHandshakeFailure, false}.check(t, "random", reply, done, err)
	h.random[3] ^= 1
	p.rSees[0][40] ^= 1
	reply, done, err = p.freshResponder().Handle(p.hello)
	refused{ErrBinder, AlertHandshakeFailure, false}.check(t, "greeting", reply, done, err)
	p.rSees[0][40] ^= 1
	if p.responderConf.ServerTickets.Len() != 1 {
		t.Fatal("the ticket is gone")
	}
	// An unknown name is no error: the handshake is a full one.
	psk[0] ^= 1
	if reply, _, err := p.freshResponder().Handle(remac(h, p.initiatorConf.Peer)); err != nil {
		t.Errorf("unknown ticket: %v", err)
	} else if sh, _ := parseServerHello(reply); sh.psk {
		t.Error("resumed with an unknown ticket")
	}
	psk[0] ^= 1
	p.r = p.freshResponder()
	p.fromHello()
	p.ends("untouched", true)
}

// TestInventedResumption: the initiator offered nothing, or something else.
func TestInventedResumption(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.finish()
	p.toServerHello()
	i := p.i.clone()
	i.offered = nil
	reply, done, err := i.Handle(p.answer)
	refused{ErrResumption, AlertHandshakeFailure, false}.check(t, "nothing offered", reply, done, err)
	i = p.i.clone()
	i.offered.suite.AEAD = 2
	reply, done, err = i.Handle(p.answer)
	refused{ErrResumption, AlertHandshakeFailure, false}.check(t, "another suite", reply, done, err)
	i = p.i.clone()
	i.offered.psk[0] ^= 1
	reply, done, err = i.Handle(p.answer)
	refused{ErrOpen, AlertHandshakeFailure, false}.check(t, "another key", reply, done, err)
	// Accepted, but said not to be, and the other way round.
	m := bytes.Clone(p.answer)
	m[41] = 0
	reply, done, err = p.i.clone().Handle(m)
	refused{ErrOpen, AlertHandshakeFailure, false}.check(t, "flag cleared", reply, done, err)
	p.responderConf.ServerTickets = nil
	if m, _, err = p.freshResponder().Handle(p.hello); err != nil {
		t.Fatal(err)
	}
	m[41] = 1
	reply, done, err = p.i.clone().Handle(m)
	refused{ErrOpen, AlertHandshakeFailure, false}.check(t, "flag set", reply, done, err)
}

// TestResumptionTampered flips, cuts and lengthens every message of a resumed handshake.
func TestResumptionTampered(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.finish()
	for _, s := range stages(p) {
		flipsInTurns(t, s.msg, func(at int, m []byte) {
			reply, done, err := s.handle(m)
			s.want.check(t, s.name, reply, done, err)
		})
		for n := range len(s.msg) {
			reply, done, err := s.handle(s.msg[:n:n])
			s.want.check(t, s.name+" cut", reply, done, err)
		}
		reply, done, err := s.handle(append(bytes.Clone(s.msg), make([]byte, padTo)...))
		s.want.check(t, s.name+" with a tail", reply, done, err)
	}
}

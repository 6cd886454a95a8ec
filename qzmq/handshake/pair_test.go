package handshake

import (
	"bytes"
	"errors"
	"hash"
	"slices"
	"testing"
)

// testIdentity is a key from a fixed seed; different bytes, different keys.
func testIdentity(t testing.TB, alg Signature, b byte) *Identity {
	t.Helper()
	id, err := newIdentity(alg, [seedLen]byte(bytes.Repeat([]byte{b}, seedLen)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// testKnock is a knock of this byte over and over.
func testKnock(b byte) *Knock {
	return &Knock{secret: [knockLen]byte(bytes.Repeat([]byte{b}, knockLen))}
}

// testGreeting is a ZMTP greeting as far as the handshake looks at it.
func testGreeting(asServer byte) (g [greetingLen]byte) {
	copy(g[:], "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01QZMQ1")
	g[32] = asServer
	return g
}

// pair is two machines back to back, with the messages they have exchanged.
type pair struct {
	t              testing.TB
	initiatorConf  Config
	responderConf  Config
	i              *Initiator
	r              *Responder
	hello, answer  []byte // ClientHello, ServerHello
	key, last      []byte // ClientKey, Finished
	iDone, rDone   *Session
	iSource        source
	rSource        source
	iSees, rSees   [2][greetingLen]byte // the greetings as each side saw them
	authorisations int
	defers         bool
}

// newPair gives configs that fit each other; a test changes what it is about.
func newPair(t testing.TB) *pair {
	p := &pair{t: t, iSource: production(), rSource: production()}
	initiator, responder := testIdentity(t, MLDSA44, 1), testIdentity(t, MLDSA44, 2)
	p.initiatorConf = Config{Identity: initiator, Purpose: PurposeZMTP, Peer: responder.Fingerprint()}
	p.responderConf = Config{Identity: responder, Purpose: PurposeZMTP, Authorize: func(f Fingerprint) bool {
		p.authorisations++
		return f == initiator.Fingerprint()
	}}
	p.iSees = [2][greetingLen]byte{testGreeting(0), testGreeting(1)}
	p.rSees = p.iSees
	return p
}

// start makes both machines and the ClientHello.
func (p *pair) start() *pair {
	p.t.Helper()
	var err error
	if p.i, err = newInitiator(p.initiatorConf, p.iSource); err != nil {
		p.t.Fatal(err)
	}
	p.r = p.freshResponder()
	if p.hello, err = p.i.Start(p.iSees[0]); err != nil {
		p.t.Fatal(err)
	}
	p.i.PeerGreeting(p.iSees[1])
	return p
}

func (p *pair) freshResponder() *Responder {
	p.t.Helper()
	r, err := newResponder(p.responderConf, p.rSource)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Greetings(p.rSees[0], p.rSees[1])
	if p.defers {
		r.Defer()
	}
	return r
}

// step is one message that must be taken.
func (p *pair) step(name string, reply []byte, done *Session, err error) ([]byte, *Session) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return reply, done
}

func (p *pair) toServerHello() *pair {
	p.t.Helper()
	p.start()
	reply, done, err := p.r.Handle(p.hello)
	p.answer, _ = p.step("ClientHello", reply, done, err)
	return p
}

func (p *pair) toClientKey() *pair {
	p.t.Helper()
	p.toServerHello()
	reply, done, err := p.i.Handle(p.answer)
	p.key, _ = p.step("ServerHello", reply, done, err)
	return p
}

func (p *pair) toFinished() *pair {
	p.t.Helper()
	p.toClientKey()
	reply, done, err := p.r.Handle(p.key)
	p.last, p.rDone = p.step("ClientKey", reply, done, err)
	return p
}

func (p *pair) finish() *pair {
	p.t.Helper()
	p.toFinished()
	reply, done, err := p.i.Handle(p.last)
	reply, p.iDone = p.step("Finished", reply, done, err)
	if reply != nil || p.iDone == nil || p.rDone == nil {
		p.t.Fatalf("after Finished: reply %x, sessions %v and %v", reply, p.iDone, p.rDone)
	}
	return p
}

// refused is how a failed Handle must look.
type refused struct {
	reason error
	told   Alert
	silent bool
}

func (w refused) check(t testing.TB, name string, reply []byte, done *Session, err error) {
	t.Helper()
	var e *Error
	switch {
	case done != nil:
		t.Fatalf("%s: a session", name)
	case !errors.As(err, &e):
		t.Fatalf("%s: error %v is no *Error", name, err)
	case w.reason != nil && !errors.Is(err, w.reason):
		t.Fatalf("%s: error %v, want %v", name, err, w.reason)
	case w.reason == nil && e.Alert == AlertInternal: // what has no name of ours
		t.Fatalf("%s: error %v is none of the peer's", name, err)
	case AlertFor(err) != w.told:
		t.Fatalf("%s: tells %v, want %v (%v)", name, AlertFor(err), w.told, err)
	case errors.Is(err, ErrSilent) != w.silent:
		t.Fatalf("%s: silent is %v (%v)", name, !w.silent, err)
	case (w.told == AlertNone) != (len(reply) == 0):
		t.Fatalf("%s: reply %x when telling %v", name, reply, w.told)
	case w.told == AlertHandshakeFailure && !bytes.Equal(reply, []byte{0x30, 0, 0, 1, 40}):
		t.Fatalf("%s: reply %x is not the alert in clear", name, reply)
	}
}

// clone copies an initiator that waits, so that many messages can be tried on it.
func (i *Initiator) clone() *Initiator {
	c := *i
	if i.offered != nil {
		c.offered = i.offered.copy()
	}
	if i.session != nil {
		s := *i.session
		s.exporter = slices.Clone(s.exporter)
		s.resumption = slices.Clone(s.resumption)
		opener := *s.opener
		s.opener = &opener
		c.session = &s
	}
	return &c
}

// clone copies a responder that waits.
func (r *Responder) clone(t testing.TB) *Responder {
	c := *r
	if r.pending == nil {
		return &c
	}
	p := *r.pending
	running, err := p.transcript.running.(hash.Cloner).Clone()
	if err != nil {
		t.Fatal(err)
	}
	p.transcript = &transcript{p.transcript.hash, running, p.transcript.last}
	p.early = slices.Clone(p.early)
	p.schedule = &schedule{hash: p.schedule.hash, secret: slices.Clone(p.schedule.secret)}
	p.secrets = &trafficSecrets{initiator: slices.Clone(p.secrets.initiator), responder: slices.Clone(p.secrets.responder)}
	c.pending = &p
	return &c
}

// marshal writes a flight from its fields.
func (f *flight) marshal() []byte {
	return pad(append(append(f.appendHead(nil), f.signature...), f.finished...))
}

// remac makes a ClientHello whose MAC is right again after an edit.
func remac(h clientHello, responder Fingerprint) []byte {
	h.mac = silenceMAC(responder, nil, h.unauthenticated())
	return h.marshal()
}

// silenceMAC is the MAC for calling one responder.
func silenceMAC(responder Fingerprint, knock *Knock, message []byte) []byte {
	key := newSilenceKey(responder, knock)
	mac := key.mac(message)
	return mac[:]
}

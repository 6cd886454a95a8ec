package handshake

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"slices"

	"github.com/qzmq/gateway/qzmq/record"
)

// The responder's side, in the order of its checks:
//
//  1. ClientHello: length, layout, MAC. Until here an error is silent, and no
//     public-key work was done.
//  2. Suite, shares (length, ML-KEM modulus), encapsulate, X25519, sign.
//  3. ClientKey: open, layout, signature, finished. Until here an error is one
//     alert in clear, the same for all.
//  4. Not ourselves, authorised; then the peer's algorithm, purpose, service.
//     A refusal is sealed, and whether a fingerprint is known shows only to who
//     has proved that it is his.
//  5. Commit: the session, and Finished.

type responderState uint8

const (
	responderFailed responderState = iota // also while a message is being handled
	responderWaitsClientHello
	responderWaitsClientKey
	responderDone
)

// Responder is the side that is called. It belongs to one goroutine. An error
// ends it; see the error contract of the package.
type Responder struct {
	hidden
	config   Config
	source   source
	state    responderState
	err      error
	prologue []byte // nil until Greetings

	pending *pending // between ServerHello and ClientKey
}

// pending is what a responder keeps for an initiator that it does not know yet.
type pending struct {
	hidden
	suite      Suite
	purpose    Purpose
	transcript *transcript
	schedule   *schedule // at the handshake secret
	secrets    *trafficSecrets
	t4         []byte
}

func (p *pending) wipe() {
	p.schedule.wipe()
	p.secrets.wipe()
}

// NewResponder checks a config. Errors say what is wrong with it; those of the
// suites wrap ErrSuiteNotBuilt or ErrInsufficientSecurity.
func NewResponder(c Config) (*Responder, error) { return newResponder(c, production()) }

func newResponder(c Config, s source) (*Responder, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	if c.Authorize == nil {
		return nil, errors.New("handshake: config: a responder authorises its peers")
	}
	for _, suite := range c.Suites {
		if suite.Sig != c.Identity.alg {
			return nil, fmt.Errorf("handshake: config: suite %v cannot be signed by a key of %v", suite, c.Identity.alg)
		}
	}
	// The error is there beforehand for a machine that a panic left half way.
	return &Responder{config: c, source: s, state: responderWaitsClientHello, err: silently(ErrOrder)}, nil
}

// Greetings gives both greetings, which are in the transcript. It is called
// before the first Handle.
func (r *Responder) Greetings(initiator, responder [64]byte) {
	r.prologue = prologueZMTP(&initiator, &responder)
}

// Handle takes one whole message. ClientHello gives the ServerHello as reply,
// ClientKey gives the Finished and the session. With an error, reply is the alert
// to send, or nil.
func (r *Responder) Handle(msg []byte) (reply []byte, done *Session, err error) {
	state := r.state
	r.state = responderFailed
	var e *Error
	switch state {
	case responderWaitsClientHello:
		if reply, e = r.clientHello(msg); e == nil {
			r.state = responderWaitsClientKey
			return reply, nil, nil
		}
	case responderWaitsClientKey:
		if reply, done, e = r.clientKey(msg); e == nil {
			r.state = responderDone
			return reply, done, nil
		}
	case responderDone:
		// The session is out and lives on; only this machine is over.
		e = untold(ErrUnexpectedMessage)
	case responderFailed:
		return nil, nil, r.err
	}
	if r.pending != nil {
		r.pending.wipe()
		r.pending = nil
	}
	r.err = e
	return e.message(), nil, e
}

// clientHello is step 1 and 2.
func (r *Responder) clientHello(msg []byte) ([]byte, *Error) {
	if r.prologue == nil {
		return nil, silently(ErrOrder)
	}
	h, err := parseClientHello(msg)
	if err != nil {
		return nil, silently(err)
	}
	want := silenceMAC(r.config.Identity.fingerprint, r.config.Knock, msg[:len(msg)-silenceMACLen])
	if !hmac.Equal(want, h.mac) {
		return nil, silently(ErrSilenceMAC)
	}
	reply, err := r.answer(&h, msg)
	if err != nil {
		return nil, inClear(err)
	}
	return reply, nil
}

// answer is step 2.
func (r *Responder) answer(h *clientHello, msg []byte) ([]byte, error) {
	if err := h.extensions.only(extKeyShare, extPQOnly); err != nil {
		return nil, err
	}
	suite, share, err := r.choose(h)
	if err != nil {
		return nil, err
	}
	random, err := r.source.random(randomLen)
	if err != nil {
		return nil, err
	}
	ciphertext, shared, err := encapsulate(suite.KEM, share, r.source.reader)
	if err != nil {
		return nil, err
	}
	hello := serverHello{random: random, suite: suite, share: ciphertext}
	reply := hello.upToShare(flightLen(r.config.Identity, nil, suite.Hash))

	p := &pending{suite: suite, purpose: h.purpose}
	p.transcript = newTranscript(suite.Hash, r.prologue, msg)
	t1 := p.transcript.add(pointT1, reply)
	p.schedule = newSchedule(suite.Hash, make([]byte, suite.Hash.Size()))
	p.secrets = p.schedule.handshakeSecrets(shared, t1)
	r.pending = p

	plaintext, t4, err := writeFlight(p.transcript, roleResponder, p.secrets, r.config.Identity, nil, nil, r.source.hedged)
	if err != nil {
		return nil, err
	}
	p.t4 = t4
	sealed := record.NewKeys(suite.AEAD, suite.Hash, p.secrets.responder).SealOnce(t1, plaintext)
	return append(reply, sealed...), nil
}

// choose takes the first suite of the initiator's list that is allowed here, and
// the share for it.
func (r *Responder) choose(h *clientHello) (Suite, []byte, error) {
	offered, err := h.offered()
	if err != nil {
		return Suite{}, nil, err
	}
	shares, err := h.keyShares(offered)
	if err != nil {
		return Suite{}, nil, err
	}
	assertion, pqOnly := h.extensions.get(extPQOnly)
	if len(assertion) != 0 {
		return Suite{}, nil, ErrMalformed
	}
	at := slices.IndexFunc(offered, func(s Suite) bool { return slices.Contains(r.config.Suites, s) })
	if at < 0 {
		return Suite{}, nil, ErrNoCommonSuite
	}
	suite := offered[at]
	if pqOnly && !suite.quantumSafe() {
		return Suite{}, nil, ErrInsufficientSecurity
	}
	own := slices.IndexFunc(shares, func(s keyShare) bool { return s.kem == suite.KEM })
	return suite, shares[own].share, nil
}

// clientKey is step 3 to 5.
func (r *Responder) clientKey(msg []byte) ([]byte, *Session, *Error) {
	p := r.pending
	if alert := peerAlert(msg); alert != nil {
		return nil, nil, untold(alert)
	}
	f, peer, t7, err := r.authenticate(msg, p)
	if err != nil {
		return nil, nil, inClear(err)
	}
	metadata, err := r.authorise(f, peer, p.purpose)
	session := newSession(roleResponder, p.suite, peer, p.schedule, t7)
	p.wipe()
	r.pending = nil
	if err != nil {
		defer session.Close()
		return nil, nil, refuse(session, err)
	}
	reply, err := sealLast(session.sealer, typeFinished,
		extensions(nil).withOpaque(extMetadata, r.config.Metadata))
	if err != nil {
		session.Close()
		return nil, nil, untold(err)
	}
	session.peerMetadata = bytes.Clone(metadata)
	return reply, session, nil
}

// authenticate is step 3. It gives the flight, who has proved to have written it,
// and T7.
func (r *Responder) authenticate(msg []byte, p *pending) (f flight, peer Fingerprint, t7 []byte, err error) {
	sealed, err := parseSealed(msg, typeClientKey)
	if err != nil {
		return f, peer, nil, err
	}
	plaintext, err := record.NewKeys(p.suite.AEAD, p.suite.Hash, p.secrets.initiator).OpenOnce(p.t4, sealed)
	if err != nil {
		return f, peer, nil, ErrOpen
	}
	if f, err = parseFlight(plaintext, p.suite.Hash); err != nil {
		return f, peer, nil, err
	}
	if peer, err = f.key(); err != nil {
		return f, peer, nil, err
	}
	t7, err = verifyFlight(p.transcript, roleInitiator, p.secrets, &f, msg[:HeaderLen])
	return f, peer, t7, err
}

// authorise is step 4: who it is, and only then what he wants. It gives his
// metadata.
func (r *Responder) authorise(f flight, peer Fingerprint, purpose Purpose) ([]byte, error) {
	switch {
	case peer == r.config.Identity.fingerprint:
		return nil, ErrSelf
	case !r.config.Authorize(peer):
		return nil, ErrAccessDenied
	case !r.config.Mode.admitsKey(f.alg):
		return nil, ErrInsufficientSecurity
	case purpose != r.config.Purpose:
		return nil, ErrWrongPurpose
	}
	if err := f.extensions.only(extMetadata, extService); err != nil {
		return nil, err
	}
	service, err := f.extensions.opaque(extService, MaxService)
	if err != nil {
		return nil, err
	}
	if string(service) != r.config.Service {
		return nil, ErrWrongService
	}
	return f.extensions.opaque(extMetadata, MaxMetadata)
}

// refuse seals an alert in the place of Finished.
func refuse(s *Session, reason error) *Error {
	e := &Error{Reason: reason, Alert: alertOf(reason), Told: alertOf(reason)}
	msg, err := sealLast(s.sealer, typeAlert, extensions(nil).with(extRefused, []byte{byte(e.Told)}))
	if err != nil {
		return untold(reason)
	}
	e.sealed = msg
	return e
}

package handshake

import (
	"net/netip"
	"slices"

	"github.com/qzmq/gateway/qzmq/record"
)

// The responder's side, in the order of its checks:
//
//  1. ClientHello: length, layout, MAC, which says by which name we were called.
//     Until here an error is silent.
//  2. The cookie, if one is demanded: without it the answer is a Retry, once.
//     Until here no public-key work was done.
//  3. Suite, ticket (binder, delete, policy of today), shares (length, ML-KEM
//     modulus), encapsulate, X25519, sign unless resumed.
//  4. ClientKey: open, layout, signature unless resumed, finished. Until here an
//     error is one alert in clear, the same for all.
//  5. Not ourselves, authorised; then the peer's algorithm, purpose, service.
//     A refusal is sealed, and whether a fingerprint is known shows only to who
//     has proved that it is his.
//  6. Commit: the session, and Finished. After Defer that waits for Accept, or
//     does not happen (Refuse).

type responderState uint8

const (
	responderFailed responderState = iota // also while a message is being handled
	responderWaitsClientHello
	responderWaitsEarlyData
	responderWaitsClientKey
	responderUndecided
	responderDone
)

// Responder is the side that is called. It belongs to one goroutine. An error
// ends it; see the error contract of the package.
type Responder struct {
	hidden
	config   Config
	source   source
	door     *Door
	from     netip.Addr
	state    responderState
	err      error
	prologue []byte // nil until Greetings
	retried  bool   // a Retry was sent
	drops    bool   // an EarlyData is under way that followed the ClientHello of the Retry
	early    []EarlyMessage

	turn func(ticket bool) (leave func(), err error)

	pending *pending // between ServerHello and ClientKey
	defers  bool     // the caller of the machine has the last word
	caller  *Caller  // between ClientKey and Accept or Refuse
}

// pending is what a responder keeps for an initiator that it does not know yet.
type pending struct {
	hidden
	suite      Suite
	purpose    Purpose
	resumed    *ticket // what the session is resumed with; nil when both sign
	transcript *transcript
	schedule   *schedule // at the handshake secret
	secrets    *trafficSecrets
	t4         []byte
	early      []byte // the key of early data that was accepted
}

func (p *pending) wipe() {
	p.schedule.wipe()
	p.secrets.wipe()
	clear(p.early)
}

// NewResponder checks a config. Errors say what is wrong with it; those of the
// suites wrap ErrSuiteNotBuilt or ErrInsufficientSecurity.
func NewResponder(c Config) (*Responder, error) { return newResponder(c, production()) }

func newResponder(c Config, s source) (*Responder, error) {
	d, err := newDoor(c, s)
	if err != nil {
		return nil, err
	}
	return d.Responder(c.PeerAddr, c.Now), nil
}

// Greetings gives both greetings, which are in the transcript. It is called
// before the first Handle, and not at all inside a session.
func (r *Responder) Greetings(initiator, responder [64]byte) {
	if r.config.Within != nil {
		return
	}
	r.prologue = prologueZMTP(&initiator, &responder)
}

// TakeTurns makes the machine call take before each step that does public-key work,
// and leave when that is done. ticket says that the initiator has shown the key of
// a ticket. take may wait; its error ends the handshake. What comes before, a
// stranger's wrong MAC, a Retry, a bad binder, takes no turn.
func (r *Responder) TakeTurns(take func(ticket bool) (leave func(), err error)) { r.turn = take }

// takeTurn is for a step of a handshake that is resumed, or is not.
func (r *Responder) takeTurn(ticket bool) (leave func(), err error) {
	if r.turn == nil {
		return func() {}, nil
	}
	return r.turn(ticket)
}

// Handle takes one whole message. ClientHello gives the ServerHello or a Retry as
// reply, EarlyData gives nothing, ClientKey gives the Finished and the session, or
// nothing after Defer. With an error, reply is the alert to send, or nil.
func (r *Responder) Handle(msg []byte) (reply []byte, done *Session, err error) {
	state := r.state
	r.state = responderFailed
	var e *Error
	switch state {
	case responderWaitsClientHello:
		var next responderState
		if reply, next, e = r.clientHello(msg); e == nil {
			r.state = next
			return reply, nil, nil
		}
	case responderWaitsEarlyData:
		if e = r.earlyData(msg); e == nil {
			r.state = responderWaitsClientKey
			return nil, nil, nil
		}
	case responderWaitsClientKey:
		if reply, done, e = r.clientKey(msg); e == nil {
			r.state = responderDone
			if done == nil {
				r.state = responderUndecided
			}
			return reply, done, nil
		}
	case responderUndecided:
		// An initiator waits for Finished; it has nothing to say before.
		r.caller.session.Close()
		r.caller = nil
		e = untold(ErrUnexpectedMessage)
	case responderDone:
		// The session is out and lives on; only this machine is over.
		e = untold(ErrUnexpectedMessage)
	case responderFailed:
		if r.err == nil {
			r.err = silently(ErrOrder) // a panic left the machine half way
		}
		return nil, nil, r.err
	}
	if r.pending != nil {
		r.pending.wipe()
		r.pending = nil
	}
	r.err = e
	return e.message(), nil, e
}

// clientHello is step 1 to 3. It gives the state in which the machine waits for
// what follows the reply.
func (r *Responder) clientHello(msg []byte) ([]byte, responderState, *Error) {
	if r.prologue == nil {
		return nil, responderFailed, silently(ErrOrder)
	}
	if _, err := parseHeader(msg, typeEarlyData); err == nil && r.drops {
		r.drops = false
		return nil, responderWaitsClientHello, nil
	}
	h, name, err := r.door.match(msg)
	if err != nil {
		return nil, responderFailed, silently(err)
	}
	r.config.Identity = name.identity
	if !r.door.cookieHolds(&h, r.from) {
		if r.retried {
			return nil, responderFailed, inClear(ErrCookie)
		}
		r.retried = true
		_, r.drops = h.extensions.get(extEarlyData)
		return r.door.appendRetry(nil, name, &h, r.from), responderWaitsClientHello, nil
	}
	reply, err := r.answer(&h, msg)
	if err != nil {
		return nil, responderFailed, inClear(err)
	}
	if _, follows := h.extensions.get(extEarlyData); follows {
		return reply, responderWaitsEarlyData, nil
	}
	return reply, responderWaitsClientKey, nil
}

// answer is step 3.
func (r *Responder) answer(h *clientHello, msg []byte) ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	if r.config.Within != nil {
		if err := h.extensions.only(extKeyShare, extPQOnly); err != nil {
			return nil, err
		}
	}
	suite, share, err := r.choose(h)
	if err != nil {
		return nil, err
	}
	resumed, err := r.redeem(h, msg)
	if err != nil {
		return nil, err
	}
	defer resumed.wipe()
	leave, err := r.takeTurn(resumed != nil)
	if err != nil {
		return nil, err
	}
	defer leave()
	if resumed != nil && !r.stillGood(resumed, h.purpose, suite) {
		resumed.wipe()
		resumed = nil
	}
	psk := make([]byte, suite.Hash.Size())
	if resumed != nil {
		psk = resumed.psk
	}
	random, err := r.source.random(randomLen)
	if err != nil {
		return nil, err
	}
	ciphertext, shared, err := encapsulate(suite.KEM, share, r.source.reader)
	if err != nil {
		return nil, err
	}
	hello := serverHello{random: random, suite: suite, psk: resumed != nil, share: ciphertext}
	var ext extensions
	_, early := h.extensions.get(extEarlyData)
	if early = early && resumed != nil && r.config.SafeTopics != nil; early {
		ext = ext.with(extEarlyData, nil)
	}
	n := flightLen(r.config.Identity, ext, suite.Hash)
	if resumed != nil {
		n = shortFlightLen(ext, suite.Hash)
	}
	reply := hello.upToShare(n)

	p := &pending{suite: suite, purpose: h.purpose, resumed: resumed}
	p.transcript = newTranscript(suite.Hash, r.prologue, msg)
	t1 := p.transcript.add(pointT1, reply)
	p.schedule = newSchedule(suite.Hash, psk)
	p.schedule.log = r.config.keyLog(h.random)
	p.secrets = p.schedule.handshakeSecrets(shared, t1)
	r.pending = p
	if early {
		p.early = earlySecret(suite.Hash, psk, r.prologue, msg)
		p.schedule.log.early(p.early)
	}

	var plaintext []byte
	if resumed != nil {
		plaintext, p.t4 = writeShortFlight(p.transcript, roleResponder, p.secrets, nil, ext)
	} else if plaintext, p.t4, err = writeFlight(p.transcript, roleResponder, p.secrets, r.config.Identity, nil, ext, r.source.hedged); err != nil {
		return nil, err
	}
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
	_, pqOnly := h.extensions.get(extPQOnly)
	at := slices.IndexFunc(offered, func(s Suite) bool {
		return s.Sig == r.config.Identity.alg && slices.Contains(r.config.Suites, s)
	})
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

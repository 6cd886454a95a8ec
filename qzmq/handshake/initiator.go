package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// The initiator's side, in the order of its messages:
//
//  1. Start sends ClientHello, without waiting for the responder's greeting.
//     A Retry makes it send the same once more, with the cookie.
//  2. ServerHello: the suite was offered, no resumption was invented, decapsulate,
//     open, the identity is the pinned one and not our own, signature, finished;
//     when resumed, finished alone.
//  3. Only then is ClientKey sent, and with it who we are.
//  4. Finished opens under the responder's application key: it has accepted us.

type initiatorState uint8

const (
	initiatorFailed initiatorState = iota // also while a message is being handled
	initiatorNew
	initiatorWaitsServerHello
	initiatorWaitsFinished
	initiatorDone
)

// Initiator is the side that calls. It belongs to one goroutine. An error ends
// it; see the error contract of the package.
type Initiator struct {
	hidden
	config  Config
	source  source
	state   initiatorState
	err     error
	own     [greetingLen]byte
	peer    [greetingLen]byte
	greeted bool // peer is set

	silence silenceKey
	random  []byte    // of the ClientHello, in both forms of it
	shares  []byte    // its key_share, likewise
	retried bool      // a Retry was taken
	hello   []byte    // the last ClientHello, as sent
	keys    []*kemKey // until T1
	offered *ticket   // until T1
	session *Session  // from T7, handed out after Finished

	early      []byte // EarlyData, if the last ClientHello announces it
	earlyTaken bool   // the responder says so

	inherits    flight       // whose identity a ticket of this session stands for
	proved      Fingerprint  // the responder, once its flight is verified
	certificate *Certificate // its certificate, if that was judged
}

// NewInitiator checks a config. Errors say what is wrong with it; those of the
// suites wrap ErrSuiteNotBuilt or ErrInsufficientSecurity.
func NewInitiator(c Config) (*Initiator, error) { return newInitiator(c, production()) }

func newInitiator(c Config, s source) (*Initiator, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	if err := c.checkWithin(roleInitiator); err != nil {
		return nil, err
	}
	if c.Peer.IsZero() && c.PeerName == "" {
		return nil, errors.New("handshake: config: an initiator pins its peer or names it")
	}
	if c.Peer == c.Identity.fingerprint {
		return nil, fmt.Errorf("handshake: config: %w", ErrSelf)
	}
	if n := len(c.kems()); n > maxShares {
		return nil, fmt.Errorf("handshake: config: the suites name %d KEMs, at most %d have room", n, maxShares)
	}
	if err := c.Early.claim(); err != nil {
		return nil, err
	}
	// The error is there beforehand for a machine that a panic left half way.
	return &Initiator{
		config: c, source: s, silence: newSilenceKey(c.calls(), c.Knock),
		state: initiatorNew, err: untold(ErrOrder),
	}, nil
}

// Start gives the ClientHello. It is called once. Inside a session there are no
// greetings: ownGreeting is not looked at.
func (i *Initiator) Start(ownGreeting [64]byte) ([]byte, error) {
	if i.state == initiatorFailed {
		return nil, i.err
	}
	if i.state != initiatorNew {
		return nil, i.fail(untold(ErrOrder))
	}
	i.state = initiatorFailed
	i.own = ownGreeting
	if err := i.fresh(); err != nil {
		return nil, i.fail(untold(err))
	}
	i.offered = i.offer()
	i.clientHello(nil)
	i.state = initiatorWaitsServerHello
	return bytes.Clone(i.hello), nil
}

// PeerGreeting gives the responder's greeting, which is in the transcript: before
// the first Handle, after or before Start.
func (i *Initiator) PeerGreeting(greeting [64]byte) { i.peer, i.greeted = greeting, true }

// Handle takes one whole message. Retry gives another ClientHello as reply,
// ServerHello gives the ClientKey, Finished gives the session. With an error,
// reply is the alert to send, or nil.
func (i *Initiator) Handle(msg []byte) (reply []byte, done *Session, err error) {
	state := i.state
	i.state = initiatorFailed
	switch state {
	case initiatorWaitsServerHello:
		if kind(msg) == typeRetry {
			if reply, err = i.retry(msg); err != nil {
				err = inClear(err)
				break
			}
			i.state = initiatorWaitsServerHello
			return reply, nil, nil
		}
		if reply, err = i.serverHello(msg); err != nil {
			err = inClear(err)
			break
		}
		i.state = initiatorWaitsFinished
		return reply, nil, nil
	case initiatorWaitsFinished:
		if done, err = i.finished(msg); err != nil {
			// The responder, if it is there, has left the handshake and reads
			// records: closing is all that can be said.
			err = untold(err)
			break
		}
		i.state = initiatorDone
		return nil, done, nil
	case initiatorDone:
		// The session is out and lives on; only this machine is over.
		err = untold(ErrUnexpectedMessage)
	case initiatorNew:
		err = untold(ErrOrder)
	case initiatorFailed:
		return nil, nil, i.err
	}
	e := i.fail(err.(*Error))
	return e.message(), nil, e
}

// fail makes the machine useless and keeps nothing secret.
func (i *Initiator) fail(e *Error) *Error {
	i.state = initiatorFailed
	if i.session != nil {
		i.session.Close()
	}
	i.offered.wipe()
	i.session, i.keys, i.shares, i.hello, i.offered = nil, nil, nil, nil, nil
	i.err = e
	return e
}

// serverHello is step 2 and 3.
func (i *Initiator) serverHello(msg []byte) ([]byte, error) {
	if p := peerAlert(msg); p != nil {
		return nil, p
	}
	if !i.greeted && i.config.Within == nil {
		return nil, ErrOrder
	}
	h, err := parseServerHello(msg)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(i.config.Suites, h.suite) {
		return nil, ErrSuiteNotOffered
	}
	psk := make([]byte, h.suite.Hash.Size())
	if h.psk {
		if i.offered == nil || i.offered.suite != h.suite {
			return nil, ErrResumption
		}
		psk = i.offered.psk
	}
	shared, err := i.decapsulate(h.suite.KEM, h.share)
	if err != nil {
		return nil, err
	}
	t := newTranscript(h.suite.Hash, i.prologue(), i.hello)
	t1 := t.add(pointT1, h.clear)
	s := newSchedule(h.suite.Hash, psk)
	s.log = i.config.keyLog(i.random)
	defer s.wipe()
	secrets := s.handshakeSecrets(shared, t1)
	defer secrets.wipe()
	i.keys, i.shares, i.hello = nil, nil, nil

	t4, err := i.authenticate(&h, t, t1, secrets)
	if err != nil {
		return nil, err
	}
	reply, t7, err := i.clientKey(&h, t, t4, secrets)
	if err != nil {
		return nil, err
	}
	i.session = newSession(roleInitiator, h.suite, i.proved, s, t7)
	i.session.own, i.session.peerAlg, i.session.peerCertificate = i.config.Identity.fingerprint, i.inherits.alg, i.certificate
	switch {
	case h.psk:
		i.session.resumed, i.session.signed = true, i.offered.signed
	case i.config.Clock != nil:
		i.session.signed = i.config.Clock()
	}
	if !i.earlyTaken && !i.config.Early.empty() {
		i.session.rejected = i.config.Early.messages
	}
	i.offered.wipe()
	i.offered, i.early = nil, nil
	return reply, nil
}

func (i *Initiator) decapsulate(k KEM, ciphertext []byte) ([]byte, error) {
	for _, key := range i.keys {
		if key.kem == k {
			return key.decapsulate(ciphertext)
		}
	}
	return nil, ErrSuiteNotOffered
}

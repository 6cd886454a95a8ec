package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/qzmq/gateway/qzmq/record"
)

// The initiator's side, in the order of its messages:
//
//  1. Start sends ClientHello, without waiting for the responder's greeting.
//  2. ServerHello: the suite was offered, no resumption was invented, decapsulate,
//     open, the identity is the pinned one and not our own, signature, finished.
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

	hello   []byte    // the ClientHello as sent
	keys    []*kemKey // until T1
	session *Session  // from T7, handed out after Finished
}

// NewInitiator checks a config. Errors say what is wrong with it; those of the
// suites wrap ErrSuiteNotBuilt or ErrInsufficientSecurity.
func NewInitiator(c Config) (*Initiator, error) { return newInitiator(c, production()) }

func newInitiator(c Config, s source) (*Initiator, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	if c.Peer.IsZero() {
		return nil, errors.New("handshake: config: an initiator pins its peer")
	}
	if c.Peer == c.Identity.fingerprint {
		return nil, fmt.Errorf("handshake: config: %w", ErrSelf)
	}
	if n := len(c.kems()); n > maxShares {
		return nil, fmt.Errorf("handshake: config: the suites name %d KEMs, at most %d have room", n, maxShares)
	}
	// The error is there beforehand for a machine that a panic left half way.
	return &Initiator{config: c, source: s, state: initiatorNew, err: untold(ErrOrder)}, nil
}

// Start gives the ClientHello. It is called once.
func (i *Initiator) Start(ownGreeting [64]byte) ([]byte, error) {
	if i.state == initiatorFailed {
		return nil, i.err
	}
	if i.state != initiatorNew {
		return nil, i.fail(untold(ErrOrder))
	}
	i.state = initiatorFailed
	i.own = ownGreeting
	if err := i.clientHello(); err != nil {
		return nil, i.fail(untold(err))
	}
	i.state = initiatorWaitsServerHello
	return bytes.Clone(i.hello), nil
}

// PeerGreeting gives the responder's greeting, which is in the transcript: before
// the first Handle, after or before Start.
func (i *Initiator) PeerGreeting(greeting [64]byte) { i.peer, i.greeted = greeting, true }

// Handle takes one whole message. ServerHello gives the ClientKey as reply,
// Finished gives the session. With an error, reply is the alert to send, or nil.
func (i *Initiator) Handle(msg []byte) (reply []byte, done *Session, err error) {
	state := i.state
	i.state = initiatorFailed
	switch state {
	case initiatorWaitsServerHello:
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
	i.session, i.keys, i.hello = nil, nil, nil
	i.err = e
	return e
}

func (i *Initiator) clientHello() error {
	random, err := i.source.random(randomLen)
	if err != nil {
		return err
	}
	h := clientHello{purpose: i.config.Purpose, random: random}
	for _, s := range i.config.Suites {
		h.suites = s.append(h.suites)
	}
	var shares []byte
	for _, k := range i.config.kems() {
		key, share, err := generateKEM(k, i.source.reader)
		if err != nil {
			return err
		}
		i.keys = append(i.keys, key)
		shares = append(append(shares, byte(k)), share...)
	}
	h.extensions = h.extensions.with(extKeyShare, shares)
	if i.config.Mode == ModePQOnly {
		h.extensions = h.extensions.with(extPQOnly, nil)
	}
	h.mac = silenceMAC(i.config.Peer, i.config.Knock, h.unauthenticated())
	i.hello = h.marshal()
	return nil
}

// serverHello is step 2 and 3.
func (i *Initiator) serverHello(msg []byte) ([]byte, error) {
	if p := peerAlert(msg); p != nil {
		return nil, p
	}
	if !i.greeted {
		return nil, ErrOrder
	}
	h, err := parseServerHello(msg)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(i.config.Suites, h.suite) {
		return nil, ErrSuiteNotOffered
	}
	if h.psk {
		return nil, ErrResumption
	}
	shared, err := i.decapsulate(h.suite.KEM, h.share)
	if err != nil {
		return nil, err
	}
	t := newTranscript(h.suite.Hash, prologueZMTP(&i.own, &i.peer), i.hello)
	t1 := t.add(pointT1, h.clear)
	s := newSchedule(h.suite.Hash, make([]byte, h.suite.Hash.Size()))
	defer s.wipe()
	secrets := s.handshakeSecrets(shared, t1)
	defer secrets.wipe()
	i.keys, i.hello = nil, nil

	t4, err := i.authenticate(&h, t, t1, secrets)
	if err != nil {
		return nil, err
	}
	reply, t7, err := i.clientKey(h.suite, t, t4, secrets)
	if err != nil {
		return nil, err
	}
	i.session = newSession(roleInitiator, h.suite, i.config.Peer, s, t7)
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

// authenticate opens the responder's flight and checks who wrote it. It gives T4.
func (i *Initiator) authenticate(h *serverHello, t *transcript, t1 []byte, secrets *trafficSecrets) ([]byte, error) {
	plaintext, err := record.NewKeys(h.suite.AEAD, h.suite.Hash, secrets.responder).OpenOnce(t1, h.sealed)
	if err != nil {
		return nil, ErrOpen
	}
	f, err := parseFlight(plaintext, h.suite.Hash)
	if err != nil {
		return nil, err
	}
	if err := f.extensions.only(); err != nil {
		return nil, err
	}
	peer, err := f.key()
	switch {
	case err != nil:
		return nil, err
	case peer == i.config.Identity.fingerprint:
		return nil, ErrSelf
	case peer != i.config.Peer || f.alg != h.suite.Sig:
		return nil, ErrWrongPeer
	}
	return verifyFlight(t, roleResponder, secrets, &f, nil)
}

// clientKey writes the ClientKey and gives T7.
func (i *Initiator) clientKey(s Suite, t *transcript, t4 []byte, secrets *trafficSecrets) (msg, t7 []byte, err error) {
	ext := extensions(nil).
		withOpaque(extMetadata, i.config.Metadata).
		withOpaque(extService, []byte(i.config.Service))
	n := flightLen(i.config.Identity, ext, s.Hash)
	header := appendHeader(make([]byte, 0, HeaderLen+n), typeClientKey, n)
	plaintext, t7, err := writeFlight(t, roleInitiator, secrets, i.config.Identity, header, ext, i.source.hedged)
	if err != nil {
		return nil, nil, err
	}
	sealed := record.NewKeys(s.AEAD, s.Hash, secrets.initiator).SealOnce(t4, plaintext)
	return append(header, sealed...), t7, nil
}

// finished is step 4.
func (i *Initiator) finished(msg []byte) (*Session, error) {
	if p := peerAlert(msg); p != nil {
		return nil, p
	}
	t := kind(msg)
	if t != typeAlert {
		t = typeFinished
	}
	sealed, err := parseSealed(msg, t)
	if err != nil {
		return nil, err
	}
	plaintext, err := i.session.opener.Open(nil, sealed)
	if err != nil {
		return nil, ErrOpen
	}
	ext, err := parseLast(plaintext)
	if err != nil {
		return nil, err
	}
	if t == typeAlert {
		return nil, refusal(ext)
	}
	if err := ext.only(extMetadata); err != nil {
		return nil, err
	}
	metadata, err := ext.opaque(extMetadata, MaxMetadata)
	if err != nil {
		return nil, err
	}
	done := i.session
	done.peerMetadata = metadata
	i.session = nil
	return done, nil
}

// refusal reads the extensions of a sealed alert.
func refusal(ext extensions) error {
	if err := ext.only(extRefused); err != nil {
		return err
	}
	code, _ := ext.get(extRefused)
	if len(code) != 1 {
		return ErrMalformed
	}
	return &PeerAlert{Code: Alert(code[0]), Sealed: true}
}

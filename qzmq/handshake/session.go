package handshake

import (
	"encoding/binary"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// Session is what a finished handshake agreed: who the peer is, and the keys. It
// hands out every sealer and opener once. It belongs to one goroutine, which
// closes it; what it handed out lives on.
type Session struct {
	hidden
	role            role
	suite           Suite
	own, peer       Fingerprint
	peerAlg         Signature
	t7              []byte // public; for Rehandshake
	peerMetadata    []byte
	peerCertificate *Certificate
	sealer          *record.StreamSealer // nil once handed out
	opener          *record.StreamOpener
	exporter        []byte // nil once closed
	resumption      []byte // until Finished
	signed          time.Duration
	resumed         bool
	rejected        []EarlyMessage
	installed       map[dataKey]struct{}
	log             keyLog
}

// dataKey is the context of one data key. A context is used once.
type dataKey struct {
	setup     [32]byte
	direction role // the side that sends
	stream    uint16
}

// newSession takes the schedule, at its handshake secret, to its end at T7.
func newSession(r role, suite Suite, peer Fingerprint, s *schedule, t7 []byte) *Session {
	app, exporter, resumption := s.applicationSecrets(t7)
	defer app.wipe()
	send, receive := app.initiator, app.responder
	if r == roleResponder {
		send, receive = receive, send
	}
	return &Session{
		role: r, suite: suite, peer: peer, exporter: exporter, resumption: resumption, t7: t7,
		sealer:    record.NewStreamSealer(record.NewKeys(suite.AEAD, suite.Hash, send)),
		opener:    record.NewStreamOpener(record.NewKeys(suite.AEAD, suite.Hash, receive)),
		installed: make(map[dataKey]struct{}),
		log:       s.log,
	}
}

// Peer is the identity that the peer has proved.
func (s *Session) Peer() Fingerprint { return s.peer }

// PeerAlgorithm is that of the peer's key, also when nobody signed because the session
// is resumed.
func (s *Session) PeerAlgorithm() Signature { return s.peerAlg }

// PeerCertificate is what an authority of Config.Authorities says of the peer, nil
// if the peer showed no certificate or one that does not hold here; it was then
// let in by its fingerprint. It must not be changed.
func (s *Session) PeerCertificate() *Certificate { return s.peerCertificate }

// PeerMetadata is what the peer's Config.Metadata said, nil for nothing. It
// belongs to the session and must not be changed.
func (s *Session) PeerMetadata() []byte { return s.peerMetadata }

// Suite is the suite that both sides run.
func (s *Session) Suite() Suite { return s.suite }

// Resumed says that nobody signed: the identities are those of an earlier session.
func (s *Session) Resumed() bool { return s.resumed }

// Initiator says whether this side called.
func (s *Session) Initiator() bool { return s.role == roleInitiator }

// Records gives the two directions of the TCP connection that the handshake ran
// on. Finished was record 0 of the responder's. They exist once: a second call
// panics, because two counters over one key would repeat nonces.
func (s *Session) Records() (*record.StreamSealer, *record.StreamOpener) {
	if s.sealer == nil {
		panic("handshake: the records of a session are handed out once, and not after Close")
	}
	sealer, opener := s.sealer, s.opener
	s.sealer, s.opener = nil, nil
	return sealer, opener
}

// DataSealer gives the sealer for one stream of UDP records that this side sends.
// setup is SHA-256 over the whole link set-up exchange, which holds a fresh nonce
// of each side (2.6), and session is the id that the peer chose for itself. The
// same setup and stream twice panics: it would repeat nonces.
func (s *Session) DataSealer(setup [32]byte, session uint32, stream uint16) *record.Sealer {
	return record.NewSealer(s.dataKeys(dataKey{setup, s.role, stream}, session), session, stream)
}

// DataOpener gives the opener for one stream that the peer sends. session is the
// id that this side chose. The same setup and stream twice panics: a second
// replay window would let every record in again.
func (s *Session) DataOpener(setup [32]byte, session uint32, stream uint16) *record.Opener {
	return record.NewOpener(s.dataKeys(dataKey{setup, s.role.other(), stream}, session), session, stream)
}

func (s *Session) dataKeys(k dataKey, session uint32) *record.Keys {
	if s.exporter == nil {
		panic("handshake: data keys of a closed session")
	}
	if _, again := s.installed[k]; again {
		panic("handshake: data keys of one set-up, direction and stream are handed out once")
	}
	s.installed[k] = struct{}{}
	context := append(k.setup[:len(k.setup):len(k.setup)], byte(k.direction))
	context = binary.BigEndian.AppendUint16(context, k.stream)
	secret := export(s.suite.Hash, s.exporter, labelData, context, s.suite.Hash.Size())
	defer clear(secret)
	s.log.data(k, session, secret)
	return record.NewKeys(s.suite.AEAD, s.suite.Hash, secret)
}

// forgetResumption ends the deriving of PSKs: after Finished there are no more.
func (s *Session) forgetResumption() {
	clear(s.resumption)
	s.resumption = nil
}

// Close wipes what further keys would be derived from. It may be called twice.
func (s *Session) Close() {
	clear(s.exporter)
	s.forgetResumption()
	s.exporter, s.sealer, s.opener = nil, nil, nil
}

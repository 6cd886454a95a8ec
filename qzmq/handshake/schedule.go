package handshake

import "github.com/qzmq/gateway/qzmq/record"

// schedule is the key schedule of section 2.4: a chain of secrets, early ->
// handshake -> main, of which it holds the newest.
type schedule struct {
	hidden
	hash   record.Hash
	secret []byte
	log    keyLog
}

// newSchedule starts at the early secret. psk has the length of the suite's hash
// and is all zero without resumption.
func newSchedule(h record.Hash, psk []byte) *schedule {
	s := &schedule{hash: h}
	s.secret = s.extract(make([]byte, h.Size()), psk)
	return s
}

// advance mixes the next input into the chain and wipes the secret before it.
func (s *schedule) advance(input []byte) {
	salt := s.derive(labelDerived, s.hash.New().Sum(nil))
	next := s.extract(salt, input)
	clear(salt)
	s.wipe()
	s.secret = next
}

// derive gives a secret that belongs to one label and one transcript hash.
func (s *schedule) derive(label string, digest []byte) []byte {
	return record.ExpandLabel(s.hash, s.secret, label, digest, s.hash.Size())
}

func (s *schedule) wipe() { clear(s.secret) }

// extract is HKDF-Extract.
func (s *schedule) extract(salt, input []byte) []byte {
	return record.MAC(s.hash, salt, input)
}

// trafficSecrets are one secret for each direction.
type trafficSecrets struct {
	hidden
	initiator, responder []byte
}

func (t *trafficSecrets) wipe() {
	clear(t.initiator)
	clear(t.responder)
}

// of gives the secret under which side r sends.
func (t *trafficSecrets) of(r role) []byte {
	if r == roleInitiator {
		return t.initiator
	}
	return t.responder
}

// handshakeSecrets mixes in the KEM's secret, which it wipes, and gives the
// traffic secrets of the two sealed flights.
func (s *schedule) handshakeSecrets(shared, t1 []byte) *trafficSecrets {
	s.advance(shared)
	clear(shared)
	hs := &trafficSecrets{
		initiator: s.derive(labelInitiatorHS, t1),
		responder: s.derive(labelResponderHS, t1),
	}
	s.log.handshake(hs)
	return hs
}

// applicationSecrets goes on to the main secret and gives what a session lives
// on. The schedule is wiped: it has no further use.
func (s *schedule) applicationSecrets(t7 []byte) (app *trafficSecrets, exporter, resumption []byte) {
	s.advance(make([]byte, s.hash.Size()))
	app = &trafficSecrets{
		initiator: s.derive(labelInitiatorApp, t7),
		responder: s.derive(labelResponderApp, t7),
	}
	s.log.application(app)
	exporter = s.derive(labelExporter, t7)
	resumption = s.derive(labelResMaster, t7)
	s.wipe()
	return app, exporter, resumption
}

// finishedMAC proves that a side has its handshake secret and has seen the
// transcript up to digest.
func finishedMAC(h record.Hash, trafficSecret, digest []byte) []byte {
	key := record.ExpandLabel(h, trafficSecret, labelFinished, nil, h.Size())
	defer clear(key)
	return record.MAC(h, key, digest)
}

// export derives n bytes for a purpose named by label and context (RFC 8446 7.5).
func export(h record.Hash, exporter []byte, label string, context []byte, n int) []byte {
	secret := record.ExpandLabel(h, exporter, label, h.New().Sum(nil), h.Size())
	defer clear(secret)
	digest := h.New()
	digest.Write(context)
	return record.ExpandLabel(h, secret, labelExport, digest.Sum(nil), n)
}

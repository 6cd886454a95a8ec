package handshake

import (
	"hash"

	"github.com/qzmq/gateway/qzmq/record"
)

// role is a side of the handshake. Its values are the direction byte of data
// keys (2.6).
type role uint8

const (
	roleInitiator role = 0
	roleResponder role = 1
)

func (r role) other() role { return 1 - r }

// signs is the label inside this side's signature.
func (r role) signs() string {
	if r == roleInitiator {
		return labelInitiatorSigns
	}
	return labelResponderSigns
}

// point names a place in the transcript whose hash is used (2.3).
type point uint8

const (
	pointT1 point = 1 + iota // prologue, ClientHello, ServerHello up to its share
	pointT2                  // ServerHello's extensions and identity: the responder signs it
	pointT3                  // the responder's signature: its finished MAC
	pointT4                  // the responder's finished: associated data of ClientKey
	pointT5                  // ClientKey's header, extensions, identity: the initiator signs it
	pointT6                  // the initiator's signature: its finished MAC
	pointT7                  // the initiator's finished: every application secret
)

// points gives the points after this side's identity, signature and finished.
func (r role) points() (identity, signature, finished point) {
	if r == roleInitiator {
		return pointT5, pointT6, pointT7
	}
	return pointT2, pointT3, pointT4
}

// prologueZMTP is what both sides know before the first message, so that a
// changed greeting ends the handshake.
func prologueZMTP(initiator, responder *[greetingLen]byte) []byte {
	b := make([]byte, 0, len(labelPrologue)+1+2*greetingLen)
	b = append(b, labelPrologue...)
	b = append(b, transportZMTP)
	b = append(b, initiator[:]...)
	return append(b, responder[:]...)
}

// transcript is the running hash over the prologue and the bytes of all messages,
// sealed fields in plaintext, padding left out.
type transcript struct {
	hash    record.Hash
	running hash.Hash
	last    point
}

func newTranscript(h record.Hash, prologue, clientHello []byte) *transcript {
	t := &transcript{hash: h, running: h.New()}
	t.running.Write(prologue)
	t.running.Write(clientHello)
	return t
}

// add takes in the bytes that end at point p and gives the hash there. Points
// come in order and none is left out.
func (t *transcript) add(p point, parts ...[]byte) []byte {
	if p != t.last+1 {
		panic("handshake: transcript points out of order")
	}
	t.last = p
	for _, b := range parts {
		t.running.Write(b)
	}
	return t.running.Sum(nil)
}

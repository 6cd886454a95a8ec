package handshake

import (
	"crypto/hmac"

	"github.com/qzmq/gateway/qzmq/record"
)

// The sealed part of both messages in a resumed handshake, where nobody signs:
//
//	ext_len 2, extensions | finished | zeros
//
// The hash points are the same; nothing comes between the second and the third.

func shortFlightLen(ext extensions, h record.Hash) int {
	return padded(2+len(ext)+h.Size()) + record.TagLen
}

// writeShortFlight is writeFlight without an identity.
func writeShortFlight(t *transcript, r role, secrets *trafficSecrets, prefix []byte, ext extensions) (plaintext, last []byte) {
	plaintext = ext.append(make([]byte, 0, shortFlightLen(ext, t.hash)))
	atIdentity, atSignature, atFinished := r.points()
	t.add(atIdentity, prefix, plaintext)
	finished := finishedMAC(t.hash, secrets.of(r), t.add(atSignature))
	return pad(append(plaintext, finished...)), t.add(atFinished, finished)
}

// verifyShortFlight is parseFlight and verifyFlight in one.
func verifyShortFlight(t *transcript, r role, secrets *trafficSecrets, plaintext, prefix []byte) (ext extensions, last []byte, err error) {
	c := cursor{rest: plaintext}
	ext = takeExtensions(&c)
	head := plaintext[:len(plaintext)-len(c.rest)]
	finished := c.take(t.hash.Size())
	if c.bad || !isPadding(c.rest, len(plaintext)) {
		return nil, nil, ErrMalformed
	}
	atIdentity, atSignature, atFinished := r.points()
	t.add(atIdentity, prefix, head)
	if !hmac.Equal(finishedMAC(t.hash, secrets.of(r), t.add(atSignature)), finished) {
		return nil, nil, ErrFinished
	}
	return ext, t.add(atFinished, finished), nil
}

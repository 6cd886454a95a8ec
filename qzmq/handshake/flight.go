package handshake

import (
	"crypto/hmac"
	"encoding/binary"

	"github.com/qzmq/gateway/qzmq/record"
)

// flight is the sealed part of ServerHello and of ClientKey, before sealing:
//
//	ext_len 2, extensions | algorithm 1, form 1, length 2, identity | signature | finished | zeros
//
// Zeros fill it to a multiple of padTo. Its slices are lent from the plaintext.
type flight struct {
	head       []byte // extensions and identity as they stand: what the signature's hash point takes in
	extensions extensions
	alg        Signature
	form       identityForm
	identity   []byte
	signature  []byte
	finished   []byte

	public      []byte       // the key that is claimed: identity, or what the certificate certifies
	certificate *Certificate // not judged yet; nil in form key
}

// parseFlight reads an opened flight of a suite whose hash is h. The signature's
// length follows from the algorithm.
func parseFlight(plaintext []byte, h record.Hash) (flight, error) {
	c := cursor{rest: plaintext}
	var f flight
	f.extensions = takeExtensions(&c)
	f.alg = Signature(c.u8())
	f.form = identityForm(c.u8())
	f.identity = c.take(int(c.u16()))
	f.head = plaintext[:len(plaintext)-len(c.rest)]
	f.signature = c.take(f.alg.signatureLen())
	f.finished = c.take(h.Size())
	if c.bad || !f.alg.Valid() || f.form > formCertificate || !isPadding(c.rest, len(plaintext)) {
		return flight{}, ErrMalformed
	}
	if f.form == formKey && len(f.identity) != f.alg.publicLen() {
		return flight{}, ErrMalformed
	}
	f.public = f.identity
	return f, nil
}

// appendHead writes extensions and identity.
func (f *flight) appendHead(dst []byte) []byte {
	dst = f.extensions.append(dst)
	dst = append(dst, byte(f.alg), byte(f.form))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(f.identity)))
	return append(dst, f.identity...)
}

// flightLen is the length in bytes of this identity's flight once sealed. The
// header needs it before the signature exists.
func flightLen(id *Identity, ext extensions, h record.Hash) int {
	_, shown := id.shown()
	n := 2 + len(ext) + 4 + len(shown) + id.alg.signatureLen() + h.Size()
	return padded(n) + record.TagLen
}

// writeFlight signs and proves: it takes the transcript over this side's three
// points and gives the plaintext to seal, and the hash at the last point. prefix is
// what stands before the flight and is not in the transcript yet.
func writeFlight(t *transcript, r role, secrets *trafficSecrets, id *Identity, prefix []byte, ext extensions, hedged bool) (plaintext, last []byte, err error) {
	f := flight{extensions: ext, alg: id.alg}
	f.form, f.identity = id.shown()
	atIdentity, atSignature, atFinished := r.points()
	plaintext = f.appendHead(make([]byte, 0, flightLen(id, ext, t.hash)))
	digest := t.add(atIdentity, prefix, plaintext)
	if f.signature, err = id.sign(signedBytes(r, id.alg, digest), hedged); err != nil {
		return nil, nil, err
	}
	plaintext = append(plaintext, f.signature...)
	f.finished = finishedMAC(t.hash, secrets.of(r), t.add(atSignature, f.signature))
	plaintext = append(plaintext, f.finished...)
	last = t.add(atFinished, f.finished)
	return pad(plaintext), last, nil
}

// verifyFlight checks what side r wrote, signature first. It gives the hash at
// the last of its points.
func verifyFlight(t *transcript, r role, secrets *trafficSecrets, f *flight, prefix []byte) ([]byte, error) {
	atIdentity, atSignature, atFinished := r.points()
	digest := t.add(atIdentity, prefix, f.head)
	if !f.alg.verify(f.public, signedBytes(r, f.alg, digest), f.signature) {
		return nil, ErrSignature
	}
	want := finishedMAC(t.hash, secrets.of(r), t.add(atSignature, f.signature))
	if !hmac.Equal(want, f.finished) {
		return nil, ErrFinished
	}
	return t.add(atFinished, f.finished), nil
}

// key gives the name of the identity in a flight, and reads its certificate.
func (f *flight) key() (Fingerprint, error) {
	if f.form == formCertificate {
		c, err := ParseCertificate(f.identity)
		if err != nil || c.alg != f.alg {
			return Fingerprint{}, ErrCertificate
		}
		f.certificate, f.public = c, c.public
	}
	return newFingerprint(f.alg, f.public), nil
}

// parseLast reads what Finished and a sealed Alert hold: extensions and zeros.
func parseLast(plaintext []byte) (extensions, error) {
	c := cursor{rest: plaintext}
	ext := takeExtensions(&c)
	if c.bad || !isPadding(c.rest, len(plaintext)) {
		return nil, ErrMalformed
	}
	return ext, nil
}

func marshalLast(ext extensions) []byte { return pad(ext.append(nil)) }

// sealLast makes Finished, or the Alert in its place: record 0 of the responder's
// direction. Both have the same layout, so that only their extensions tell them
// apart and a changed type byte turns neither into the other.
func sealLast(s *record.StreamSealer, t messageType, ext extensions) ([]byte, error) {
	plaintext := marshalLast(ext)
	n := len(plaintext) + record.TagLen
	msg := appendHeader(make([]byte, 0, HeaderLen+n), t, n)
	return s.Seal(msg, plaintext)
}

// padded rounds up to a multiple of padTo.
func padded(n int) int { return (n + padTo - 1) / padTo * padTo }

func pad(b []byte) []byte { return append(b, make([]byte, padded(len(b))-len(b))...) }

// isPadding checks that rest, the end of a plaintext of total bytes, is what pad
// would have added: one value has one encoding.
func isPadding(rest []byte, total int) bool {
	if total%padTo != 0 || len(rest) >= padTo {
		return false
	}
	for _, b := range rest {
		if b != 0 {
			return false
		}
	}
	return true
}

// sealedLen says whether n can be the length of a padded and sealed flight.
func sealedLen(n int) bool { return n >= padTo+record.TagLen && (n-record.TagLen)%padTo == 0 }

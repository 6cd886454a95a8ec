package handshake

import (
	"bytes"
	"crypto/sha256"
)

// Request is a public key with the proof that its holder asks for a certificate,
// so that the private key never leaves its host:
//
//	version 1 | algorithm 1, public key | signature
//
// The signature is the key's own, over signedUnder("QZMQ1 possession", SHA-256 of
// everything before it). It does not say which name is asked for: that is for the
// authority to find out and to decide. A request is not secret, and may be used
// again when its certificate nears its end.
type Request struct {
	alg       Signature
	public    []byte
	signature []byte
}

const requestVersion = 1

// NewRequest signs a request. The only error is ErrRandom.
func NewRequest(id *Identity) (*Request, error) { return newRequest(id, true) }

func newRequest(id *Identity, hedged bool) (*Request, error) {
	q := &Request{alg: id.alg, public: id.public}
	signature, err := id.sign(signedUnder(labelPossession, q.alg, q.digest()), hedged)
	if err != nil {
		return nil, err
	}
	q.signature = signature
	return q, nil
}

// Fingerprint names the key.
func (q *Request) Fingerprint() Fingerprint { return newFingerprint(q.alg, q.public) }

// Algorithm is what the key signs with.
func (q *Request) Algorithm() Signature { return q.alg }

func (q *Request) unsigned() []byte {
	return append([]byte{requestVersion, byte(q.alg)}, q.public...)
}

func (q *Request) digest() []byte {
	d := sha256.Sum256(q.unsigned())
	return d[:]
}

// Marshal writes the request.
func (q *Request) Marshal() []byte { return append(q.unsigned(), q.signature...) }

// ParseRequest reads a request and checks its proof, so that a Request that is
// there has been proved. The only errors are ErrRequest and ErrPossession.
func ParseRequest(b []byte) (*Request, error) {
	in := cursor{rest: b}
	v := in.u8()
	q := &Request{alg: Signature(in.u8())}
	q.public = bytes.Clone(in.take(q.alg.publicLen()))
	q.signature = bytes.Clone(in.take(q.alg.signatureLen()))
	if !in.done() || v != requestVersion || !q.alg.Valid() {
		return nil, ErrRequest
	}
	if !q.alg.verify(q.public, signedUnder(labelPossession, q.alg, q.digest()), q.signature) {
		return nil, ErrPossession
	}
	return q, nil
}

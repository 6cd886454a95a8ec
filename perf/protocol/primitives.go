package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"

	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
)

// primitives are the public-key operations of the default suite's two sides,
// called with the libraries that the handshake calls and nothing around them. They
// take and give bytes as those travel: expanding the peer's ML-DSA key is most of
// a verification, and no side can do without it.
type primitives struct {
	public  [mldsa44.PublicKeySize]byte
	private *mldsa44.PrivateKey
	message [113]byte // the length of what a handshake signs
}

// signatureContext is as long as the protocol's, and as little looked at.
const signatureContext = "bench"

func newPrimitives() (*primitives, error) {
	public, private, err := mldsa44.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	p := &primitives{private: private}
	public.Pack(&p.public)
	return p, nil
}

var errPrimitive = errors.New("a primitive does not agree with itself")

// turn is one handshake's worth of both sides.
func (p *primitives) turn(w *stopwatch) error {
	w.start()
	ek, dk, err := mlkem768.GenerateKeyPair(rand.Reader)
	if err != nil {
		return err
	}
	var share [mlkem768.PublicKeySize]byte
	ek.Pack(share[:])
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	w.lap(initiator)

	var ct [mlkem768.CiphertextSize]byte
	var secrets [sides][mlkem768.SharedKeySize]byte
	var theirs mlkem768.PublicKey
	if err := theirs.Unpack(share[:]); err != nil {
		return err
	}
	theirs.EncapsulateTo(ct[:], secrets[responder][:], nil)
	y, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if _, err := y.ECDH(x.PublicKey()); err != nil {
		return err
	}
	signature, err := p.sign()
	if err != nil {
		return err
	}
	w.lap(responder)

	dk.DecapsulateTo(secrets[initiator][:], ct[:])
	if _, err := x.ECDH(y.PublicKey()); err != nil {
		return err
	}
	verified := p.verify(signature)
	if signature, err = p.sign(); err != nil {
		return err
	}
	w.lap(initiator)

	verified = verified && p.verify(signature)
	w.lap(responder)
	if !verified || secrets[initiator] != secrets[responder] {
		return errPrimitive
	}
	return nil
}

// sign is hedged, as identities sign.
func (p *primitives) sign() (signature [mldsa44.SignatureSize]byte, err error) {
	err = mldsa44.SignTo(p.private, p.message[:], []byte(signatureContext), true, signature[:])
	return signature, err
}

func (p *primitives) verify(signature [mldsa44.SignatureSize]byte) bool {
	var key mldsa44.PublicKey
	key.Unpack(&p.public)
	return mldsa44.Verify(&key, p.message[:], []byte(signatureContext), signature[:])
}

package handshake

import (
	"bytes"
	"crypto/ed25519"

	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"

	"github.com/qzmq/gateway/qzmq/record"
)

// Signature is the algorithm of an identity's key, by its code point.
type Signature uint8

// The registered signature algorithms. In a composite both halves sign the same
// bytes, which name the composite, and both must verify.
const (
	Ed25519        Signature = 1
	MLDSA44        Signature = 2
	MLDSA65        Signature = 3
	MLDSA87        Signature = 4
	Ed25519MLDSA44 Signature = 5
	Ed25519MLDSA65 Signature = 6
)

// seedLen is the length in bytes of every identity's secret: the seed of its one
// key, or what the seeds of a composite's two keys are derived from.
const seedLen = 32

// halves gives the parts of an algorithm; in keys and signatures the ML-DSA half
// comes first. For a code outside the registry both are absent.
func (s Signature) halves() (lattice sign.Scheme, curve bool) {
	switch s {
	case Ed25519:
		return nil, true
	case MLDSA44:
		return mldsa44.Scheme(), false
	case MLDSA65:
		return mldsa65.Scheme(), false
	case MLDSA87:
		return mldsa87.Scheme(), false
	case Ed25519MLDSA44:
		return mldsa44.Scheme(), true
	case Ed25519MLDSA65:
		return mldsa65.Scheme(), true
	}
	return nil, false
}

// Valid says whether s is in the registry.
func (s Signature) Valid() bool { return Ed25519 <= s && s <= Ed25519MLDSA65 }

// publicLen is the length in bytes of a public key.
func (s Signature) publicLen() int {
	lattice, curve := s.halves()
	n := 0
	if lattice != nil {
		n += lattice.PublicKeySize()
	}
	if curve {
		n += ed25519.PublicKeySize
	}
	return n
}

// signatureLen is the length in bytes of a signature.
func (s Signature) signatureLen() int {
	lattice, curve := s.halves()
	n := 0
	if lattice != nil {
		n += lattice.SignatureSize()
	}
	if curve {
		n += ed25519.SignatureSize
	}
	return n
}

// signFunc signs. Hedged mixes in fresh randomness, which is what production
// does: a deterministic ML-DSA signer leaks its key to faults and to power
// traces. Vectors need the deterministic form. Ed25519 is deterministic always.
type signFunc func(message []byte, hedged bool) ([]byte, error)

// newKey expands a seed. The private key lives only in the closure, where no
// printer can reach it.
func (s Signature) newKey(seed [seedLen]byte) (public []byte, f signFunc) {
	lattice, curve := s.halves()
	latticeSeed, curveSeed := seed, seed
	if lattice != nil && curve {
		// Neither half may also be a key of its own, or signatures could be taken apart.
		latticeSeed = [seedLen]byte(record.ExpandLabel(record.SHA256, seed[:], labelCompositeMLDSA, nil, seedLen))
		curveSeed = [seedLen]byte(record.ExpandLabel(record.SHA256, seed[:], labelCompositeEd, nil, seedLen))
	}
	var latticeSign signFunc
	if lattice != nil {
		var private sign.PrivateKey
		var p sign.PublicKey
		p, private = lattice.DeriveKey(latticeSeed[:])
		b, err := p.MarshalBinary()
		if err != nil {
			panic("handshake: a fresh ML-DSA key does not marshal: " + err.Error())
		}
		public, latticeSign = b, latticeSigner(private)
	}
	if !curve {
		return public, latticeSign
	}
	private := ed25519.NewKeyFromSeed(curveSeed[:])
	public = append(public, private.Public().(ed25519.PublicKey)...)
	return public, func(message []byte, hedged bool) (signature []byte, err error) {
		if latticeSign != nil {
			if signature, err = latticeSign(message, hedged); err != nil {
				return nil, err
			}
		}
		return append(signature, ed25519.Sign(private, message)...), nil
	}
}

// latticeSigner calls the SignTo of the key's parameter set, the only entry of
// circl that can hedge: Scheme.Sign and PrivateKey.Sign ignore randomness.
func latticeSigner(private sign.PrivateKey) signFunc {
	size := private.Scheme().SignatureSize()
	return func(message []byte, hedged bool) ([]byte, error) {
		signature := make([]byte, size)
		var err error
		switch k := private.(type) {
		case *mldsa44.PrivateKey:
			err = mldsa44.SignTo(k, message, []byte(signatureContext), hedged, signature)
		case *mldsa65.PrivateKey:
			err = mldsa65.SignTo(k, message, []byte(signatureContext), hedged, signature)
		case *mldsa87.PrivateKey:
			err = mldsa87.SignTo(k, message, []byte(signatureContext), hedged, signature)
		default:
			panic("handshake: a key of an unknown ML-DSA parameter set")
		}
		if err != nil {
			return nil, ErrRandom
		}
		return signature, nil
	}
}

// verify checks a signature over message. Wrong lengths are false, not a panic.
func (s Signature) verify(public, message, signature []byte) bool {
	if !s.Valid() || len(public) != s.publicLen() || len(signature) != s.signatureLen() {
		return false
	}
	lattice, curve := s.halves()
	if lattice != nil {
		n, m := lattice.PublicKeySize(), lattice.SignatureSize()
		key, err := lattice.UnmarshalBinaryPublicKey(public[:n])
		if err != nil || !lattice.Verify(key, message, signature[:m], &sign.SignatureOpts{Context: signatureContext}) {
			return false
		}
		public, signature = public[n:], signature[m:]
	}
	return !curve || ed25519.Verify(public, message, signature)
}

// signedBytes is what a signature of a handshake covers (2.3). The label keeps a
// signature of one role from passing for the other's, the algorithm keeps a half
// of a composite from passing for a whole.
func signedBytes(r role, alg Signature, digest []byte) []byte {
	return signedUnder(r.signs(), alg, digest)
}

// signedUnder is the same for any label: of a handshake, a certificate, a request.
func signedUnder(label string, alg Signature, digest []byte) []byte {
	b := bytes.Repeat([]byte{0x20}, 64)
	b = append(b, label...)
	b = append(b, 0x00, byte(alg))
	return append(b, digest...)
}

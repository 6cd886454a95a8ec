package handshake

import (
	"crypto/ecdh"
	"io"

	"github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/mlkem/mlkem1024"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
)

// KEM is a suite's key agreement, by its code point.
type KEM uint8

// The registered KEMs. A hybrid is broken only when both its halves are.
const (
	X25519          KEM = 1
	MLKEM768        KEM = 2
	MLKEM1024       KEM = 3
	X25519MLKEM768  KEM = 4
	X25519MLKEM1024 KEM = 5
)

// x25519Len is the length in bytes of an X25519 key, of either kind, and of its secret.
const x25519Len = 32

// halves gives the parts of a KEM. In shares, ciphertexts and secrets alike the
// ML-KEM half comes first, as in TLS's X25519MLKEM768, so that code and vectors
// of that group apply. For a code outside the registry both are absent.
func (k KEM) halves() (lattice kem.Scheme, curve bool) {
	switch k {
	case X25519:
		return nil, true
	case MLKEM768:
		return mlkem768.Scheme(), false
	case MLKEM1024:
		return mlkem1024.Scheme(), false
	case X25519MLKEM768:
		return mlkem768.Scheme(), true
	case X25519MLKEM1024:
		return mlkem1024.Scheme(), true
	}
	return nil, false
}

// Valid says whether k is in the registry.
func (k KEM) Valid() bool { return X25519 <= k && k <= X25519MLKEM1024 }

// shareLen is the length in bytes of the initiator's share.
func (k KEM) shareLen() int {
	lattice, curve := k.halves()
	n := 0
	if lattice != nil {
		n += lattice.PublicKeySize()
	}
	if curve {
		n += x25519Len
	}
	return n
}

// ciphertextLen is the length in bytes of the responder's share.
func (k KEM) ciphertextLen() int {
	lattice, curve := k.halves()
	n := 0
	if lattice != nil {
		n += lattice.CiphertextSize()
	}
	if curve {
		n += x25519Len
	}
	return n
}

// kemKey is the initiator's ephemeral key for one KEM.
type kemKey struct {
	hidden
	kem     KEM
	lattice kem.PrivateKey   // nil when the KEM has no ML-KEM half
	curve   *ecdh.PrivateKey // nil when it has no X25519 half
}

// generateKEM makes a fresh key and the share for the ClientHello. It takes 64
// bytes of randomness for ML-KEM (d, z), then 32 for X25519. k is registered.
func generateKEM(k KEM, random io.Reader) (*kemKey, []byte, error) {
	key := &kemKey{kem: k}
	share := make([]byte, 0, k.shareLen())
	lattice, curve := k.halves()
	if lattice != nil {
		seed := make([]byte, lattice.SeedSize())
		defer clear(seed)
		if _, err := io.ReadFull(random, seed); err != nil {
			return nil, nil, ErrRandom
		}
		public, private := lattice.DeriveKeyPair(seed)
		b, err := public.MarshalBinary()
		if err != nil {
			panic("handshake: a fresh ML-KEM key does not marshal: " + err.Error())
		}
		key.lattice, share = private, append(share, b...)
	}
	if curve {
		private, err := generateX25519(random)
		if err != nil {
			return nil, nil, err
		}
		key.curve, share = private, append(share, private.PublicKey().Bytes()...)
	}
	return key, share, nil
}

// generateX25519 does not use GenerateKey, which may ignore the reader it is given.
func generateX25519(random io.Reader) (*ecdh.PrivateKey, error) {
	var b [x25519Len]byte
	defer clear(b[:])
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, ErrRandom
	}
	private, err := ecdh.X25519().NewPrivateKey(b[:])
	if err != nil {
		return nil, ErrRandom
	}
	return private, nil
}

// encapsulate answers an initiator's share. It takes 32 bytes of randomness for
// ML-KEM, then 32 for X25519, after the share was checked: its length, ML-KEM's
// modulus check (FIPS 203 section 7.2), and an X25519 secret that is not zero.
func encapsulate(k KEM, share []byte, random io.Reader) (ciphertext, secret []byte, err error) {
	if len(share) != k.shareLen() {
		return nil, nil, ErrKeyShare
	}
	lattice, curve := k.halves()
	if lattice != nil {
		public, err := lattice.UnmarshalBinaryPublicKey(share[:lattice.PublicKeySize()])
		if err != nil {
			return nil, nil, ErrKeyShare
		}
		seed := make([]byte, lattice.EncapsulationSeedSize())
		defer clear(seed)
		if _, err := io.ReadFull(random, seed); err != nil {
			return nil, nil, ErrRandom
		}
		if ciphertext, secret, err = lattice.EncapsulateDeterministically(public, seed); err != nil {
			return nil, nil, ErrKeyShare
		}
		share = share[lattice.PublicKeySize():]
	}
	if curve {
		private, err := generateX25519(random)
		if err != nil {
			return nil, nil, err
		}
		shared, err := agree(private, share)
		if err != nil {
			return nil, nil, err
		}
		ciphertext = append(ciphertext, private.PublicKey().Bytes()...)
		secret = join(secret, shared)
	}
	return ciphertext, secret, nil
}

// decapsulate opens the responder's share. A wrong ML-KEM ciphertext is no error
// here: it gives another secret, and the flight sealed under it does not open.
func (k *kemKey) decapsulate(ciphertext []byte) (secret []byte, err error) {
	if len(ciphertext) != k.kem.ciphertextLen() {
		return nil, ErrKeyShare
	}
	if k.lattice != nil {
		n := k.lattice.Scheme().CiphertextSize()
		if secret, err = k.lattice.Scheme().Decapsulate(k.lattice, ciphertext[:n]); err != nil {
			return nil, ErrKeyShare
		}
		ciphertext = ciphertext[n:]
	}
	if k.curve != nil {
		shared, err := agree(k.curve, ciphertext)
		if err != nil {
			return nil, err
		}
		secret = join(secret, shared)
	}
	return secret, nil
}

// agree is X25519. The standard library refuses the all-zero secret that a point
// of small order gives.
func agree(private *ecdh.PrivateKey, public []byte) ([]byte, error) {
	p, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, ErrKeyShare
	}
	shared, err := private.ECDH(p)
	if err != nil {
		return nil, ErrKeyShare
	}
	return shared, nil
}

// join puts two secrets into one slice and wipes the parts.
func join(a, b []byte) []byte {
	out := make([]byte, 0, len(a)+len(b))
	out = append(append(out, a...), b...)
	clear(a)
	clear(b)
	return out
}

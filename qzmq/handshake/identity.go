package handshake

import (
	"crypto/rand"
	"fmt"
	"log/slog"
)

// Identity is a long-term signing key: who this gateway is. It does not change,
// and any number of handshakes may use it at once. Whatever prints or encodes it
// gets its fingerprint.
type Identity struct {
	alg         Signature
	seed        [seedLen]byte
	public      []byte
	sign        signFunc
	fingerprint Fingerprint
	certificate *Certificate // shown to peers instead of the bare key; nil for none
}

// GenerateIdentity makes a new identity of the default suite's algorithm.
func GenerateIdentity() (*Identity, error) { return GenerateIdentityFor(DefaultSuite().Sig) }

// GenerateIdentityFor makes a new identity of a registered algorithm.
func GenerateIdentityFor(alg Signature) (*Identity, error) {
	var seed [seedLen]byte
	defer clear(seed[:])
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("handshake: generate an identity: %w", err)
	}
	return newIdentity(alg, seed)
}

func newIdentity(alg Signature, seed [seedLen]byte) (*Identity, error) {
	if !alg.Valid() {
		return nil, fmt.Errorf("%w: %v", ErrUnknownSuite, alg)
	}
	public, sign := alg.newKey(seed)
	return &Identity{
		alg: alg, seed: seed, public: public, sign: sign,
		fingerprint: newFingerprint(alg, public),
	}, nil
}

// Fingerprint is the name under which others pin this identity.
func (i *Identity) Fingerprint() Fingerprint { return i.fingerprint }

// Algorithm is what this identity signs with.
func (i *Identity) Algorithm() Signature { return i.alg }

// Format implements [fmt.Formatter] for every verb.
func (i Identity) Format(f fmt.State, _ rune) { fmt.Fprint(f, i.fingerprint.String()) }

// LogValue implements [slog.LogValuer].
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.fingerprint.String()) }

// MarshalText implements [encoding.TextMarshaler], which JSON uses too. The key
// itself is written by MarshalKeyFile only.
func (i Identity) MarshalText() ([]byte, error) { return i.fingerprint.MarshalText() }

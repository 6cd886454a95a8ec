package handshake

import (
	"crypto/sha256"
	"fmt"
)

// Fingerprint names an identity: SHA-256 over the code of its algorithm and its
// public key. All 256 bits are kept, because finding a second key or a collision
// for 128 costs a quantum computer 2^64 or less.
type Fingerprint [32]byte

const fingerprintPrefix = "qz"

func newFingerprint(alg Signature, public []byte) Fingerprint {
	h := sha256.New()
	h.Write([]byte{byte(alg)})
	h.Write(public)
	return Fingerprint(h.Sum(nil))
}

// String gives the text form: "qz1" and 58 characters.
func (f Fingerprint) String() string { return bech32mText(fingerprintPrefix, f[:]) }

// ParseFingerprint reads what String wrote and nothing else: lower case, full
// length, right checksum.
func ParseFingerprint(s string) (Fingerprint, error) {
	b, err := bech32mBytes(fingerprintPrefix, s, len(Fingerprint{}))
	if err != nil {
		// The text is not repeated: a key pasted in the wrong place would be logged.
		return Fingerprint{}, fmt.Errorf("handshake: not a fingerprint (qz1 and 58 characters): %w", err)
	}
	return Fingerprint(b), nil
}

// IsZero says whether f names nobody.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// MarshalText implements [encoding.TextMarshaler].
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; on error f keeps its value.
func (f *Fingerprint) UnmarshalText(b []byte) error {
	parsed, err := ParseFingerprint(string(b))
	if err != nil {
		return err
	}
	*f = parsed
	return nil
}

package handshake

import (
	"fmt"
	"strings"

	"github.com/qzmq/gateway/qzmq/record"
)

// Suite is one choice of algorithms. Sig is the responder's; the initiator's is
// that of its own key, so that either side can change its key alone.
type Suite struct {
	KEM  KEM
	Sig  Signature
	AEAD record.AEAD
	Hash record.Hash
}

// DefaultSuite is x25519+mlkem768/mldsa44/aes256gcm/sha256.
func DefaultSuite() Suite {
	return Suite{X25519MLKEM768, MLDSA44, record.AES256GCM, record.SHA256}
}

// The names of the registry, each at its code point. It is closed: a name or
// code outside of it does not exist.
var (
	kemNames       = [...]string{X25519: "x25519", MLKEM768: "mlkem768", MLKEM1024: "mlkem1024", X25519MLKEM768: "x25519+mlkem768", X25519MLKEM1024: "x25519+mlkem1024"}
	signatureNames = [...]string{Ed25519: "ed25519", MLDSA44: "mldsa44", MLDSA65: "mldsa65", MLDSA87: "mldsa87", Ed25519MLDSA44: "ed25519+mldsa44", Ed25519MLDSA65: "ed25519+mldsa65"}
	aeadNames      = [...]string{1: "aes256gcm", 2: "chacha20poly1305"}
	hashNames      = [...]string{1: "sha256", 2: "sha384", 3: "sha512"}
)

// String gives the name, or the number of a code outside the registry.
func (k KEM) String() string { return name(kemNames[:], "kem", uint8(k)) }

// String gives the name, or the number of a code outside the registry.
func (s Signature) String() string { return name(signatureNames[:], "sig", uint8(s)) }

// String gives "kem/sig/aead/hash".
func (s Suite) String() string {
	return strings.Join([]string{s.KEM.String(), s.Sig.String(),
		name(aeadNames[:], "aead", uint8(s.AEAD)), name(hashNames[:], "hash", uint8(s.Hash))}, "/")
}

func name(names []string, kind string, code uint8) string {
	if code > 0 && int(code) < len(names) {
		return names[code]
	}
	return fmt.Sprintf("%s_%d", kind, code)
}

// code finds a name. Code 0 is never given out, so an unset suite means nothing.
func code(names []string, kind, want string) (uint8, error) {
	for c, n := range names {
		if c > 0 && n == want {
			return uint8(c), nil
		}
	}
	return 0, fmt.Errorf("%w: %s %q", ErrUnknownSuite, kind, want)
}

// ParseSuite reads the four names of a suite. Errors are ErrUnknownSuite and
// ErrSuiteNotBuilt, with the name.
func ParseSuite(kem, sig, aead, hash string) (Suite, error) {
	k, err := code(kemNames[:], "kem", kem)
	if err != nil {
		return Suite{}, err
	}
	s, err := ParseSignature(sig)
	if err != nil {
		return Suite{}, err
	}
	a, err := code(aeadNames[:], "aead", aead)
	if err != nil {
		return Suite{}, err
	}
	h, err := code(hashNames[:], "hash", hash)
	if err != nil {
		return Suite{}, err
	}
	suite := Suite{KEM(k), s, record.AEAD(a), record.Hash(h)}
	return suite, suite.built()
}

// ParseSignature reads the name of a signature algorithm. The error is ErrUnknownSuite,
// with the name.
func ParseSignature(name string) (Signature, error) {
	s, err := code(signatureNames[:], "sig", name)
	return Signature(s), err
}

// built says whether this build can run the suite.
func (s Suite) built() error {
	if !s.KEM.Valid() || !s.Sig.Valid() || !s.AEAD.Valid() || !s.Hash.Valid() {
		return fmt.Errorf("%w: %v", ErrSuiteNotBuilt, s)
	}
	return nil
}

// quantumSafe says whether both the KEM and the responder's signature hold
// against a quantum computer: what pq_only asserts.
func (s Suite) quantumSafe() bool {
	lattice, _ := s.KEM.halves()
	return lattice != nil && s.Sig.quantumSafe()
}

func (s Signature) quantumSafe() bool {
	lattice, _ := s.halves()
	return lattice != nil
}

func (s Suite) append(dst []byte) []byte {
	return append(dst, byte(s.KEM), byte(s.Sig), byte(s.AEAD), byte(s.Hash))
}

// suiteFrom reads suiteLen bytes; the codes may be outside the registry.
func suiteFrom(b []byte) Suite {
	return Suite{KEM(b[0]), Signature(b[1]), record.AEAD(b[2]), record.Hash(b[3])}
}

// Mode is what an operator demands of every suite (2.2).
type Mode uint8

// The modes. Hybrid is the default: it holds as long as either half does.
const (
	ModeHybrid    Mode = iota // a hybrid KEM, and a signature that is or contains ML-DSA
	ModePQOnly                // ML-KEM and ML-DSA, alone or in a hybrid
	ModeClassical             // everything
)

var modeNames = [...]string{"hybrid", "pq-only", "classical"}

// String gives the mode's name in the configuration.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("mode_%d", m)
}

// ParseMode reads a mode's name.
func ParseMode(s string) (Mode, error) {
	for m, n := range modeNames {
		if n == s {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("handshake: mode %q is not hybrid, pq-only or classical", s)
}

// Admits says whether a suite may be used in this mode.
func (m Mode) Admits(s Suite) bool {
	lattice, curve := s.KEM.halves()
	switch m {
	case ModeHybrid:
		return lattice != nil && curve && s.Sig.quantumSafe()
	case ModePQOnly:
		return s.quantumSafe()
	case ModeClassical:
		return true
	}
	return false
}

// admitsKey says whether a peer may sign with this algorithm.
func (m Mode) admitsKey(s Signature) bool { return m == ModeClassical || s.quantumSafe() }

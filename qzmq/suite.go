package qzmq

import (
	"fmt"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// Suite is one choice of algorithms. Both sides must have the same, but for Sign.
type Suite struct {
	KEM  KemAlgorithm
	Sign SignatureAlgorithm // the least that the responder's key is of
	AEAD AeadAlgorithm
	Hash HashAlgorithm
}

// KemAlgorithm is how keys are agreed.
type KemAlgorithm int

// The KEMs. A hybrid holds as long as either half does.
const (
	X25519 KemAlgorithm = iota
	MLKEM768
	MLKEM1024
	HybridX25519MLKEM768
	HybridX25519MLKEM1024
)

// SignatureAlgorithm is what identities sign with.
type SignatureAlgorithm int

// The signatures, the weaker ones first but for the composites, which are as strong as
// the ML-DSA in them and hold if that should fall.
const (
	Ed25519 SignatureAlgorithm = iota
	MLDSA2                     // ML-DSA-44
	MLDSA3                     // ML-DSA-65
	MLDSA87
	Ed25519MLDSA44
	Ed25519MLDSA65

	MLDSA44 = MLDSA2
	MLDSA65 = MLDSA3
)

// AeadAlgorithm is what records are sealed with.
type AeadAlgorithm int

// The AEADs. AES256GCM is the faster one wherever the processor has instructions for it.
const (
	AES256GCM AeadAlgorithm = iota
	ChaCha20Poly1305
)

// HashAlgorithm is what keys are derived with.
type HashAlgorithm int

// The hashes. BLAKE3 is a name of the seed's API that no suite of QZMQ1 has: New
// refuses it.
const (
	SHA256 HashAlgorithm = iota
	SHA384
	SHA512
	BLAKE3
)

// algorithm is the code point and the names of one value of an enumeration.
type algorithm[Code any] struct {
	name string
	code Code
}

var (
	kems = [...]algorithm[handshake.KEM]{
		X25519: {"X25519", handshake.X25519}, MLKEM768: {"MLKEM768", handshake.MLKEM768}, MLKEM1024: {"MLKEM1024", handshake.MLKEM1024},
		HybridX25519MLKEM768: {"HybridX25519MLKEM768", handshake.X25519MLKEM768}, HybridX25519MLKEM1024: {"HybridX25519MLKEM1024", handshake.X25519MLKEM1024},
	}
	signatures = [...]algorithm[handshake.Signature]{
		Ed25519: {"Ed25519", handshake.Ed25519}, MLDSA2: {"MLDSA2", handshake.MLDSA44}, MLDSA3: {"MLDSA3", handshake.MLDSA65},
		MLDSA87: {"MLDSA87", handshake.MLDSA87}, Ed25519MLDSA44: {"Ed25519MLDSA44", handshake.Ed25519MLDSA44}, Ed25519MLDSA65: {"Ed25519MLDSA65", handshake.Ed25519MLDSA65},
	}
	aeads  = [...]algorithm[record.AEAD]{AES256GCM: {"AES256GCM", record.AES256GCM}, ChaCha20Poly1305: {"ChaCha20Poly1305", record.ChaCha20Poly1305}}
	hashes = [...]algorithm[record.Hash]{SHA256: {"SHA256", record.SHA256}, SHA384: {"SHA384", record.SHA384}, SHA512: {"SHA512", record.SHA512}, BLAKE3: {"BLAKE3", 0}}
)

// strength orders signatures by what they hold against, NIST's levels 2, 3 and 5.
var strength = [...]int{Ed25519: 0, MLDSA44: 2, Ed25519MLDSA44: 2, MLDSA65: 3, Ed25519MLDSA65: 3, MLDSA87: 5}

// String gives the constant's name.
func (k KemAlgorithm) String() string { return nameOf(kems[:], int(k)) }

// String gives the constant's name.
func (s SignatureAlgorithm) String() string { return nameOf(signatures[:], int(s)) }

// String gives the constant's name.
func (a AeadAlgorithm) String() string { return nameOf(aeads[:], int(a)) }

// String gives the constant's name.
func (h HashAlgorithm) String() string { return nameOf(hashes[:], int(h)) }

// String gives the names of the registry, as in configuration files.
func (s Suite) String() string {
	if code, err := s.code(); err == nil {
		return code.String()
	}
	return fmt.Sprintf("%v/%v/%v/%v", s.KEM, s.Sign, s.AEAD, s.Hash)
}

func nameOf[Code any](all []algorithm[Code], i int) string {
	if i < 0 || i >= len(all) {
		return fmt.Sprintf("unknown(%d)", i)
	}
	return all[i].name
}

// code gives the suite as the protocol has it, or says which of it does not exist.
func (s Suite) code() (code handshake.Suite, err error) {
	in := func(part string, i, n int) {
		if err == nil && (i < 0 || i >= n) {
			err = fmt.Errorf("%w: Suite.%s is %d, which is no algorithm", ErrInvalidOptions, part, i)
		}
	}
	in("KEM", int(s.KEM), len(kems))
	in("Sign", int(s.Sign), len(signatures))
	in("AEAD", int(s.AEAD), len(aeads))
	in("Hash", int(s.Hash), len(hashes))
	if err != nil {
		return code, err
	}
	if hashes[s.Hash].code == 0 {
		return code, fmt.Errorf("%w: Suite.Hash is %v, which QZMQ1 does not have: SHA256, SHA384 or SHA512", ErrInvalidOptions, s.Hash)
	}
	return handshake.Suite{KEM: kems[s.KEM].code, Sig: signatures[s.Sign].code, AEAD: aeads[s.AEAD].code, Hash: hashes[s.Hash].code}, nil
}

// offered are the suites to call with: those that differ in the responder's key, if it
// is not weaker than asked for.
func (s Suite) offered(mode handshake.Mode) ([]handshake.Suite, error) {
	first, err := s.code()
	if err != nil {
		return nil, err
	}
	if !mode.Admits(first) {
		return nil, fmt.Errorf("%w: mode %v does not admit the suite %v", ErrInvalidOptions, mode, first)
	}
	suites := []handshake.Suite{first}
	for i, other := range signatures {
		next := first
		next.Sig = other.code
		if next != first && strength[i] >= strength[s.Sign] && mode.Admits(next) {
			suites = append(suites, next)
		}
	}
	return suites, nil
}

// served is the suite to be called with: that of our own key.
func (s Suite) served(mode handshake.Mode, own handshake.Signature) ([]handshake.Suite, error) {
	offered, err := s.offered(mode)
	for _, suite := range offered {
		if suite.Sig == own {
			return []handshake.Suite{suite}, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: the identity's key is %v, which Suite.Sign %v and mode %v do not admit", ErrInvalidOptions, own, s.Sign, mode)
	}
	return nil, err
}

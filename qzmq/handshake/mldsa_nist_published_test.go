package handshake

import (
	"bytes"
	"slices"
	"testing"
	_ "unsafe" // for go:linkname

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"

	"github.com/qzmq/gateway/tools/vectors"
)

// NIST's answers for signing and verifying are for the functions inside of ML-DSA
// (FIPS 204 sections 6.2 and 6.3), which take a message without framing it. circl
// has them, but exports only those that put 0, the context's length and the
// context before the message. So they are reached by their names, and
// TestMLDSAFraming shows that what our algorithms call is these with our framing.

//go:linkname signInternal44 github.com/cloudflare/circl/sign/mldsa/mldsa44.(*PrivateKey).unsafeSignInternal
func signInternal44(*mldsa44.PrivateKey, []byte, [32]byte) []byte

//go:linkname signInternal65 github.com/cloudflare/circl/sign/mldsa/mldsa65.(*PrivateKey).unsafeSignInternal
func signInternal65(*mldsa65.PrivateKey, []byte, [32]byte) []byte

//go:linkname signInternal87 github.com/cloudflare/circl/sign/mldsa/mldsa87.(*PrivateKey).unsafeSignInternal
func signInternal87(*mldsa87.PrivateKey, []byte, [32]byte) []byte

//go:linkname verifyInternal44 github.com/cloudflare/circl/sign/mldsa/mldsa44.unsafeVerifyInternal
func verifyInternal44(pk *mldsa44.PublicKey, message, signature []byte) bool

//go:linkname verifyInternal65 github.com/cloudflare/circl/sign/mldsa/mldsa65.unsafeVerifyInternal
func verifyInternal65(pk *mldsa65.PublicKey, message, signature []byte) bool

//go:linkname verifyInternal87 github.com/cloudflare/circl/sign/mldsa/mldsa87.unsafeVerifyInternal
func verifyInternal87(pk *mldsa87.PublicKey, message, signature []byte) bool

func signInternal(t *testing.T, alg Signature, private, message []byte, random [32]byte) []byte {
	t.Helper()
	scheme, _ := alg.halves()
	key, err := scheme.UnmarshalBinaryPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	switch k := key.(type) {
	case *mldsa44.PrivateKey:
		return signInternal44(k, message, random)
	case *mldsa65.PrivateKey:
		return signInternal65(k, message, random)
	}
	return signInternal87(key.(*mldsa87.PrivateKey), message, random)
}

func verifyInternal(t *testing.T, alg Signature, public, message, signature []byte) bool {
	t.Helper()
	scheme, _ := alg.halves()
	key, err := scheme.UnmarshalBinaryPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	switch k := key.(type) {
	case *mldsa44.PublicKey:
		return verifyInternal44(k, message, signature)
	case *mldsa65.PublicKey:
		return verifyInternal65(k, message, signature)
	}
	return verifyInternal87(key.(*mldsa87.PublicKey), message, signature)
}

// mldsaNamed gives the algorithm of a parameter set.
func mldsaNamed(t *testing.T, name string) Signature {
	t.Helper()
	for _, set := range mldsaSets {
		if set.name == name {
			return set.alg
		}
	}
	t.Fatalf("%q is not in the registry", name)
	return 0
}

func TestNISTMLDSASign(t *testing.T) {
	const folder = "sign/mldsa/testdata/ML-DSA-sigGen-FIPS204"
	tally := vectors.NewTally(t, folder)
	groups, answers := vectors.NIST[struct {
		ParameterSet string
		Tests        []struct {
			ID      int         `json:"tcId"`
			SK      vectors.Hex `json:"sk"`
			Message vectors.Hex
			Rnd     vectors.Hex // absent where signing is deterministic
		}
	}, struct{ Signature vectors.Hex }](t, folder)
	for _, g := range groups {
		alg := mldsaNamed(t, g.ParameterSet)
		for _, v := range g.Tests {
			tally.Ran()
			var random [32]byte
			copy(random[:], v.Rnd)
			if got := signInternal(t, alg, v.SK, v.Message, random); !bytes.Equal(got, answers[v.ID].Signature) {
				t.Errorf("case %d: another signature", v.ID)
			}
		}
	}
	tally.Done(60, vectors.Skips{})
}

func TestNISTMLDSAVerify(t *testing.T) {
	const folder = "sign/mldsa/testdata/ML-DSA-sigVer-FIPS204"
	tally := vectors.NewTally(t, folder)
	groups, answers := vectors.NIST[struct {
		ParameterSet string
		PK           vectors.Hex
		Tests        []struct {
			ID                 int `json:"tcId"`
			Message, Signature vectors.Hex
		}
	}, struct{ TestPassed *bool }](t, folder)
	for _, g := range groups {
		alg := mldsaNamed(t, g.ParameterSet)
		for _, v := range g.Tests {
			tally.Ran()
			want := answers[v.ID].TestPassed
			if want == nil || verifyInternal(t, alg, g.PK, v.Message, v.Signature) != *want {
				t.Errorf("case %d: NIST says otherwise", v.ID)
			}
		}
	}
	tally.Done(45, vectors.Skips{})
}

func TestMLDSAFraming(t *testing.T) {
	message := []byte("what an identity signs")
	framed := slices.Concat([]byte{0, 5}, []byte("QZMQ1"), message)
	for _, set := range mldsaSets {
		seed := [seedLen]byte{0: byte(set.alg), 31: 1}
		public, signer := set.alg.newKey(seed)
		scheme, _ := set.alg.halves()
		_, key := scheme.DeriveKey(seed[:])
		private, err := key.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		internal := signInternal(t, set.alg, private, framed, [32]byte{})
		ours, err := signer(message, false)
		if err != nil || !bytes.Equal(ours, internal) {
			t.Errorf("%v: our deterministic signature is not that of the framed message, %v", set.alg, err)
		}
		if hedged := signInternal(t, set.alg, private, framed, [32]byte{1}); !set.alg.verify(public, message, hedged) {
			t.Errorf("%v: we refuse a hedged signature of the framed message", set.alg)
		}
		if bare := signInternal(t, set.alg, private, message, [32]byte{}); set.alg.verify(public, message, bare) {
			t.Errorf("%v: we accept a signature of the bare message", set.alg)
		}
	}
}

package handshake

import (
	"bytes"
	"slices"
	"testing"

	"github.com/cloudflare/circl/sign"

	"github.com/qzmq/gateway/tools/vectors"
)

// mldsaSets are the parameter sets of the registry and how many of Wycheproof's
// vectors run for each.
var mldsaSets = []struct {
	name           string // NIST's
	number         string // Wycheproof's
	alg            Signature
	verify, expand int
	seeds          int
	skipMu         int // of the vectors with seeds
	skipMuExpanded int
}{
	{"ML-DSA-44", "44", MLDSA44, 180, 63, 74, 8, 7},
	{"ML-DSA-65", "65", MLDSA65, 210, 65, 84, 17, 10},
	{"ML-DSA-87", "87", MLDSA87, 241, 56, 75, 17, 10},
}

const (
	skipMu         = "the message is given as its hash mu, which nothing of ours takes"
	skipRandomized = "the signer's randomness is given, and ours is never the caller's"
	skipSeedLength = "our seeds have 32 bytes by their type"
	skipRange      = "circl signs with an expanded private key that is out of range, and ours come from seeds only"
)

func TestPublishedEd25519(t *testing.T) {
	const file = "ed25519_test"
	tally := vectors.NewTally(t, file)
	for _, g := range vectors.Wycheproof[struct {
		PublicKey struct{ PK vectors.Hex }
		Tests     []struct {
			vectors.Case
			Msg, Sig vectors.Hex
		}
	}](t, file) {
		for _, v := range g.Tests {
			tally.Ran()
			if Ed25519.verify(g.PublicKey.PK, v.Msg, v.Sig) != v.Valid() {
				t.Errorf("%v is %s, and we say otherwise", &v.Case, v.Result)
			}
		}
	}
	tally.Done(151, vectors.Skips{})
}

// verifyIn is Signature.verify for ML-DSA with the context of a vector in the
// place of ours.
func verifyIn(s Signature, public, message, signature, context []byte) bool {
	scheme, _ := s.halves()
	if len(public) != s.publicLen() || len(signature) != s.signatureLen() {
		return false
	}
	key, err := scheme.UnmarshalBinaryPublicKey(public)
	return err == nil && scheme.Verify(key, message, signature, &sign.SignatureOpts{Context: string(context)})
}

// TestPublishedMLDSAVerify runs every vector twice. The scheme behind our
// algorithm must judge it right under the vector's context; and none of them has
// our context, so that our own verify must refuse even what is valid.
func TestPublishedMLDSAVerify(t *testing.T) {
	for _, set := range mldsaSets {
		file := "mldsa_" + set.number + "_verify_test"
		t.Run(file, func(t *testing.T) {
			tally := vectors.NewTally(t, file)
			for _, g := range vectors.Wycheproof[struct {
				PublicKey vectors.Hex
				Tests     []struct {
					vectors.Case
					Msg, Sig, Ctx vectors.Hex
				}
			}](t, file) {
				for _, v := range g.Tests {
					tally.Ran()
					if verifyIn(set.alg, g.PublicKey, v.Msg, v.Sig, v.Ctx) != v.Valid() {
						t.Errorf("%v is %s, and the scheme says otherwise", &v.Case, v.Result)
					}
					if set.alg.verify(g.PublicKey, v.Msg, v.Sig) {
						t.Errorf("%v is not under our context, and we accept it", &v.Case)
					}
				}
			}
			tally.Done(set.verify, vectors.Skips{})
		})
	}
}

type signVector struct {
	vectors.Case
	Msg      *vectors.Hex // nil when only mu is given
	Rnd      *vectors.Hex
	Sig, Ctx vectors.Hex
}

// runs says whether a vector of signing can run, and counts it.
func (v *signVector) runs(tally *vectors.Tally) bool {
	switch {
	case v.Msg == nil:
		tally.Skip(skipMu)
	case v.Rnd != nil:
		tally.Skip(skipRandomized)
	case slices.Contains(v.Flags, "InvalidPrivateKey"):
		tally.Skip(skipRange)
	default:
		tally.Ran()
		return true
	}
	return false
}

// check holds the scheme's deterministic signature against the vector's.
func (v *signVector) check(t *testing.T, scheme sign.Scheme, private sign.PrivateKey) {
	t.Helper()
	signature, refused := signIn(scheme, private, *v.Msg, v.Ctx)
	if refused == v.Valid() || !bytes.Equal(signature, v.Sig) {
		t.Errorf("%v is %s: refused %v, %x", &v.Case, v.Result, refused, signature)
	}
}

// signIn signs under a context. circl panics at one of more than 255 bytes.
func signIn(scheme sign.Scheme, private sign.PrivateKey, message, context []byte) (signature []byte, refused bool) {
	defer func() { refused = recover() != nil }()
	return scheme.Sign(private, message, &sign.SignatureOpts{Context: string(context)}), false
}

// TestPublishedMLDSASeeds makes keys as identities do. Each must have the
// vector's public key and sign as it says; and what our own signer makes must
// verify under our context and no other.
func TestPublishedMLDSASeeds(t *testing.T) {
	for _, set := range mldsaSets {
		file := "mldsa_" + set.number + "_sign_seed_test"
		t.Run(file, func(t *testing.T) {
			tally := vectors.NewTally(t, file)
			for _, g := range vectors.Wycheproof[struct {
				PrivateSeed, PublicKey vectors.Hex
				Tests                  []signVector
			}](t, file) {
				for _, v := range g.Tests {
					if len(g.PrivateSeed) != seedLen {
						tally.Skip(skipSeedLength)
						continue
					}
					public, signer := set.alg.newKey([seedLen]byte(g.PrivateSeed))
					if !bytes.Equal(public, g.PublicKey) {
						t.Errorf("%v: another public key", &v.Case)
					}
					if !v.runs(tally) {
						continue
					}
					scheme, _ := set.alg.halves()
					_, private := scheme.DeriveKey(g.PrivateSeed)
					v.check(t, scheme, private)
					for _, hedged := range []bool{false, true} {
						ours, err := signer(*v.Msg, hedged)
						if err != nil || !set.alg.verify(public, *v.Msg, ours) || verifyIn(set.alg, public, *v.Msg, ours, v.Ctx) {
							t.Errorf("%v, hedged %v: our signature, %v", &v.Case, hedged, err)
						}
					}
				}
			}
			tally.Done(set.seeds, vectors.Skips{skipMu: set.skipMu, skipRandomized: 1, skipSeedLength: 3})
		})
	}
}

// TestPublishedMLDSAExpanded signs with keys in their expanded form, which none
// of ours ever has outside of memory, for the rejection paths they are chosen for.
func TestPublishedMLDSAExpanded(t *testing.T) {
	for _, set := range mldsaSets {
		file := "mldsa_" + set.number + "_sign_noseed_test"
		t.Run(file, func(t *testing.T) {
			tally := vectors.NewTally(t, file)
			scheme, _ := set.alg.halves()
			for _, g := range vectors.Wycheproof[struct {
				PrivateKey vectors.Hex
				Tests      []signVector
			}](t, file) {
				private, err := scheme.UnmarshalBinaryPrivateKey(g.PrivateKey)
				for _, v := range g.Tests {
					if !v.runs(tally) {
						continue
					}
					if err != nil {
						if v.Valid() {
							t.Errorf("%v: %v", &v.Case, err)
						}
						continue
					}
					v.check(t, scheme, private)
				}
			}
			tally.Done(set.expand, vectors.Skips{skipMu: set.skipMuExpanded, skipRandomized: 1, skipRange: 2})
		})
	}
}

func TestNISTMLDSAKeys(t *testing.T) {
	const folder = "sign/mldsa/testdata/ML-DSA-keyGen-FIPS204"
	tally := vectors.NewTally(t, folder)
	groups, answers := vectors.NIST[struct {
		ParameterSet string
		Tests        []struct {
			ID   int `json:"tcId"`
			Seed vectors.Hex
		}
	}, struct{ PK, SK vectors.Hex }](t, folder)
	for _, g := range groups {
		for _, set := range mldsaSets {
			if set.name != g.ParameterSet {
				continue
			}
			scheme, _ := set.alg.halves()
			for _, v := range g.Tests {
				tally.Ran()
				public, _ := set.alg.newKey([seedLen]byte(v.Seed))
				_, private := scheme.DeriveKey(v.Seed)
				expanded, err := private.MarshalBinary()
				want := answers[v.ID]
				if err != nil || !bytes.Equal(public, want.PK) || !bytes.Equal(expanded, want.SK) {
					t.Errorf("case %d: another key, %v", v.ID, err)
				}
			}
		}
	}
	tally.Done(75, vectors.Skips{})
}

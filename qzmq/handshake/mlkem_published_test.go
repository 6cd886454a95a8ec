package handshake

import (
	"bytes"
	"slices"
	"testing"

	"github.com/cloudflare/circl/kem"

	"github.com/qzmq/gateway/tools/vectors"
)

// mlkemSets are the parameter sets of the registry, alone and in their hybrid,
// and how many of Wycheproof's vectors there are for each.
var mlkemSets = []struct {
	name                            string // NIST's
	number                          string // Wycheproof's
	kem, hybrid                     KEM
	decaps, encaps, keygen, semiKey int
}{
	{"ML-KEM-768", "768", MLKEM768, X25519MLKEM768, 191, 265, 100, 9},
	{"ML-KEM-1024", "1024", MLKEM1024, X25519MLKEM1024, 192, 269, 100, 9},
}

const (
	skipSet        = "a parameter set outside the registry"
	skipLongSeed   = "we take as many bytes of randomness as a seed has, so it is never too long"
	mlkemSeedLen   = 64
	nistMLKEMCases = "kem/mlkem/testdata/ML-KEM-encapDecap-FIPS203"
	nistMLKEMKeys  = "kem/mlkem/testdata/ML-KEM-keyGen-FIPS203"
)

// keyOf holds a vector's decapsulation key as if generateKEM had made it. It is
// false when the key is refused.
func keyOf(k KEM, dk []byte) (*kemKey, bool) {
	scheme, _ := k.halves()
	private, err := scheme.UnmarshalBinaryPrivateKey(dk)
	return &kemKey{kem: k, lattice: private}, err == nil
}

func expanded(t *testing.T, private kem.PrivateKey) []byte {
	t.Helper()
	b, err := private.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkEncapsulation is for the KEM alone and, when the vector is valid, for its
// hybrid: there the vector's bytes stand first and the X25519 half follows.
func checkEncapsulation(t *testing.T, name any, alone, hybrid KEM, ek, m, c, secret []byte, valid bool) {
	t.Helper()
	gotC, got, err := encapsulate(alone, ek, bytes.NewReader(m))
	if !valid {
		if err != ErrKeyShare {
			t.Errorf("%v: an invalid key gives %v", name, err)
		}
		return
	}
	if err != nil || !bytes.Equal(gotC, c) || !bytes.Equal(got, secret) {
		t.Errorf("%v: %x, %x, %v", name, gotC, got, err)
	}
	responder := bytes.Repeat([]byte{7}, x25519Len)
	initiator, point, err := generateKEM(X25519, bytes.NewReader(bytes.Repeat([]byte{9}, x25519Len)))
	if err != nil {
		t.Fatal(err)
	}
	gotC, got, err = encapsulate(hybrid, slices.Concat(ek, point), bytes.NewReader(slices.Concat(m, responder)))
	if err != nil || len(gotC) != len(c)+x25519Len || !bytes.Equal(gotC[:len(c)], c) {
		t.Fatalf("%v in the hybrid: %x, %v", name, gotC, err)
	}
	curve, err := initiator.decapsulate(gotC[len(c):])
	if err != nil || !bytes.Equal(got, slices.Concat(secret, curve)) {
		t.Errorf("%v in the hybrid: %x, %v", name, got, err)
	}
}

func TestPublishedMLKEM(t *testing.T) {
	for _, set := range mlkemSets {
		t.Run("decapsulation "+set.number, func(t *testing.T) {
			file := "mlkem_" + set.number + "_test"
			tally := vectors.NewTally(t, file)
			for _, g := range vectors.Wycheproof[struct {
				Tests []struct {
					vectors.Case
					Seed, EK, C, K vectors.Hex
				}
			}](t, file) {
				for _, v := range g.Tests {
					if len(v.Seed) > mlkemSeedLen {
						tally.Skip(skipLongSeed)
						continue
					}
					tally.Ran()
					key, ek, err := generateKEM(set.kem, bytes.NewReader(v.Seed))
					if len(v.Seed) < mlkemSeedLen {
						if err != ErrRandom || v.Valid() {
							t.Errorf("%v: a short seed gives %v", &v.Case, err)
						}
						continue
					}
					if err != nil || len(v.EK) > 0 && !bytes.Equal(ek, v.EK) {
						t.Errorf("%v: key %x, %v", &v.Case, ek, err)
						continue
					}
					secret, err := key.decapsulate(v.C)
					if !v.Valid() && err == ErrKeyShare {
						continue
					}
					if !v.Valid() || err != nil || !bytes.Equal(secret, v.K) {
						t.Errorf("%v: %x, %v", &v.Case, secret, err)
					}
				}
			}
			tally.Done(set.decaps, vectors.Skips{skipLongSeed: 10})
		})
		t.Run("encapsulation "+set.number, func(t *testing.T) {
			file := "mlkem_" + set.number + "_encaps_test"
			tally := vectors.NewTally(t, file)
			for _, g := range vectors.Wycheproof[struct {
				Tests []struct {
					vectors.Case
					M, EK, C, K vectors.Hex
				}
			}](t, file) {
				for _, v := range g.Tests {
					tally.Ran()
					checkEncapsulation(t, &v.Case, set.kem, set.hybrid, v.EK, v.M, v.C, v.K, v.Valid())
				}
			}
			tally.Done(set.encaps, vectors.Skips{})
		})
		t.Run("keys "+set.number, func(t *testing.T) {
			file := "mlkem_" + set.number + "_keygen_seed_test"
			tally := vectors.NewTally(t, file)
			for _, g := range vectors.Wycheproof[struct {
				Tests []struct {
					vectors.Case
					Seed, EK, DK vectors.Hex
				}
			}](t, file) {
				for _, v := range g.Tests {
					tally.Ran()
					key, ek, err := generateKEM(set.kem, bytes.NewReader(v.Seed))
					if err != nil || !bytes.Equal(ek, v.EK) || !bytes.Equal(expanded(t, key.lattice), v.DK) {
						t.Errorf("%v: %x, %v", &v.Case, ek, err)
					}
				}
			}
			tally.Done(set.keygen, vectors.Skips{})
		})
		t.Run("expanded keys "+set.number, func(t *testing.T) {
			file := "mlkem_" + set.number + "_semi_expanded_decaps_test"
			tally := vectors.NewTally(t, file)
			for _, g := range vectors.Wycheproof[struct {
				Tests []struct {
					vectors.Case
					DK, C, K vectors.Hex
				}
			}](t, file) {
				for _, v := range g.Tests {
					tally.Ran()
					var secret []byte
					key, ok := keyOf(set.kem, v.DK)
					if ok {
						var err error
						secret, err = key.decapsulate(v.C)
						ok = err == nil
					}
					if ok != v.Valid() || ok && !bytes.Equal(secret, v.K) {
						t.Errorf("%v: %v, %x", &v.Case, ok, secret)
					}
				}
			}
			tally.Done(set.semiKey, vectors.Skips{})
		})
	}
}

func TestNISTMLKEM(t *testing.T) {
	t.Run("keys", func(t *testing.T) {
		tally := vectors.NewTally(t, nistMLKEMKeys)
		groups, answers := vectors.NIST[struct {
			ParameterSet string
			Tests        []struct {
				ID   int `json:"tcId"`
				D, Z vectors.Hex
			}
		}, struct{ EK, DK vectors.Hex }](t, nistMLKEMKeys)
		for _, g := range groups {
			k, _ := registered(g.ParameterSet)
			for _, v := range g.Tests {
				if k == 0 {
					tally.Skip(skipSet)
					continue
				}
				tally.Ran()
				key, ek, err := generateKEM(k, bytes.NewReader(slices.Concat(v.D, v.Z)))
				want := answers[v.ID]
				if err != nil || !bytes.Equal(ek, want.EK) || !bytes.Equal(expanded(t, key.lattice), want.DK) {
					t.Errorf("case %d: %x, %v", v.ID, ek, err)
				}
			}
		}
		tally.Done(50, vectors.Skips{skipSet: 25})
	})
	t.Run("secrets", func(t *testing.T) {
		tally := vectors.NewTally(t, nistMLKEMCases)
		groups, answers := vectors.NIST[struct {
			ParameterSet, Function string
			DK                     vectors.Hex
			Tests                  []struct {
				ID       int `json:"tcId"`
				EK, M, C vectors.Hex
			}
		}, struct{ C, K vectors.Hex }](t, nistMLKEMCases)
		for _, g := range groups {
			alone, hybrid := registered(g.ParameterSet)
			for _, v := range g.Tests {
				want, known := answers[v.ID]
				switch {
				case alone == 0:
					tally.Skip(skipSet)
				case g.Function == "encapsulation":
					tally.Ran()
					checkEncapsulation(t, v.ID, alone, hybrid, v.EK, v.M, want.C, want.K, known)
				case g.Function == "decapsulation":
					tally.Ran()
					key, ok := keyOf(alone, g.DK)
					if !ok {
						t.Fatalf("case %d: the key is refused", v.ID)
					}
					if secret, err := key.decapsulate(v.C); err != nil || !bytes.Equal(secret, want.K) {
						t.Errorf("case %d: %x, %v", v.ID, secret, err)
					}
				default:
					t.Errorf("case %d is for %q", v.ID, g.Function)
				}
			}
		}
		tally.Done(70, vectors.Skips{skipSet: 35})
	})
}

// registered gives the KEM of a parameter set, and its hybrid; 0 for none.
func registered(name string) (alone, hybrid KEM) {
	for _, set := range mlkemSets {
		if set.name == name {
			return set.kem, set.hybrid
		}
	}
	return 0, 0
}

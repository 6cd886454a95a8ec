package record

import (
	"bytes"
	"crypto/hkdf"
	"testing"

	"github.com/qzmq/gateway/tools/vectors"
)

// Wycheproof's vectors for HMAC and HKDF, which are written out in this package.

func TestPublishedMAC(t *testing.T) {
	for _, c := range []struct {
		file string
		hash Hash
	}{
		{"hmac_sha256_test", SHA256},
		{"hmac_sha384_test", SHA384},
		{"hmac_sha512_test", SHA512},
	} {
		t.Run(c.file, func(t *testing.T) {
			tally := vectors.NewTally(t, c.file)
			for _, g := range vectors.Wycheproof[struct {
				TagSize int // in bits
				Tests   []struct {
					vectors.Case
					Key, Msg, Tag vectors.Hex
				}
			}](t, c.file) {
				for _, v := range g.Tests {
					tally.Ran()
					mac := MAC(c.hash, v.Key, v.Msg)
					// Half of the vectors have their tags cut to half.
					if same := bytes.Equal(mac[:g.TagSize/8], v.Tag); len(mac) != c.hash.Size() || same != v.Valid() {
						t.Errorf("%v: %x, the vector has %x", &v.Case, mac, v.Tag)
					}
				}
			}
			tally.Done(174, vectors.Skips{})
		})
	}
}

// expand is HKDF-Expand (RFC 5869 section 2.3) over our MAC. ExpandLabel is the
// same with an info that has our prefix, which no published vector has.
func expand(h Hash, secret, info []byte, n int) (out []byte) {
	var before []byte
	for round := byte(1); len(out) < n; round++ {
		before = MAC(h, secret, append(append(bytes.Clone(before), info...), round))
		out = append(out, before...)
	}
	return out[:n]
}

func TestPublishedHKDF(t *testing.T) {
	for _, c := range []struct {
		file string
		hash Hash
		ran  int
	}{
		{"hkdf_sha256_test", SHA256, 86},
		{"hkdf_sha384_test", SHA384, 83},
		{"hkdf_sha512_test", SHA512, 83},
	} {
		t.Run(c.file, func(t *testing.T) {
			tally := vectors.NewTally(t, c.file)
			for _, g := range vectors.Wycheproof[struct {
				Tests []struct {
					vectors.Case
					IKM, Salt, Info, OKM vectors.Hex
					Size                 int
				}
			}](t, c.file) {
				for _, v := range g.Tests {
					tally.Ran()
					secret := MAC(c.hash, v.Salt, v.IKM) // HKDF-Extract
					var labelled []byte
					if refused := panics(func() { labelled = ExpandLabel(c.hash, secret, "label", v.Info, v.Size) }); refused == v.Valid() {
						t.Errorf("%v is %s, and we say otherwise", &v.Case, v.Result)
					}
					if !v.Valid() {
						continue // too long: nothing could be right
					}
					if out := expand(c.hash, secret, v.Info, v.Size); !bytes.Equal(out, v.OKM) {
						t.Errorf("%v: %x", &v.Case, out)
					}
					// What ExpandLabel adds to the vector is only its info: Go's own
					// HKDF, from the vector's key on, gives the same.
					info := append([]byte{byte(v.Size >> 8), byte(v.Size), 11}, "qzmq1 label"...)
					info = append(append(info, byte(len(v.Info))), v.Info...)
					want, err := hkdf.Key(c.hash.New, v.IKM, v.Salt, string(info), v.Size)
					if err != nil || !bytes.Equal(labelled, want) {
						t.Errorf("%v, with our label: %x, want %x, %v", &v.Case, labelled, want, err)
					}
				}
			}
			tally.Done(c.ran, vectors.Skips{})
		})
	}
}

// panics says whether f does.
func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

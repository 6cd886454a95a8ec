package record

import (
	"bytes"
	"slices"
	"testing"

	"github.com/qzmq/gateway/tools/vectors"
)

// Wycheproof's vectors for the ciphers of the registry, through the only door
// that this package has to them.

const (
	skipKeySize   = "our AES-GCM has keys of 256 bits only"
	skipNonceSize = "our nonces have 96 bits only"
)

type aeadGroup struct {
	KeySize int `json:"keySize"` // in bits, as the others
	IVSize  int `json:"ivSize"`
	TagSize int `json:"tagSize"`
	Tests   []struct {
		vectors.Case
		Key, IV, AAD, Msg, CT, Tag vectors.Hex
	}
}

func TestPublishedCiphers(t *testing.T) {
	for _, c := range []struct {
		file string
		aead AEAD
		ran  int
		skip vectors.Skips
	}{
		{"aes_gcm_test", AES256GCM, 66, vectors.Skips{skipKeySize: 211, skipNonceSize: 39}},
		{"chacha20_poly1305_test", ChaCha20Poly1305, 316, vectors.Skips{skipNonceSize: 9}},
	} {
		t.Run(c.file, func(t *testing.T) {
			tally := vectors.NewTally(t, c.file)
			for _, g := range vectors.Wycheproof[aeadGroup](t, c.file) {
				if g.TagSize != 8*TagLen {
					t.Errorf("a group has tags of %d bits", g.TagSize)
				}
				for _, v := range g.Tests {
					switch {
					case g.KeySize != 8*keyLen:
						tally.Skip(skipKeySize)
					case g.IVSize != 8*nonceLen:
						tally.Skip(skipNonceSize)
					default:
						tally.Ran()
						checkCipher(t, c.aead, &v.Case, v.Key, v.IV, v.AAD, v.Msg, slices.Concat(v.CT, v.Tag))
					}
				}
			}
			tally.Done(c.ran, c.skip)
		})
	}
}

func checkCipher(t *testing.T, a AEAD, v *vectors.Case, key, iv, aad, plaintext, sealed []byte) {
	t.Helper()
	c := a.new(key)
	if c.Overhead() != TagLen || c.NonceSize() != nonceLen {
		t.Fatalf("%v: tags of %d bytes, nonces of %d", v, c.Overhead(), c.NonceSize())
	}
	// At stream 0 and seq 0 a record's nonce is the iv.
	var nonce [nonceLen]byte
	putNonce(&nonce, (*[nonceLen]byte)(iv), 0, 0)
	opened, err := c.Open(nil, nonce[:], sealed, aad)
	if !v.Valid() {
		if err == nil {
			t.Errorf("%v opens, though it is invalid", v)
		}
		return
	}
	if err != nil || !bytes.Equal(opened, plaintext) {
		t.Errorf("%v opens to %x, %v", v, opened, err)
	}
	if got := c.Seal(nil, nonce[:], plaintext, aad); !bytes.Equal(got, sealed) {
		t.Errorf("%v seals to %x, want %x", v, got, sealed)
	}
}

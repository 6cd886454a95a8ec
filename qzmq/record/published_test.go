package record

import (
	"bytes"
	"slices"
	"testing"

	"github.com/qzmq/gateway/tools/vectors"
)

// Wycheproof's vectors for the ciphers of the registry, through every provider.

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
						for _, p := range providers(t) {
							checkCipher(t, p, c.aead, &v.Case, v.Key, v.IV, v.AAD, v.Msg, slices.Concat(v.CT, v.Tag))
						}
					}
				}
			}
			tally.Done(c.ran, c.skip)
		})
	}
}

func checkCipher(t *testing.T, p provider, a AEAD, v *vectors.Case, key, iv, aad, plaintext, sealed []byte) {
	t.Helper()
	c := p.cipher(a, key)
	if c.Overhead() != TagLen || c.NonceSize() != nonceLen {
		t.Fatalf("%v: tags of %d bytes, nonces of %d", v, c.Overhead(), c.NonceSize())
	}
	// At stream 0 and seq 0 a record's nonce is the iv.
	var nonce [nonceLen]byte
	putNonce(&nonce, (*[nonceLen]byte)(iv), 0, 0)
	opened, err := c.Open(nil, nonce[:], sealed, aad)
	if err == nil != v.Valid() || v.Valid() && !bytes.Equal(opened, plaintext) {
		t.Errorf("%s: %v opens to %x, %v", p.name, v, opened, err)
	}
	if v.Valid() {
		if got := c.Seal(nil, nonce[:], plaintext, aad); !bytes.Equal(got, sealed) {
			t.Errorf("%s: %v seals to %x, want %x", p.name, v, got, sealed)
		}
	}
}

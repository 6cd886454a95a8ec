//go:build nullcipher

package record

import (
	"crypto/cipher"
	"fmt"
	"os"
)

// This file is in builds with the tag nullcipher only, which perf/ makes to see
// what the path costs without its cipher. Nothing in a configuration, an
// environment or a handshake leads here.

// inForce replaces the cipher by a copy, and says so for every single key.
func inForce(c cipher.AEAD) cipher.AEAD {
	fmt.Fprintln(os.Stderr, "NULL CIPHER: nothing is protected. This build is for measurements only.")
	return null{}
}

// null is an AEAD in its form only.
type null struct{}

func (null) NonceSize() int { return nonceLen }
func (null) Overhead() int  { return TagLen }

func (null) Seal(dst, _, plaintext, _ []byte) []byte {
	dst = append(dst, plaintext...)
	return append(dst, make([]byte, TagLen)...)
}

func (null) Open(dst, _, ciphertext, _ []byte) ([]byte, error) {
	if len(ciphertext) < TagLen {
		return nil, ErrBadRecord
	}
	return append(dst, ciphertext[:len(ciphertext)-TagLen]...), nil
}

//go:build !amd64

package vaes

import "crypto/cipher"

// Supported says whether New can succeed here.
func Supported() bool { return false }

// New gives ErrUnsupported on this architecture.
func New(key []byte) (cipher.AEAD, error) { return nil, ErrUnsupported }

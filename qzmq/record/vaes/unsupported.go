//go:build !amd64

package vaes

import "crypto/cipher"

// Other architectures have none of this.

func (width) possible() bool { return false }

func (width) new([]byte) (cipher.AEAD, error) { return nil, ErrUnsupported }

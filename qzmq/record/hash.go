package record

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
)

// Hash is a suite's hash function, by its code point.
type Hash uint8

// The registered hashes; SHA256 is the default.
const (
	SHA256 Hash = 1
	SHA384 Hash = 2
	SHA512 Hash = 3
)

// Valid says whether h is in the registry.
func (h Hash) Valid() bool { return SHA256 <= h && h <= SHA512 }

// New returns a new hash state. An invalid h panics: suites are checked when
// they are parsed.
func (h Hash) New() hash.Hash {
	switch h {
	case SHA256:
		return sha256.New()
	case SHA384:
		return sha512.New384()
	case SHA512:
		return sha512.New()
	}
	panic(fmt.Sprintf("record: hash %d is not in the registry", h))
}

// Size is the hash's output length in bytes: L of the key schedule. It is 0 for
// what is not in the registry.
func (h Hash) Size() int {
	switch h {
	case SHA256:
		return sha256.Size
	case SHA384:
		return sha512.Size384
	case SHA512:
		return sha512.Size
	}
	return 0
}

// blockSize is the length in bytes of the blocks that the hash works in, which
// HMAC pads its key to.
func (h Hash) blockSize() int {
	if h == SHA256 {
		return sha256.BlockSize
	}
	return sha512.BlockSize
}

// sum writes the hash of message to the front of out.
func (h Hash) sum(out *[sha512.Size]byte, message []byte) {
	switch h {
	case SHA256:
		*(*[sha256.Size]byte)(out[:]) = sha256.Sum256(message)
	case SHA384:
		*(*[sha512.Size384]byte)(out[:]) = sha512.Sum384(message)
	case SHA512:
		*out = sha512.Sum512(message)
	default:
		panic(fmt.Sprintf("record: hash %d is not in the registry", h))
	}
}

const (
	labelPrefix = "qzmq1 "
	maxInfo     = 2 + 1 + 255 + 1 + 255 // of HKDF-Expand-Label
)

// MAC is HMAC (RFC 2104). HKDF-Extract is MAC(h, salt, input).
func MAC(h Hash, key, message []byte) []byte {
	if len(key) > h.blockSize() || len(message) > maxInfo {
		m := hmac.New(h.New, key)
		m.Write(message)
		return m.Sum(nil)
	}
	var m pads
	m.set(h, key)
	m.mac(h, message)
	out := append(make([]byte, 0, h.Size()), m.last[:h.Size()]...)
	m = pads{}
	return out
}

// pads is an HMAC at work, over short messages. It is written out over whole messages in arrays: hash
// states behind interfaces, as in crypto/hmac, would be allocated each time and
// cost more than the hashing, and a handshake makes some eighty MACs.
type pads struct {
	inner [sha512.BlockSize + sha512.Size + maxInfo + 1]byte // key block, then the message
	outer [sha512.BlockSize + sha512.Size]byte
	last  [sha512.Size]byte // the result
}

func (m *pads) set(h Hash, key []byte) {
	block := h.blockSize()
	if len(key) > block {
		panic("record: a key is longer than the hash's block")
	}
	copy(m.inner[:], key)
	copy(m.outer[:], key)
	for i := range block {
		m.inner[i] ^= 0x36
		m.outer[i] ^= 0x5c
	}
}

func (m *pads) mac(h Hash, parts ...[]byte) {
	block := h.blockSize()
	n := block
	for _, b := range parts {
		if len(b) > len(m.inner)-n {
			panic("record: a message is too long for MAC")
		}
		n += copy(m.inner[n:], b)
	}
	h.sum(&m.last, m.inner[:n])
	n = block + copy(m.outer[block:], m.last[:h.Size()])
	h.sum(&m.last, m.outer[:n])
}

// ExpandLabel is HKDF-Expand-Label of RFC 8446 section 7.1 with the prefix
// "qzmq1 " in the place of "tls13 ". It gives n bytes. secret is not longer than
// the hash's block.
func ExpandLabel(h Hash, secret []byte, label string, context []byte, n int) []byte {
	if n > 255*h.Size() || len(labelPrefix)+len(label) > 255 || len(context) > 255 {
		panic("record: a label, context or output is too long for HKDF-Expand-Label")
	}
	var space [maxInfo]byte
	info := append(space[:0], byte(n>>8), byte(n), byte(len(labelPrefix)+len(label)))
	info = append(append(append(info, labelPrefix...), label...), byte(len(context)))
	info = append(info, context...)

	// HKDF-Expand (RFC 5869 section 2.3): each round is over the one before.
	var m pads
	m.set(h, secret)
	out := make([]byte, 0, n)
	var before []byte
	for round := 1; len(out) < n; round++ {
		m.mac(h, before, info, []byte{byte(round)})
		before = m.last[:h.Size()]
		out = append(out, before[:min(len(before), n-len(out))]...)
	}
	m = pads{}
	return out
}

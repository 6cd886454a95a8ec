package record

import (
	"crypto/cipher"
	"errors"
)

// AEAD is a suite's cipher, by its code point.
type AEAD uint8

// The registered ciphers. Both take 32-byte keys, 12-byte nonces and give
// 16-byte tags.
const (
	AES256GCM        AEAD = 1
	ChaCha20Poly1305 AEAD = 2
)

const keyLen = 32

// Valid says whether a is in the registry.
func (a AEAD) Valid() bool { return a == AES256GCM || a == ChaCha20Poly1305 }

func (a AEAD) new(key []byte) cipher.AEAD {
	p, _ := inUse()
	return inForce(p.cipher(a, key))
}

// Keys is one traffic secret on its way to the one thing that will use it.
// Whatever takes Keys consumes them; a second use panics, because it would
// repeat nonces.
type Keys struct {
	hidden
	aead   AEAD
	hash   Hash
	secret []byte
	limits Limits
}

// NewKeys takes a traffic secret of the suite's hash length. It copies the
// secret; wiping the original remains the caller's duty.
func NewKeys(a AEAD, h Hash, secret []byte) *Keys {
	if len(secret) != h.Size() {
		panic("record: a traffic secret has the length of the suite's hash")
	}
	return &Keys{aead: a, hash: h, secret: append([]byte(nil), secret...), limits: a.Limits()}
}

// Lower makes whatever takes k stop or change keys earlier than it must; no
// limit is ever raised. It gives k.
func (k *Keys) Lower(l Limits) *Keys {
	k.limits = k.limits.lower(l)
	return k
}

// half is one direction of one stream, ready for use: cipher, iv and limits.
type half struct {
	hidden
	aead   cipher.AEAD
	iv     [nonceLen]byte
	limits Limits
}

// wipe overwrites the key where the cipher can, when nothing works with it any
// more. The standard library's cannot.
func (h *half) wipe() {
	if c, ok := h.aead.(interface{ Wipe() }); ok {
		c.Wipe()
	}
	clear(h.iv[:])
}

// consume derives key and iv and wipes the secret.
func (k *Keys) consume() half {
	h, c := k.start()
	clear(c.secret)
	return h
}

// start derives the first key and gives the chain that later ones come from.
func (k *Keys) start() (half, *chain) {
	if k.secret == nil {
		panic("record: these keys are in use already; nonces would repeat")
	}
	c := &chain{aead: k.aead, hash: k.hash, limits: k.limits, secret: k.secret}
	k.secret = nil
	return c.key(), c
}

// ErrBadRecord reports bytes that were not sealed under the key and associated
// data at hand.
var ErrBadRecord = errors.New("record: authentication failed")

// SealOnce seals a handshake flight, the only message ever sealed under these
// keys: its nonce is the iv.
func (k *Keys) SealOnce(aad, plaintext []byte) []byte {
	h := k.consume()
	defer h.wipe()
	return h.aead.Seal(nil, h.iv[:], plaintext, aad)
}

// OpenOnce opens what SealOnce sealed. The only error is ErrBadRecord.
func (k *Keys) OpenOnce(aad, sealed []byte) ([]byte, error) {
	h := k.consume()
	defer h.wipe()
	plaintext, err := h.aead.Open(nil, h.iv[:], sealed, aad)
	if err != nil {
		return nil, ErrBadRecord
	}
	return plaintext, nil
}

package vaes

import (
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"slices"

	"golang.org/x/sys/cpu"
)

// gcm implements cipher.AEAD. Its key does not change until Wipe, so any number of
// goroutines may use it.
type gcm struct {
	hidden
	keys  keys
	wiped bool
}

// keys is what the assembly reads; names_amd64.h says where: room for 36 powers of H,
// 16 blocks with the sums of their halves, 15 round keys.
type keys [36 + 16 + 15][blockSize]byte

// Supported says whether New can succeed here: the processor has the instructions,
// and the operating system keeps the registers.
func Supported() bool {
	x := &cpu.X86
	return x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512VAES && x.HasAVX512VPCLMULQDQ && x.HasAES && x.HasBMI2
}

// New gives AES-256-GCM with nonces of 12 bytes and tags of 16, under a key of 32
// bytes, which it copies. What it gives has a method Wipe besides.
func New(key []byte) (cipher.AEAD, error) {
	if !Supported() {
		return nil, ErrUnsupported
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("vaes: a key of %d bytes instead of %d", len(key), keySize)
	}
	g := new(gcm)
	expand(&g.keys, (*[keySize]byte)(key))
	return g, nil
}

// Wipe forgets the key. Seal and Open panic afterwards.
func (g *gcm) Wipe() {
	g.keys = keys{}
	g.wiped = true
}

func (g *gcm) NonceSize() int { return nonceSize }

func (g *gcm) Overhead() int { return tagSize }

// Seal implements cipher.AEAD.
func (g *gcm) Seal(dst, nonce, plaintext, aad []byte) []byte {
	if uint64(len(plaintext)) > maxText {
		panic("vaes: the plaintext is longer than GCM allows")
	}
	all := extend(dst, len(plaintext)+tagSize)
	if !seal(&g.keys, all[len(dst):], plaintext, g.checked(nonce), aad) {
		panic(overlap)
	}
	return all
}

// Open implements cipher.AEAD. The plaintext is written before the tag is known to
// be right, and wiped if it is not. The only error is ErrOpen.
func (g *gcm) Open(dst, nonce, sealed, aad []byte) ([]byte, error) {
	n := len(sealed) - tagSize
	if n < 0 || uint64(n) > maxText {
		return nil, ErrOpen
	}
	all := extend(dst, n)
	var tag [tagSize]byte
	if !open(&g.keys, all[len(dst):], sealed[:n], g.checked(nonce), aad, &tag) {
		panic(overlap)
	}
	if subtle.ConstantTimeCompare(tag[:], sealed[n:]) != 1 {
		clear(all[len(dst):])
		return nil, ErrOpen
	}
	return all, nil
}

const overlap = "vaes: output and input overlap, but do not begin together"

// checked gives a nonce that may be used.
func (g *gcm) checked(nonce []byte) *[nonceSize]byte {
	if g.wiped || len(nonce) != nonceSize {
		panic("vaes: the key is wiped, or the nonce has not 12 bytes")
	}
	return (*[nonceSize]byte)(nonce)
}

// extend gives dst with n more bytes.
func extend(dst []byte, n int) []byte {
	if cap(dst)-len(dst) < n {
		dst = slices.Grow(dst, n)
	}
	return dst[:len(dst)+n]
}

//go:noescape
func expand(k *keys, key *[keySize]byte)

// seal encrypts src to dst and appends the tag. It does nothing and is false when
// the two overlap without beginning together.
//
//go:noescape
func seal(k *keys, dst, src []byte, nonce *[nonceSize]byte, aad []byte) bool

// open decrypts src to dst, whatever the tag is, and gives the right one. It does
// nothing and is false when the two overlap without beginning together.
//
//go:noescape
func open(k *keys, dst, src []byte, nonce *[nonceSize]byte, aad []byte, tag *[tagSize]byte) bool

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
	width width
	wiped bool
}

// keys is what the assembly reads; the headers say where: room for 36 powers of H,
// 16 blocks with the sums of their halves, 15 round keys.
type keys [36 + 16 + 15][blockSize]byte

// width is how many blocks an instruction takes: there is an implementation for each.
type width int

const (
	avx2   width = 2
	avx512 width = 4
)

// possible says whether the processor has the instructions, and the operating system
// keeps the registers.
func (w width) possible() bool {
	x := &cpu.X86
	if !x.HasAES || !x.HasBMI2 {
		return false
	}
	if w == avx512 {
		return x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512VAES && x.HasAVX512VPCLMULQDQ
	}
	// Package cpu says nothing about VAES and VPCLMULQDQ without AVX-512.
	const both = 1<<9 | 1<<10
	return x.HasAVX2 && features()&both == both
}

// widest is what New uses, 0 if nothing is possible.
func widest() width {
	for _, w := range []width{avx512, avx2} {
		if w.possible() {
			return w
		}
	}
	return 0
}

// Name says which implementation New gives here, and is empty if it gives none.
func Name() string {
	switch widest() {
	case avx512:
		return "vaes-avx512"
	case avx2:
		return "vaes-avx2"
	}
	return ""
}

// Supported says whether New can succeed here.
func Supported() bool { return widest() != 0 }

// New gives AES-256-GCM with nonces of 12 bytes and tags of 16, under a key of 32
// bytes, which it copies. What it gives has a method Wipe besides.
func New(key []byte) (cipher.AEAD, error) { return widest().new(key) }

func (w width) new(key []byte) (cipher.AEAD, error) {
	if w == 0 {
		return nil, ErrUnsupported
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("vaes: a key of %d bytes instead of %d", len(key), keySize)
	}
	g := &gcm{width: w}
	if w == avx512 {
		expand512(&g.keys, (*[keySize]byte)(key))
	} else {
		expand256(&g.keys, (*[keySize]byte)(key))
	}
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
	if !g.seal(all[len(dst):], plaintext, g.checked(nonce), aad) {
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
	if !g.open(all[len(dst):], sealed[:n], g.checked(nonce), aad, &tag) {
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

// seal encrypts src to dst and appends the tag. It does nothing and is false when
// the two overlap without beginning together.
func (g *gcm) seal(dst, src []byte, nonce *[nonceSize]byte, aad []byte) bool {
	if g.width == avx512 {
		return seal512(&g.keys, dst, src, nonce, aad)
	}
	return seal256(&g.keys, dst, src, nonce, aad)
}

// open decrypts src to dst, whatever the tag is, and gives the right one. It does
// nothing and is false when the two overlap without beginning together.
func (g *gcm) open(dst, src []byte, nonce *[nonceSize]byte, aad []byte, tag *[tagSize]byte) bool {
	if g.width == avx512 {
		return open512(&g.keys, dst, src, nonce, aad, tag)
	}
	return open256(&g.keys, dst, src, nonce, aad, tag)
}

//go:noescape
func expand512(k *keys, key *[keySize]byte)

//go:noescape
func seal512(k *keys, dst, src []byte, nonce *[nonceSize]byte, aad []byte) bool

//go:noescape
func open512(k *keys, dst, src []byte, nonce *[nonceSize]byte, aad []byte, tag *[tagSize]byte) bool

//go:noescape
func expand256(k *keys, key *[keySize]byte)

//go:noescape
func seal256(k *keys, dst, src []byte, nonce *[nonceSize]byte, aad []byte) bool

//go:noescape
func open256(k *keys, dst, src []byte, nonce *[nonceSize]byte, aad []byte, tag *[tagSize]byte) bool

// features is what CPUID says of leaf 7 in ECX.
func features() uint32

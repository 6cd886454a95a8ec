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

// possible says whether the processor has the instructions, and the operating system
// keeps the registers. Package cpu knows of VAES and VPCLMULQDQ, bits 9 and 10 of
// extended, only together with AVX-512.
func (w width) possible() bool {
	x := &cpu.X86
	if !x.HasAES || !x.HasBMI2 || !x.HasAVX2 {
		return false
	}
	if w == avx512 {
		return x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512VAES && x.HasAVX512VPCLMULQDQ
	}
	const vaes, vpclmulqdq = 1 << 9, 1 << 10
	e := extended()
	return e&vaes != 0 && e&vpclmulqdq != 0
}

// extended is what CPUID says in ECX of leaf 7, which every processor with AVX2 has.
func extended() uint32

func (w width) new(key []byte) (cipher.AEAD, error) {
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

// Package vaes is AES-256-GCM for processors that do several blocks in one
// instruction, VAES and VPCLMULQDQ: four with AVX-512, on Intel's servers since Ice
// Lake and on AMD since Zen 4; two with AVX2 alone, on AMD's Zen 3 and Intel's
// processors without AVX-512 since Alder Lake. It is the same cipher as
// crypto/cipher's, two to five times as fast, in Go's assembly, without cgo.
//
// Where the processor can do neither, New says so and Supported is false;
// crypto/aes serves there.
//
// avx512_amd64.s begins with the plan of the assembly, avx2_amd64.s with what is
// different there.
package vaes

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
)

const (
	keySize   = 32
	nonceSize = 12
	tagSize   = 16
	blockSize = 16

	// maxText is what a counter of 32 bits allows (SP 800-38D, 5.2.1.1).
	maxText = (1<<32 - 2) * blockSize
)

// ErrUnsupported says that this processor, or this operating system, lacks what
// the package is written for.
var ErrUnsupported = errors.New("vaes: the processor lacks VAES, VPCLMULQDQ or AVX2")

// ErrOpen says that a ciphertext was not sealed under the key, nonce and
// associated data at hand.
var ErrOpen = errors.New("vaes: authentication failed")

// width is how many blocks an instruction takes: each has an implementation.
type width int

const (
	avx2   width = 2
	avx512 width = 4
)

// widths are all there are, the fastest first.
func widths() []width { return []width{avx512, avx2} }

func (w width) String() string {
	if w == avx512 {
		return "vaes-avx512"
	}
	return "vaes-avx2"
}

// widest is what New uses; without it nothing is possible here.
func widest() (w width, ok bool) {
	for _, w := range widths() {
		if w.possible() {
			return w, true
		}
	}
	return 0, false
}

// Supported says whether New can succeed here.
func Supported() bool {
	_, ok := widest()
	return ok
}

// Name says which implementation New gives here: "vaes-avx512", "vaes-avx2", or
// nothing where it gives none.
func Name() string {
	if w, ok := widest(); ok {
		return w.String()
	}
	return ""
}

// New gives AES-256-GCM with nonces of 12 bytes and tags of 16, under a key of 32
// bytes, which it copies. What it gives has a method Wipe besides.
func New(key []byte) (cipher.AEAD, error) {
	w, ok := widest()
	if !ok {
		return nil, ErrUnsupported
	}
	return w.new(key)
}

// hidden is embedded in every type that holds a secret, so that no format verb,
// logger or JSON encoder can print what is inside.
type hidden struct{}

// Format implements [fmt.Formatter] for every verb.
func (hidden) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[secret]") }

// LogValue implements [slog.LogValuer].
func (hidden) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText implements [encoding.TextMarshaler], which JSON uses too.
func (hidden) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

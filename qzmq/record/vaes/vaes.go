// Package vaes is AES-256-GCM for processors that do four blocks in one
// instruction: VAES, VPCLMULQDQ and AVX-512, on Intel since Ice Lake and on AMD
// since Zen 4. It is the same cipher as crypto/cipher's, several times faster, in
// Go's assembly, without cgo.
//
// Where the processor lacks any of them, New says so and Supported is false;
// crypto/aes serves there.
//
// gcm_amd64.s begins with the plan of the assembly.
package vaes

import (
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
var ErrUnsupported = errors.New("vaes: the processor lacks VAES, VPCLMULQDQ or AVX-512")

// ErrOpen says that a ciphertext was not sealed under the key, nonce and
// associated data at hand.
var ErrOpen = errors.New("vaes: authentication failed")

// hidden is embedded in every type that holds a secret, so that no format verb,
// logger or JSON encoder can print what is inside.
type hidden struct{}

// Format implements [fmt.Formatter] for every verb.
func (hidden) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[secret]") }

// LogValue implements [slog.LogValuer].
func (hidden) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText implements [encoding.TextMarshaler], which JSON uses too.
func (hidden) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

package handshake

import (
	"errors"
	"strings"
)

// Bech32m (BIP-350) is the text form of fingerprints and keys: no characters that
// look alike, and a checksum that finds any four wrong ones. Only lower case is
// taken, so that one value has one text.

const (
	bech32Charset  = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	bech32mFinal   = 0x2bc830a3
	bech32Checksum = 6
	bech32MaxLen   = 90 // the checksum promises nothing beyond
)

var errBech32m = errors.New("not a bech32m text")

// bech32Step feeds one 5-bit value to the checksum's polynomial.
func bech32Step(sum uint32, v byte) uint32 {
	top := sum >> 25
	sum = (sum&0x1ffffff)<<5 ^ uint32(v)
	for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
		if top>>i&1 == 1 {
			sum ^= g
		}
	}
	return sum
}

func bech32Sum(hrp string, values []byte) uint32 {
	sum := uint32(1)
	for i := range len(hrp) {
		sum = bech32Step(sum, hrp[i]>>5)
	}
	sum = bech32Step(sum, 0)
	for i := range len(hrp) {
		sum = bech32Step(sum, hrp[i]&31)
	}
	for _, v := range values {
		sum = bech32Step(sum, v)
	}
	return sum
}

// bech32mEncode writes 5-bit values under a lower-case prefix.
func bech32mEncode(hrp string, values []byte) string {
	sum := bech32Sum(hrp, append(values[:len(values):len(values)], make([]byte, bech32Checksum)...)) ^ bech32mFinal
	out := make([]byte, 0, len(hrp)+1+len(values)+bech32Checksum)
	out = append(append(out, hrp...), '1')
	for _, v := range values {
		out = append(out, bech32Charset[v])
	}
	for i := range bech32Checksum {
		out = append(out, bech32Charset[sum>>(5*(bech32Checksum-1-i))&31])
	}
	return string(out)
}

// bech32mDecode gives prefix and 5-bit values of a text.
func bech32mDecode(s string) (hrp string, values []byte, err error) {
	cut := strings.LastIndexByte(s, '1')
	if len(s) > bech32MaxLen || cut < 1 || len(s)-cut-1 < bech32Checksum {
		return "", nil, errBech32m
	}
	hrp = s[:cut]
	for i := range len(hrp) {
		if c := hrp[i]; c < 33 || c > 126 || 'A' <= c && c <= 'Z' {
			return "", nil, errBech32m
		}
	}
	for i := cut + 1; i < len(s); i++ {
		v := strings.IndexByte(bech32Charset, s[i])
		if v < 0 {
			return "", nil, errBech32m
		}
		values = append(values, byte(v))
	}
	if bech32Sum(hrp, values) != bech32mFinal {
		return "", nil, errBech32m
	}
	return hrp, values[:len(values)-bech32Checksum], nil
}

// bech32mText writes bytes.
func bech32mText(hrp string, b []byte) string {
	values := make([]byte, 0, (len(b)*8+4)/5)
	acc, bits := uint32(0), 0
	for _, x := range b {
		acc, bits = acc<<8|uint32(x), bits+8
		for ; bits >= 5; bits -= 5 {
			values = append(values, byte(acc>>(bits-5)&31))
		}
	}
	if bits > 0 {
		values = append(values, byte(acc<<(5-bits)&31))
	}
	return bech32mEncode(hrp, values)
}

// bech32mBytes reads exactly n bytes under the given prefix. The bits that fill
// the last character are zero, else one value had many texts.
func bech32mBytes(hrp, s string, n int) ([]byte, error) {
	got, values, err := bech32mDecode(s)
	if err != nil || got != hrp || len(values) != (n*8+4)/5 {
		return nil, errBech32m
	}
	out := make([]byte, 0, n)
	acc, bits := uint32(0), 0
	for _, v := range values {
		acc, bits = acc<<5|uint32(v), bits+5
		if bits >= 8 {
			bits -= 8
			out = append(out, byte(acc>>bits))
		}
	}
	if acc&(1<<bits-1) != 0 {
		return nil, errBech32m
	}
	return out, nil
}

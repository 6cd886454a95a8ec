package vaes

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// Wycheproof's vectors go through this cipher in package record, which has every
// cipher of the registry read them.

// TestSpecification has the test cases 13 to 16 of McGrew and Viega, "The
// Galois/Counter Mode of Operation", which became SP 800-38D.
func TestSpecification(t *testing.T) { each(t, testSpecification) }

func testSpecification(t *testing.T, w width) {
	const (
		key   = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
		nonce = "cafebabefacedbaddecaf888"
		text  = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"

		aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
		ct  = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
	)
	zero := hex.EncodeToString(make([]byte, keySize))
	for i, v := range []struct{ key, nonce, text, aad, sealed string }{
		{zero, zero[:24], "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
		{zero, zero[:24], zero[:32], "", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
		{key, nonce, text, "", ct + "b094dac5d93471bdec1a502270e3cc6c"},
		{key, nonce, text[:2*60], aad, ct[:2*60] + "76fc6ece0f4e1768cddf8853bb2d551b"},
	} {
		c, _ := both(t, w, unhex(v.key))
		if got := c.Seal(nil, unhex(v.nonce), unhex(v.text), unhex(v.aad)); !bytes.Equal(got, unhex(v.sealed)) {
			t.Errorf("case %d seals to %x", 13+i, got)
		}
		if got, err := c.Open(nil, unhex(v.nonce), unhex(v.sealed), unhex(v.aad)); err != nil || !bytes.Equal(got, unhex(v.text)) {
			t.Errorf("case %d opens to %x, %v", 13+i, got, err)
		}
	}
}

func unhex(s string) []byte { return must(hex.DecodeString(s)) }

package record

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/qzmq/gateway/qzmq/record/vaes"
	"golang.org/x/crypto/chacha20poly1305"
)

// provider makes the ciphers of the registry. There are two: the standard library
// everywhere, and for AES-256-GCM package vaes where the processor can.
type provider struct {
	name string
	gcm  func(key []byte) (cipher.AEAD, error)
}

// providerVariable is the environment variable that keeps to the standard
// library when it is "standard": to compare, and for who trusts nothing newer.
const providerVariable = "QZMQ_AEAD"

func standard() provider {
	return provider{"standard library", func(key []byte) (cipher.AEAD, error) {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(block)
	}}
}

func vectorised() provider { return provider{vaes.Name(), vaes.New} }

// inUse chooses once, when the first key is made.
var inUse = sync.OnceValues(func() (provider, error) {
	if os.Getenv(providerVariable) == "standard" || !vaes.Supported() {
		return standard(), nil
	}
	return tested(vectorised())
})

// Provider names what seals and opens AES-256-GCM. fault is why that is the
// standard library on a processor that could do better: the faster cipher gave a
// wrong answer when it was tested at start.
func Provider() (name string, fault error) {
	p, fault := inUse()
	return p.name, fault
}

// ErrSelfTest reports a cipher that does not give the known answers.
var ErrSelfTest = errors.New("record: a cipher failed its self-test")

// tested gives p if it passes, else the standard library and what was wrong.
func tested(p provider) (provider, error) {
	if err := p.test(); err != nil {
		return standard(), fmt.Errorf("%w: %s: %w", ErrSelfTest, p.name, err)
	}
	return p, nil
}

// answers are test case 16 of McGrew and Viega's "The Galois/Counter Mode of
// Operation", and its tag over the plaintext 50 times, which passes through the
// widest loops. A right tag stands for the ciphertext that it covers.
var answers = []struct {
	times int
	tag   string
}{{1, "76fc6ece0f4e1768cddf8853bb2d551b"}, {50, "e81ee0b07648b1f136b56ca705bbbe56"}}

const (
	answerKey   = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
	answerNonce = "cafebabefacedbaddecaf888"
	answerAAD   = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
	answerText  = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)

// test says what is wrong with p's AES-256-GCM.
func (p provider) test() error {
	c, err := p.gcm(unhex(answerKey))
	if err != nil {
		return err
	}
	nonce, aad := unhex(answerNonce), unhex(answerAAD)
	for _, a := range answers {
		plaintext := bytes.Repeat(unhex(answerText), a.times)
		sealed := c.Seal(nil, nonce, plaintext, aad)
		if !bytes.HasSuffix(sealed, unhex(a.tag)) {
			return fmt.Errorf("the tag of %d bytes is wrong", len(plaintext))
		}
		if opened, err := c.Open(nil, nonce, sealed, aad); err != nil || !bytes.Equal(opened, plaintext) {
			return fmt.Errorf("%d bytes do not open again", len(plaintext))
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := c.Open(nil, nonce, sealed, aad); err == nil {
			return fmt.Errorf("a wrong tag over %d bytes is taken for right", len(plaintext))
		}
	}
	return nil
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("record: " + err.Error())
	}
	return b
}

func (p provider) cipher(a AEAD, key []byte) cipher.AEAD {
	var c cipher.AEAD
	var err error
	switch a {
	case AES256GCM:
		c, err = p.gcm(key)
	case ChaCha20Poly1305:
		c, err = chacha20poly1305.New(key)
	default:
		err = fmt.Errorf("aead %d is not in the registry", a)
	}
	if err != nil {
		panic("record: " + err.Error())
	}
	return c
}

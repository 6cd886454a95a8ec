package handshake

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"testing"
)

// TestHedged: production signatures of one message differ, those of vectors do
// not, and both verify.
func TestHedged(t *testing.T) {
	for alg := Ed25519; alg.Valid(); alg++ {
		id := testIdentity(t, alg, 1)
		message := []byte("message")
		sign := func(hedged bool) []byte {
			s, err := id.sign(message, hedged)
			if err != nil || len(s) != alg.signatureLen() || !alg.verify(id.public, message, s) {
				t.Fatalf("%v: %d bytes, %v", alg, len(s), err)
			}
			return s
		}
		if bytes.Equal(sign(true), sign(true)) != (alg == Ed25519) {
			t.Errorf("%v: two hedged signatures", alg)
		}
		if !bytes.Equal(sign(false), sign(false)) {
			t.Errorf("%v: two deterministic signatures differ", alg)
		}
	}
	a, b := newPair(t), newPair(t)
	if !production().hedged {
		t.Error("production does not hedge")
	}
	a.toServerHello()
	b.toServerHello()
	if bytes.Equal(a.answer[42:], b.answer[42:]) {
		t.Error("two answers are the same")
	}
}

// TestVerify: every half counts, a half is no whole, and wrong lengths are false.
func TestVerify(t *testing.T) {
	message := []byte("message")
	for alg := Ed25519; alg.Valid(); alg++ {
		id := testIdentity(t, alg, 1)
		s, err := id.sign(message, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, len(s) / 2, len(s) - ed25519.SignatureSize, len(s) - 40, len(s) - 1} {
			bad := bytes.Clone(s)
			bad[at] ^= 1
			if alg.verify(id.public, message, bad) {
				t.Errorf("%v: byte %d changed and verified", alg, at)
			}
		}
		if alg.verify(id.public, []byte("massage"), s) {
			t.Errorf("%v: another message", alg)
		}
		for n := range 3 {
			if alg.verify(id.public[:len(id.public)-1-n], message, s) || alg.verify(id.public, message, s[:len(s)-1-n]) ||
				alg.verify(append(bytes.Clone(id.public), make([]byte, 1+n)...), message, s) ||
				alg.verify(id.public, message, append(bytes.Clone(s), make([]byte, 1+n)...)) {
				t.Errorf("%v: a wrong length verified", alg)
			}
		}
		if alg.verify(nil, message, nil) || Signature(0).verify(nil, message, nil) || Signature(99).verify(nil, nil, nil) {
			t.Errorf("%v: nothing verified", alg)
		}
	}
	composite, single := testIdentity(t, Ed25519MLDSA44, 1), testIdentity(t, MLDSA44, 1)
	if bytes.HasPrefix(composite.public, single.public) {
		t.Error("a composite's half is a key of its own")
	}
	s, err := composite.sign(message, true)
	if err != nil {
		t.Fatal(err)
	}
	n, m := MLDSA44.publicLen(), MLDSA44.signatureLen()
	digest := []byte("digest")
	whole, err := composite.sign(signedBytes(roleInitiator, Ed25519MLDSA44, digest), true)
	if err != nil {
		t.Fatal(err)
	}
	if !MLDSA44.verify(composite.public[:n], message, s[:m]) {
		t.Error("the test's halves are cut wrongly")
	}
	if MLDSA44.verify(composite.public[:n], signedBytes(roleInitiator, MLDSA44, digest), whole[:m]) {
		t.Error("half of a composite signature passes as a whole one")
	}
	swapped := append(bytes.Clone(s[m:]), s[:m]...)
	if Ed25519MLDSA44.verify(composite.public, message, swapped) {
		t.Error("swapped halves verify")
	}
}

// TestSignatureRoles: a signature of one role is none of the other's.
func TestSignatureRoles(t *testing.T) {
	id := testIdentity(t, MLDSA44, 1)
	digest := bytes.Repeat([]byte{1}, 32)
	s, err := id.sign(signedBytes(roleInitiator, MLDSA44, digest), true)
	if err != nil {
		t.Fatal(err)
	}
	if MLDSA44.verify(id.public, signedBytes(roleResponder, MLDSA44, digest), s) {
		t.Error("an initiator's signature passes for a responder's")
	}
}

// TestKEM: both halves go into the secret, and wrong lengths do not panic.
func TestKEM(t *testing.T) {
	for k := X25519; k.Valid(); k++ {
		key, share, err := generateKEM(k, rand.Reader)
		if err != nil || len(share) != k.shareLen() {
			t.Fatalf("%v: %d bytes, %v", k, len(share), err)
		}
		ciphertext, secret, err := encapsulate(k, share, rand.Reader)
		if err != nil || len(ciphertext) != k.ciphertextLen() {
			t.Fatalf("%v: %d bytes, %v", k, len(ciphertext), err)
		}
		got, err := key.decapsulate(ciphertext)
		if err != nil || !bytes.Equal(got, secret) {
			t.Fatalf("%v: the secrets differ, %v", k, err)
		}
		for at := range ciphertext {
			bad := bytes.Clone(ciphertext)
			bad[at] ^= 1
			if got, err := key.decapsulate(bad); err == nil && bytes.Equal(got, secret) {
				t.Errorf("%v: byte %d of the ciphertext does not matter", k, at)
			}
		}
		for _, n := range []int{0, 1, 31, 32, 33, k.ciphertextLen() - 1, k.ciphertextLen() + 1} {
			if _, err := key.decapsulate(make([]byte, n)); n != k.ciphertextLen() && err != ErrKeyShare {
				t.Errorf("%v: a ciphertext of %d bytes: %v", k, n, err)
			}
		}
		for _, n := range []int{0, 1, 31, 32, 33, k.shareLen() - 1, k.shareLen() + 1} {
			if _, _, err := encapsulate(k, make([]byte, n), rand.Reader); n != k.shareLen() && err != ErrKeyShare {
				t.Errorf("%v: a share of %d bytes: %v", k, n, err)
			}
		}
	}
	if KEM(0).shareLen() != 0 || KEM(9).ciphertextLen() != 0 {
		t.Error("KEMs outside the registry have lengths")
	}
	for _, n := range []int{0, 10, 63, 64, 95} {
		if _, _, err := generateKEM(X25519MLKEM768, bytes.NewReader(make([]byte, n))); err != ErrRandom {
			t.Errorf("a key from %d random bytes: %v", n, err)
		}
	}
}

// TestTranscriptOrder: a point left out is our own fault and stops the program.
func TestTranscriptOrder(t *testing.T) {
	panics(t, "T2 before T1", func() {
		newTranscript(1, nil, nil).add(pointT2)
	})
}

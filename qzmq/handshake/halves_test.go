package handshake

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// The cases of this file are handshakes in which one half of a hybrid KEM or of a
// composite signature is whole and the other is not. None may end well.

// forgeShare is a responder that follows the protocol but for the KEM's secret: it
// derives its keys from what spoil makes of it.
func (p *pair) forgeShare(spoil func(secret []byte) []byte) []byte {
	p.t.Helper()
	r := p.freshResponder()
	hello, err := parseClientHello(p.hello)
	if err != nil {
		p.t.Fatal(err)
	}
	suite, share, err := r.choose(&hello)
	if err != nil {
		p.t.Fatal(err)
	}
	ciphertext, shared, err := encapsulate(suite.KEM, share, rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	h := serverHello{random: make([]byte, randomLen), suite: suite, share: ciphertext}
	msg := h.upToShare(flightLen(r.config.Identity, nil, suite.Hash))
	tr := newTranscript(suite.Hash, r.prologue, p.hello)
	t1 := tr.add(pointT1, msg)
	secrets := newSchedule(suite.Hash, make([]byte, suite.Hash.Size())).handshakeSecrets(spoil(shared), t1)
	plaintext, _, err := writeFlight(tr, roleResponder, secrets, r.config.Identity, nil, nil, true)
	if err != nil {
		p.t.Fatal(err)
	}
	return append(msg, record.NewKeys(suite.AEAD, suite.Hash, secrets.responder).SealOnce(t1, plaintext)...)
}

func TestHybridHalves(t *testing.T) {
	half := 32 // of the secret: ML-KEM's, then X25519's
	for _, k := range []KEM{X25519MLKEM768, X25519MLKEM1024} {
		p := newPair(t)
		suite := Suite{k, MLDSA44, 1, 1}
		p.initiatorConf.Suites, p.responderConf.Suites = []Suite{suite}, []Suite{suite}
		p.start()
		for name, spoil := range map[string]func([]byte) []byte{
			"ML-KEM wrong":   func(s []byte) []byte { s[0] ^= 1; return s },
			"X25519 wrong":   func(s []byte) []byte { s[half] ^= 1; return s },
			"ML-KEM zero":    func(s []byte) []byte { clear(s[:half]); return s },
			"X25519 zero":    func(s []byte) []byte { clear(s[half:]); return s },
			"ML-KEM alone":   func(s []byte) []byte { return s[:half] },
			"X25519 alone":   func(s []byte) []byte { return s[half:] },
			"swapped":        func(s []byte) []byte { return append(bytes.Clone(s[half:]), s[:half]...) },
			"X25519 twice":   func(s []byte) []byte { return append(bytes.Clone(s[half:]), s[half:]...) },
			"halves exored":  func(s []byte) []byte { return exor(s[:half], s[half:]) },
			"neither at all": func([]byte) []byte { return nil },
		} {
			reply, done, err := p.i.clone().Handle(p.forgeShare(spoil))
			refused{ErrOpen, AlertHandshakeFailure, false}.check(t, k.String()+": "+name, reply, done, err)
		}
		if _, _, err := p.i.clone().Handle(p.forgeShare(func(s []byte) []byte { return s })); err != nil {
			t.Errorf("%v, unspoilt: %v", k, err)
		}

		// Halves of two ciphertexts, and one's halves in the wrong order.
		first, _, err := p.freshResponder().Handle(p.hello)
		if err != nil {
			t.Fatal(err)
		}
		second, _, err := p.freshResponder().Handle(p.hello)
		if err != nil {
			t.Fatal(err)
		}
		end := 42 + k.ciphertextLen()
		for name, at := range map[string][2]int{"another ML-KEM half": {42, end - 32}, "another X25519 half": {end - 32, end}} {
			m := bytes.Clone(first)
			copy(m[at[0]:at[1]], second[at[0]:at[1]])
			reply, done, err := p.i.clone().Handle(m)
			refused{ErrOpen, AlertHandshakeFailure, false}.check(t, name, reply, done, err)
		}
		m := bytes.Clone(first)
		copy(m[42:], append(bytes.Clone(first[end-32:end]), first[42:end-32]...))
		reply, done, err := p.i.clone().Handle(m)
		refused{ErrOpen, AlertHandshakeFailure, false}.check(t, "ciphertexts swapped", reply, done, err)
	}
}

func exor(a, b []byte) []byte {
	out := bytes.Clone(a)
	for i := range out {
		out[i] ^= b[i]
	}
	return out
}

func TestCompositeHalves(t *testing.T) {
	for _, alg := range []Signature{Ed25519MLDSA44, Ed25519MLDSA65} {
		p := newPair(t)
		suite := Suite{X25519MLKEM768, alg, 1, 1}
		p.responderConf.Identity, p.initiatorConf.Identity = testIdentity(t, alg, 2), testIdentity(t, alg, 1)
		p.initiatorConf.Peer = p.responderConf.Identity.Fingerprint()
		p.initiatorConf.Suites, p.responderConf.Suites = []Suite{suite}, []Suite{suite}
		p.responderConf.Authorize = func(Fingerprint) bool { return true }
		p.toServerHello()
		other, err := testIdentity(t, alg, 9).sign([]byte("something"), true)
		if err != nil {
			t.Fatal(err)
		}
		cut := len(other) - 64 // where Ed25519 begins
		cases := map[string]func(*flight){
			"ML-DSA corrupted":       func(f *flight) { f.signature[cut/2] ^= 1 },
			"Ed25519 corrupted":      func(f *flight) { f.signature[cut] ^= 1 },
			"Ed25519's s":            func(f *flight) { f.signature[len(f.signature)-1] ^= 1 },
			"ML-DSA of someone else": func(f *flight) { copy(f.signature, other[:cut]) },
			"Ed25519 of someone":     func(f *flight) { copy(f.signature[cut:], other[cut:]) },
			"ML-DSA missing":         func(f *flight) { clear(f.signature[:cut]) },
			"Ed25519 missing":        func(f *flight) { clear(f.signature[cut:]) },
			"swapped": func(f *flight) {
				copy(f.signature, append(bytes.Clone(f.signature[cut:]), f.signature[:cut]...))
			},
		}
		for name, spoil := range cases {
			reply, done, err := p.r.clone(t).Handle(p.forgeClientKey(p.initiatorConf.Identity, nil, spoil))
			refused{ErrSignature, AlertHandshakeFailure, false}.check(t, "initiator, "+name, reply, done, err)
			reply, done, err = p.i.clone().Handle(p.forgeServerHello(nil, spoil))
			refused{ErrSignature, AlertHandshakeFailure, false}.check(t, "responder, "+name, reply, done, err)
		}
		// A half alone, under the code of its own algorithm: another key by name.
		half := func(f *flight) {
			lattice := MLDSA44
			if alg == Ed25519MLDSA65 {
				lattice = MLDSA65
			}
			f.alg, f.identity, f.signature = lattice, f.identity[:lattice.publicLen()], f.signature[:cut]
		}
		reply, done, err := p.r.clone(t).Handle(setLength(p.forgeClientKey(p.initiatorConf.Identity, nil, half)))
		refused{ErrSignature, AlertHandshakeFailure, false}.check(t, "initiator, half as a whole", reply, done, err)
		reply, done, err = p.i.clone().Handle(p.forgeServerHello(nil, half))
		refused{nil, AlertHandshakeFailure, false}.check(t, "responder, half as a whole", reply, done, err) // the length may give it away first
		if _, _, err := p.r.clone(t).Handle(p.forgeClientKey(p.initiatorConf.Identity, nil, nil)); err != nil {
			t.Errorf("%v, unspoilt: %v", alg, err)
		}
	}
}

package handshake

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"testing"

	"github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/mlkem/mlkem1024"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
	"golang.org/x/crypto/chacha20poly1305"
)

// This is the reader of reader_test.go for any suite, and for a resumed handshake:
// again from the tables of the specification, with the primitives alone.

type suiteReader struct {
	t       *testing.T
	code    Suite
	hash    func() hash.Hash
	aead    func([]byte) (cipher.AEAD, error)
	lattice kem.Scheme // nil: none
	curve   bool
	mldsa   sign.Scheme // nil: none
	ed      bool
	found   map[string]hexBytes
	prefix  string // of the names in found
}

func newSuiteReader(t *testing.T, s Suite) *suiteReader {
	gcm := func(key []byte) (cipher.AEAD, error) {
		b, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(b)
	}
	return &suiteReader{
		t: t, code: s, found: map[string]hexBytes{},
		hash:    []func() hash.Hash{nil, sha256.New, sha512.New384, sha512.New}[s.Hash],
		aead:    []func([]byte) (cipher.AEAD, error){nil, gcm, chacha20poly1305.New}[s.AEAD],
		lattice: []kem.Scheme{nil, nil, mlkem768.Scheme(), mlkem1024.Scheme(), mlkem768.Scheme(), mlkem1024.Scheme()}[s.KEM],
		curve:   s.KEM == 1 || s.KEM >= 4,
		mldsa:   []sign.Scheme{nil, nil, mldsa44.Scheme(), mldsa65.Scheme(), mldsa87.Scheme(), mldsa44.Scheme(), mldsa65.Scheme()}[s.Sig],
		ed:      s.Sig == 1 || s.Sig >= 5,
	}
}

func (r *suiteReader) keep(name string, b []byte) []byte {
	r.found[r.prefix+name] = b
	return b
}

func (r *suiteReader) digest(parts ...[]byte) []byte {
	h := r.hash()
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

func (r *suiteReader) mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(r.hash, key)
	m.Write(bytes.Join(parts, nil))
	return m.Sum(nil)
}

// expand gives up to one block of the hash.
func (r *suiteReader) expand(secret []byte, label string, context []byte, n int) []byte {
	info := append([]byte{0, byte(n), byte(6 + len(label))}, "qzmq1 "+label...)
	return r.mac(secret, append(info, byte(len(context))), context, []byte{1})[:n]
}

func (r *suiteReader) derive(secret []byte, label string, t []byte) []byte {
	return r.expand(secret, label, t, r.hash().Size())
}

// open takes what nonce = iv XOR (stream | seq 0) has sealed.
func (r *suiteReader) open(secret []byte, stream uint32, aad, sealed []byte) []byte {
	r.t.Helper()
	nonce := r.expand(secret, "iv", nil, 12)
	binary.BigEndian.PutUint32(nonce, binary.BigEndian.Uint32(nonce)^stream)
	a, err := r.aead(r.expand(secret, "key", nil, 32))
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := a.Open(nil, nonce, sealed, aad)
	if err != nil {
		r.t.Fatalf("%v: the reader cannot open: %v", r.code, err)
	}
	if len(out)%256 != 0 {
		r.t.Fatalf("%v: %d bytes are not padded", r.code, len(out))
	}
	return out
}

// kemSecret is the initiator's: ML-KEM first, then X25519.
func (r *suiteReader) kemSecret(mlkemSeed, x25519Key, share []byte) (secret []byte) {
	r.t.Helper()
	if r.lattice != nil {
		_, private := r.lattice.DeriveKeyPair(mlkemSeed)
		n := r.lattice.CiphertextSize()
		ss, err := r.lattice.Decapsulate(private, share[:n])
		if err != nil {
			r.t.Fatal(err)
		}
		secret, share = ss, share[n:]
	}
	if r.curve {
		secret = append(secret, x25519(r.t, x25519Key, share)...)
	}
	return secret
}

func (r *suiteReader) shareLen() (n int) {
	if r.lattice != nil {
		n = r.lattice.CiphertextSize()
	}
	if r.curve {
		n += 32
	}
	return n
}

// signed checks both halves, ML-DSA first, over the same bytes.
func (r *suiteReader) signed(label string, key, signature, digest []byte) {
	r.t.Helper()
	message := append(bytes.Repeat([]byte{' '}, 64), label+"\x00"...)
	message = append(append(message, byte(r.code.Sig)), digest...)
	if r.mldsa != nil {
		public, err := r.mldsa.UnmarshalBinaryPublicKey(key[:r.mldsa.PublicKeySize()])
		if err != nil {
			r.t.Fatal(err)
		}
		n := r.mldsa.SignatureSize()
		if !r.mldsa.Verify(public, message, signature[:n], &sign.SignatureOpts{Context: "QZMQ1"}) {
			r.t.Errorf("%v: %s: ML-DSA does not verify", r.code, label)
		}
		key, signature = key[r.mldsa.PublicKeySize():], signature[n:]
	}
	if r.ed && !ed25519.Verify(key, message, signature) || !r.ed && len(signature) != 0 {
		r.t.Errorf("%v: %s: Ed25519 does not verify", r.code, label)
	}
}

func (r *suiteReader) lengths() (key, signature int) {
	if r.mldsa != nil {
		key, signature = r.mldsa.PublicKeySize(), r.mldsa.SignatureSize()
	}
	if r.ed {
		key, signature = key+32, signature+64
	}
	return key, signature
}

// handshake reads four messages, full or resumed with psk (nil for full), and gives
// the next PSK.
func (r *suiteReader) handshake(in *suiteInputs, w *vectorWire, psk []byte) []byte {
	r.t.Helper()
	L := r.hash().Size()
	zero, empty := make([]byte, L), r.digest()
	resumed := psk != nil
	if !resumed {
		psk = zero
	}
	initiator, responder := testGreeting(0), testGreeting(1)
	short := append([]byte("qzmq1\x01"), initiator[:]...)
	early := r.keep("early", r.mac(zero, psk))
	if resumed {
		end := len(w.ClientHello) - 32 - L
		key := r.expand(r.derive(early, "res binder", empty), "finished", nil, L)
		want := r.mac(key, r.digest(short, w.ClientHello[:end]))
		if !bytes.Equal(want, w.ClientHello[end:end+L]) {
			r.t.Errorf("%v: the binder is wrong", r.code)
		}
		r.keep("binder", want)
		r.keep("c_e", r.derive(early, "c e traffic", r.digest(short, w.ClientHello)))
	}

	at := 42 + r.shareLen()
	ss := r.keep("kem_ss", r.kemSecret(in.MLKEMSeed, in.InitiatorX25519, w.ServerHello[42:at]))
	hs := r.keep("hs", r.mac(r.derive(early, "derived", empty), ss))
	all := append(append(short, responder[:]...), bytes.Join([][]byte{w.ClientHello, w.ServerHello[:at]}, nil)...)
	point := func(i int, more ...[]byte) []byte {
		all = append(all, bytes.Join(more, nil)...)
		return r.keep(fmt.Sprintf("t%d", i), r.digest(all))
	}
	t1 := point(1)
	if got := w.ServerHello[41]; (got == 1) != resumed {
		r.t.Errorf("%v: psk accepted is %d", r.code, got)
	}
	traffic := map[int][]byte{
		1: r.keep("s_hs", r.derive(hs, "s hs traffic", t1)),
		4: r.keep("c_hs", r.derive(hs, "c hs traffic", t1)),
	}
	aad := t1
	for _, side := range []struct {
		first          int // T2 or T5, less one
		label          string
		header, sealed []byte
	}{{1, "QZMQ1 responder", nil, w.ServerHello[at:]}, {4, "QZMQ1 initiator", w.ClientKey[:4], w.ClientKey[4:]}} {
		secret := traffic[side.first]
		b := r.open(secret, 0, aad, side.sealed)
		head := 2 + int(binary.BigEndian.Uint16(b))
		var signature []byte
		if resumed {
			point(side.first+1, side.header, b[:head])
			b = b[head:]
		} else {
			keyLen, signatureLen := r.lengths()
			if want := []byte{byte(r.code.Sig), 0, byte(keyLen >> 8), byte(keyLen)}; !bytes.Equal(b[head:head+4], want) {
				r.t.Fatalf("%v: identity header %x", r.code, b[head:head+4])
			}
			key := b[head+4 : head+4+keyLen]
			digest := point(side.first+1, side.header, b[:head+4+keyLen])
			b = b[head+4+keyLen:]
			signature, b = b[:signatureLen], b[signatureLen:]
			r.signed(side.label, key, signature, digest)
		}
		finished := r.mac(r.expand(secret, "finished", nil, L), point(side.first+2, signature))
		if !bytes.Equal(finished, b[:L]) || len(bytes.Trim(b[L:], "\x00")) != 0 || len(b)-L > 255 {
			r.t.Errorf("%v: %s: finished or padding is wrong", r.code, side.label)
		}
		aad = point(side.first+3, finished)
	}

	main := r.keep("main", r.mac(r.derive(hs, "derived", empty), zero))
	r.keep("c_ap", r.derive(main, "c ap traffic", aad))
	sap := r.keep("s_ap", r.derive(main, "s ap traffic", aad))
	r.keep("exp", r.derive(main, "exp master", aad))
	res := r.keep("res", r.derive(main, "res master", aad))
	last := r.open(sap, 1, []byte{0x11, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, w.Finished[4:])
	if head := []byte{0, 24, 0xff, 4, 0, 20}; !bytes.Equal(last[:6], head) || !bytes.Equal(last[6:22], in.Ticket) {
		r.t.Errorf("%v: Finished has %x", r.code, last[:26])
	}
	return r.keep("psk", r.expand(res, "resumption", last[6:22], L))
}

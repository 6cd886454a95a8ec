package handshake

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
)

// This file reads a handshake as another implementation would: from the tables of
// the specification, with the primitives alone and none of the package's code,
// and with the initiator's ephemeral keys, since it has to open what is sealed.

func mac256(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(bytes.Join(parts, nil))
	return m.Sum(nil)
}

func hash256(parts ...[]byte) []byte {
	d := sha256.Sum256(bytes.Join(parts, nil))
	return d[:]
}

// expandLabel is RFC 8446 section 7.1 for outputs of one HMAC block.
func expandLabel(secret []byte, label string, context []byte, n int) []byte {
	info := []byte{0, byte(n), byte(6 + len(label))}
	info = append(info, "qzmq1 "+label...)
	info = append(info, byte(len(context)))
	return mac256(secret, info, context, []byte{1})[:n]
}

func derive(secret []byte, label string, t []byte) []byte { return expandLabel(secret, label, t, 32) }

func gcmOpen(t *testing.T, key, nonce, aad, sealed []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	out, err := gcm.Open(nil, nonce, sealed, aad)
	if err != nil {
		t.Fatalf("the independent reader cannot open: %v", err)
	}
	return out
}

// tcpOpen opens a TCP record of epoch 0: stream 1, session 0.
func tcpOpen(t *testing.T, secret []byte, seq byte, sealed []byte) []byte {
	t.Helper()
	aad := []byte{0x11, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, seq}
	nonce := expandLabel(secret, "iv", nil, 12)
	nonce[3] ^= 1
	nonce[11] ^= seq
	return gcmOpen(t, expandLabel(secret, "key", nil, 32), nonce, aad, sealed)
}

// opened is a sealed flight in its parts.
type opened struct{ head, key, signature, finished []byte }

func openFlight(t *testing.T, secret, aad, sealed []byte) opened {
	t.Helper()
	b := gcmOpen(t, expandLabel(secret, "key", nil, 32), expandLabel(secret, "iv", nil, 12), aad, sealed)
	n := 2 + int(binary.BigEndian.Uint16(b))
	if !bytes.Equal(b[n:n+4], []byte{2, 0, 1312 >> 8, 1312 & 255}) {
		t.Fatalf("identity header %x", b[n:n+4])
	}
	f := opened{head: b[:n+4+1312], key: b[n+4 : n+4+1312]}
	rest := b[n+4+1312:]
	f.signature, f.finished, rest = rest[:2420], rest[2420:2452], rest[2452:]
	if len(b)%256 != 0 || len(rest) > 255 || len(bytes.Trim(rest, "\x00")) != 0 {
		t.Fatalf("padding of %d bytes in %d", len(rest), len(b))
	}
	return f
}

func (f *opened) signedBy(t *testing.T, label string, digest []byte) {
	t.Helper()
	var pk mldsa44.PublicKey
	if err := pk.UnmarshalBinary(f.key); err != nil {
		t.Fatal(err)
	}
	message := append(bytes.Repeat([]byte{' '}, 64), label+"\x00\x02"...)
	if !mldsa44.Verify(&pk, append(message, digest...), []byte("QZMQ1"), f.signature) {
		t.Errorf("the signature %q does not verify", label)
	}
}

// readVector finds everything that the specification names in the messages of v.
func readVector(t *testing.T, v *vector) (r vectorFound) {
	t.Helper()
	in, w := &v.Inputs, &v.Wire
	zero, empty := make([]byte, 32), hash256()
	prologue := bytes.Join([][]byte{[]byte("qzmq1\x01"), in.InitiatorGreeting, in.ResponderGreeting}, nil)

	// The KEM: ML-KEM first, then X25519, in share, ciphertext and secret.
	share := w.ServerHello[42:1162]
	_, dk := mlkem768.NewKeyFromSeed(in.MLKEMSeed)
	r.MLKEMSecret = make([]byte, 32)
	dk.DecapsulateTo(r.MLKEMSecret, share[:1088])
	r.X25519Secret = x25519(t, in.InitiatorX25519, share[1088:])

	r.Early = mac256(zero, zero)
	r.Handshake = mac256(derive(r.Early, "derived", empty), r.MLKEMSecret, r.X25519Secret)
	all := bytes.Join([][]byte{prologue, w.ClientHello, w.ServerHello[:1162]}, nil)
	point := func(i int, more ...[]byte) []byte {
		all = append(all, bytes.Join(more, nil)...)
		r.T[i-1] = hash256(all)
		return r.T[i-1]
	}
	t1 := point(1)
	r.InitiatorHS, r.ResponderHS = derive(r.Handshake, "c hs traffic", t1), derive(r.Handshake, "s hs traffic", t1)

	f := openFlight(t, r.ResponderHS, t1, w.ServerHello[1162:])
	f.signedBy(t, "QZMQ1 responder", point(2, f.head))
	r.ResponderFinished = mac256(derive(r.ResponderHS, "finished", nil), point(3, f.signature))
	if !bytes.Equal(r.ResponderFinished, f.finished) {
		t.Error("the responder's finished is wrong")
	}
	name := hash256([]byte{2}, f.key)
	r.ResponderFingerprint = Fingerprint(name).String()
	r.SilenceKey = hash256([]byte("qzmq1 silence"), name)
	end := len(w.ClientHello) - 32
	if !bytes.Equal(mac256(r.SilenceKey, hash256(w.ClientHello[:end])), w.ClientHello[end:]) {
		t.Error("the silence MAC is wrong")
	}
	t4 := point(4, f.finished)

	f = openFlight(t, r.InitiatorHS, t4, w.ClientKey[4:])
	f.signedBy(t, "QZMQ1 initiator", point(5, w.ClientKey[:4], f.head))
	r.InitiatorFinished = mac256(derive(r.InitiatorHS, "finished", nil), point(6, f.signature))
	if !bytes.Equal(r.InitiatorFinished, f.finished) {
		t.Error("the initiator's finished is wrong")
	}
	r.InitiatorFingerprint = Fingerprint(hash256([]byte{2}, f.key)).String()
	ext := append(extension(0xFF02, in.InitiatorMetadata), extension(0xFF03, []byte(in.Service))...)
	if !bytes.Equal(f.head[2:len(f.head)-4-1312], ext) {
		t.Errorf("extensions %x, want %x", f.head[2:len(f.head)-4-1312], ext)
	}
	t7 := point(7, f.finished)

	r.Main = mac256(derive(r.Handshake, "derived", empty), zero)
	r.InitiatorApp, r.ResponderApp = derive(r.Main, "c ap traffic", t7), derive(r.Main, "s ap traffic", t7)
	r.Exporter = derive(r.Main, "exp master", t7)
	last := tcpOpen(t, r.ResponderApp, 0, w.Finished[4:])
	ext = extension(0xFF02, in.ResponderMetadata)
	want := append([]byte{byte(len(ext) >> 8), byte(len(ext))}, ext...)
	if !bytes.Equal(last, append(want, make([]byte, (256-len(want)%256)%256)...)) {
		t.Errorf("Finished holds %x", last)
	}
	r.Data = readDataKeys(r.Exporter)
	return r
}

// readDataKeys derives a few data keys (2.6).
func readDataKeys(exporter []byte) (list []vectorData) {
	for _, d := range []vectorData{
		{Setup: bytes.Repeat([]byte{1}, 32), Direction: 0, Stream: 0},
		{Setup: bytes.Repeat([]byte{1}, 32), Direction: 1, Stream: 0},
		{Setup: bytes.Repeat([]byte{2}, 32), Direction: 0, Stream: 0x1234},
	} {
		context := hash256(d.Setup, []byte{d.Direction, byte(d.Stream >> 8), byte(d.Stream)})
		d.Secret = expandLabel(derive(exporter, "QZMQ1 data", hash256()), "exporter", context, 32)
		d.Key, d.IV = expandLabel(d.Secret, "key", nil, 32), expandLabel(d.Secret, "iv", nil, 12)
		list = append(list, d)
	}
	return list
}

// extension is nothing for an empty body.
func extension(code uint16, body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	b := binary.BigEndian.AppendUint16(nil, code)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

func x25519(t *testing.T, private, public []byte) []byte {
	t.Helper()
	k, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := k.ECDH(p)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

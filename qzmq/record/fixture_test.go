package record_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

const (
	testSession = 0xa1b2c3d4
	testStream  = 0x0102
)

var ciphers = []struct {
	name string
	aead record.AEAD
}{
	{"aes256gcm", record.AES256GCM},
	{"chacha20poly1305", record.ChaCha20Poly1305},
}

// forEachCipher runs f once for every registered cipher.
func forEachCipher(t *testing.T, f func(t *testing.T, a record.AEAD)) {
	for _, c := range ciphers {
		t.Run(c.name, func(t *testing.T) { f(t, c.aead) })
	}
}

// secret is a traffic secret that differs in every byte from that of another n.
func secret(n byte) []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = n ^ byte(i*7+1)
	}
	return b
}

func keys(a record.AEAD, n byte) *record.Keys { return record.NewKeys(a, record.SHA256, secret(n)) }

// pair is a sealer and the opener of what it seals.
func pair(a record.AEAD, n byte) (*record.Sealer, *record.Opener) {
	return record.NewSealer(keys(a, n), testSession, testStream), record.NewOpener(keys(a, n), testSession, testStream)
}

// seal makes one record.
func seal(t testing.TB, s *record.Sealer, payload []byte) []byte {
	t.Helper()
	dst := make([]byte, len(payload)+record.Overhead)
	b := record.NewBurst(1)
	if !b.Add(s, dst, payload) {
		t.Fatal("the sealer refused a record")
	}
	b.Seal()
	return dst
}

// open opens one record and gives its payload.
func open(o *record.Opener, sealed []byte) ([]byte, record.Verdict) {
	dst := make([]byte, max(0, len(sealed)-record.Overhead))
	n, v := o.Open(dst, sealed)
	return dst[:n], v
}

// mustOpen fails the test unless the record opens to want.
func mustOpen(t testing.TB, o *record.Opener, sealed, want []byte) {
	t.Helper()
	got, v := open(o, sealed)
	if v != record.Opened || !bytes.Equal(got, want) {
		t.Fatalf("verdict %d, payload %x; want Opened, %x", v, got, want)
	}
}

// mustRefuse fails the test unless the verdict is want, and nothing came out.
func mustRefuse(t testing.TB, o *record.Opener, sealed []byte, want record.Verdict) {
	t.Helper()
	got, v := open(o, sealed)
	if v != want || len(got) != 0 {
		t.Fatalf("verdict %d and %d bytes, want verdict %d and nothing", v, len(got), want)
	}
}

// panics says whether f does.
func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

// message is a payload that names its number.
func message(i int) []byte { return fmt.Appendf(nil, "record number %d", i) }

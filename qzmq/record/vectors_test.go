package record_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
	"golang.org/x/crypto/chacha20poly1305"
)

// expandLabel is RFC 8446 section 7.1 over RFC 5869 section 2.3, written out
// with nothing but HMAC, so that it shares no code with the package.
func expandLabel(secret []byte, label string, context []byte, n int) []byte {
	info := []byte{byte(n >> 8), byte(n), byte(len("qzmq1 ") + len(label))}
	info = append(info, "qzmq1 "+label...)
	info = append(append(info, byte(len(context))), context...)
	var out, last []byte
	for i := byte(1); len(out) < n; i++ {
		m := hmac.New(sha256.New, secret)
		m.Write(last)
		m.Write(info)
		m.Write([]byte{i})
		last = m.Sum(nil)
		out = append(out, last...)
	}
	return out[:n]
}

func TestExpandLabel(t *testing.T) {
	for _, c := range []struct {
		label   string
		context []byte
		n       int
	}{
		{"key", nil, 32},
		{"iv", nil, 12},
		{"", nil, 1},
		{"c ap traffic", bytes.Repeat([]byte{0xaa}, 32), 32},
		{"exporter", bytes.Repeat([]byte{1}, 255), 100},
		{"traffic upd", nil, 32},
		{"long", []byte{0}, 255 * 32},
	} {
		got := record.ExpandLabel(record.SHA256, secret(9), c.label, c.context, c.n)
		if want := expandLabel(secret(9), c.label, c.context, c.n); !bytes.Equal(got, want) {
			t.Errorf("%q, %d bytes of context, %d bytes:\n got %x\nwant %x", c.label, len(c.context), c.n, got, want)
		}
	}
}

// The key and iv of secret(0) as constants: both sides of the test above
// could be wrong in the same way, and then every record would still open.
// Computed with Python: hmac.new(secret, b"\x00\x20\x09qzmq1 key\x00\x01", "sha256")
// and hmac.new(secret, b"\x00\x0c\x08qzmq1 iv\x00\x01", "sha256").
const (
	knownKey = "806e43f5990bda5fdc226c95bab0c1677a7d865474cc0cd1a5756dc560a5f094"
	knownIV  = "280d7fa412c18b5c52ab656b"
)

func TestExpandLabelKnownAnswer(t *testing.T) {
	if got := hex.EncodeToString(record.ExpandLabel(record.SHA256, secret(0), "key", nil, 32)); got != knownKey {
		t.Errorf("key %s, want %s", got, knownKey)
	}
	if got := hex.EncodeToString(record.ExpandLabel(record.SHA256, secret(0), "iv", nil, 12)); got != knownIV {
		t.Errorf("iv %s, want %s", got, knownIV)
	}
}

// cipherOf makes the bare cipher and the iv that secret(n) stands for.
func cipherOf(t testing.TB, a record.AEAD, n byte) (cipher.AEAD, []byte) {
	t.Helper()
	key := expandLabel(secret(n), "key", nil, 32)
	var c cipher.AEAD
	var err error
	if a == record.AES256GCM {
		b, blockErr := aes.NewCipher(key)
		if blockErr != nil {
			t.Fatal(blockErr)
		}
		c, err = cipher.NewGCM(b)
	} else {
		c, err = chacha20poly1305.New(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, expandLabel(secret(n), "iv", nil, 12)
}

// header is the 16 bytes of SPEC's figure, put together by hand.
func header(kind, epoch byte, stream uint16, session uint32, seq uint64) []byte {
	h := []byte{kind, epoch, byte(stream >> 8), byte(stream)}
	for shift := 24; shift >= 0; shift -= 8 {
		h = append(h, byte(session>>shift))
	}
	for shift := 56; shift >= 0; shift -= 8 {
		h = append(h, byte(seq>>shift))
	}
	return h
}

// nonce is iv XOR (stream u32 | seq u64).
func nonce(iv []byte, stream uint32, seq uint64) []byte {
	n := bytes.Clone(iv)
	for i := range 4 {
		n[i] ^= byte(stream >> (24 - 8*i))
	}
	for i := range 8 {
		n[4+i] ^= byte(seq >> (56 - 8*i))
	}
	return n
}

func TestRecordSealedByHand(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		c, iv := cipherOf(t, a, 1)
		s, o := pair(a, 1)
		for seq := range uint64(300) { // past the first byte of the number
			payload := bytes.Repeat([]byte{byte(seq)}, int(seq*5))
			h := header(0x10, 0, testStream, testSession, seq)
			want := c.Seal(bytes.Clone(h), nonce(iv, testStream, seq), payload, h)
			if got := seal(t, s, payload); !bytes.Equal(got, want) {
				t.Fatalf("record %d:\n got %x\nwant %x", seq, got, want)
			}
			mustOpen(t, o, want, payload)
		}
		// A number that uses all eight bytes, which no sealer lives to reach.
		h := header(0x10, 0, testStream, testSession, 0x0123456789abcdef)
		mustOpen(t, o, c.Seal(h, nonce(iv, testStream, 0x0123456789abcdef), []byte("far"), h), []byte("far"))
	})
}

func TestStreamRecordByHand(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		c, iv := cipherOf(t, a, 1)
		s, o := record.NewStreamSealer(keys(a, 1)), record.NewStreamOpener(keys(a, 1))
		for seq := range uint64(300) {
			payload := bytes.Repeat([]byte{byte(seq)}, int(seq*5))
			aad := header(0x11, 0, 1, 0, seq)
			want := c.Seal([]byte("prefix"), nonce(iv, 1, seq), payload, aad)
			got, err := s.Seal([]byte("prefix"), payload)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("record %d: %v\n got %x\nwant %x", seq, err, got, want)
			}
			plain, err := o.Open([]byte("before"), want[len("prefix"):])
			if err != nil || !bytes.Equal(plain, append([]byte("before"), payload...)) {
				t.Fatalf("record %d opens to %x, %v", seq, plain, err)
			}
		}
	})
}

func TestOnceByHand(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		c, iv := cipherOf(t, a, 1)
		want := c.Seal(nil, iv, []byte("flight"), []byte("transcript"))
		if got := keys(a, 1).SealOnce([]byte("transcript"), []byte("flight")); !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
		if got, err := keys(a, 1).OpenOnce([]byte("transcript"), want); err != nil || string(got) != "flight" {
			t.Errorf("opens to %q, %v", got, err)
		}
		for bit := range len(want) * 8 {
			bad := bytes.Clone(want)
			bad[bit/8] ^= 1 << (bit % 8)
			if got, err := keys(a, 1).OpenOnce([]byte("transcript"), bad); err != record.ErrBadRecord || got != nil {
				t.Fatalf("bit %d flipped: %q, %v", bit, got, err)
			}
		}
		for n := range want {
			if _, err := keys(a, 1).OpenOnce([]byte("transcript"), want[:n]); err != record.ErrBadRecord {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
		}
		if _, err := keys(a, 1).OpenOnce([]byte("transcripT"), want); err != record.ErrBadRecord {
			t.Errorf("other associated data: %v", err)
		}
	})
}

func TestParseHeader(t *testing.T) {
	valid := append(header(0x10, 7, 0xfffe, 0x01020304, 0x1122334455667788), make([]byte, 16)...)
	want := record.Header{Epoch: 7, Stream: 0xfffe, Session: 0x01020304, Seq: 0x1122334455667788}
	if got, ok := record.ParseHeader(valid); !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
	for n := range valid {
		if _, ok := record.ParseHeader(valid[:n]); ok {
			t.Errorf("%d bytes were taken for a record", n)
		}
	}
	for kind := range 256 {
		b := bytes.Clone(valid)
		b[0] = byte(kind)
		if _, ok := record.ParseHeader(b); ok != (kind == 0x10) {
			t.Errorf("type %#x: %v", kind, ok)
		}
	}
}

package record

import (
	"crypto/cipher"
	"encoding/binary"
	"testing"
)

// watched is a cipher that remembers which nonces its key sealed under, in the
// book of that key.
type watched struct {
	cipher.AEAD
	t    *testing.T
	book map[[nonceLen]byte]bool
}

func (w *watched) Seal(dst, nonce, plaintext, aad []byte) []byte {
	n := [nonceLen]byte(nonce)
	if w.book[n] {
		w.t.Fatalf("nonce %x was sealed under twice with one key", n)
	}
	w.book[n] = true
	return w.AEAD.Seal(dst, nonce, plaintext, aad)
}

func testKeys(n byte) *Keys {
	secret := make([]byte, 32)
	secret[0] = n
	return NewKeys(AES256GCM, SHA256, secret)
}

// watch puts one book behind every half, as if all had one key: the hardest
// case, in which only stream and number keep nonces apart.
func watch(t *testing.T, halves ...*half) map[[nonceLen]byte]bool {
	book := map[[nonceLen]byte]bool{}
	for _, h := range halves {
		h.aead = &watched{h.aead, t, book}
	}
	return book
}

func TestNoNonceTwice(t *testing.T) {
	const perSealer, streams = 1 << 16, 5
	sealers := make([]*Sealer, streams)
	halves := make([]*half, streams)
	for i, stream := range []uint16{0, 1, 2, 256, 0xffff} {
		sealers[i] = NewSealer(testKeys(1), 7, stream)
		stuck(sealers[i]) // one key for all: other keys may repeat nonces
		halves[i] = &sealers[i].half
	}
	book := watch(t, halves...)
	b := NewBurst(64)
	dst := make([]byte, Overhead)
	for i := range perSealer * streams {
		// In runs of changing length, so that a burst mixes sealers in every way.
		if !b.Add(sealers[(i+i/7)%streams], dst, nil) {
			t.Fatal("refused")
		}
		if b.Full() || i%97 == 0 {
			b.Seal()
		}
	}
	b.Seal()
	if len(book) != perSealer*streams {
		t.Errorf("%d nonces for %d records", len(book), perSealer*streams)
	}
}

// A refusal, a recovered panic or an empty Seal must not repeat a number.
func TestNoNonceTwiceAfterTrouble(t *testing.T) {
	s := NewSealer(testKeys(1), 7, 1)
	book := watch(t, &s.half)
	b := NewBurst(2)
	add := func(dst []byte) (panicked bool) {
		defer func() { panicked = recover() != nil }()
		b.Add(s, dst, []byte("x"))
		return false
	}
	b.Seal()
	for range 3 { // the third finds the burst full
		add(make([]byte, Overhead+1))
	}
	if !add(make([]byte, Overhead+1)) {
		t.Error("a full burst takes records")
	}
	b.Seal()
	b.Seal()
	if !add(make([]byte, Overhead)) {
		t.Error("a record longer than its memory was taken")
	}
	add(make([]byte, Overhead+1))
	b.Seal()
	if len(book) != 3 || s.header.Seq != 3 || s.Usage().Records != 3 {
		t.Errorf("%d nonces, next number %d, %d records counted; want 3 of each", len(book), s.header.Seq, s.Usage().Records)
	}
}

func TestNoNonceTwiceOnTCP(t *testing.T) {
	s := NewStreamSealer(testKeys(1))
	book := watch(t, &s.half)
	for i := range 1 << 16 {
		if _, err := s.Seal(nil, make([]byte, i%50)); err != nil {
			t.Fatal(err)
		}
	}
	if len(book) != 1<<16 {
		t.Errorf("%d nonces for %d records", len(book), 1<<16)
	}
}

// The nonce covers stream and number in full: no two pairs share one.
func TestNonceLayout(t *testing.T) {
	var iv, base [nonceLen]byte
	for i := range iv {
		iv[i] = byte(0x11 * i)
	}
	putNonce(&base, &iv, 0, 0)
	if base != iv {
		t.Errorf("nonce %x of stream 0, number 0, want the iv %x", base, iv)
	}
	for bit := range 96 {
		var in, got [nonceLen]byte
		in[bit/8] = 0x80 >> (bit % 8)
		if bit < 16 {
			continue // streams have 16 bits of the 32
		}
		putNonce(&got, &iv, binary.BigEndian.Uint16(in[2:]), binary.BigEndian.Uint64(in[4:]))
		for i := range got {
			if got[i] != iv[i]^in[i] {
				t.Errorf("bit %d: nonce %x, want iv %x with one bit flipped", bit, got, iv)
				break
			}
		}
	}
}

func TestKeysAreUsedOnce(t *testing.T) {
	uses := map[string]func(*Keys){
		"NewSealer":       func(k *Keys) { NewSealer(k, 1, 1) },
		"NewOpener":       func(k *Keys) { NewOpener(k, 1, 1) },
		"NewStreamSealer": func(k *Keys) { NewStreamSealer(k) },
		"NewStreamOpener": func(k *Keys) { NewStreamOpener(k) },
		"SealOnce":        func(k *Keys) { k.SealOnce(nil, nil) },
		"OpenOnce":        func(k *Keys) { k.OpenOnce(nil, make([]byte, 20)) },
	}
	for first, use := range uses {
		for second, again := range uses {
			k := testKeys(1)
			use(k)
			if k.secret != nil {
				t.Errorf("%s leaves the secret in Keys", first)
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s takes keys that %s consumed", second, first)
					}
				}()
				again(k)
			}()
		}
	}
}

func TestKeysCopyAndWipe(t *testing.T) {
	secret := make([]byte, 32)
	secret[5] = 9
	k := NewKeys(AES256GCM, SHA256, secret)
	inside := k.secret
	clear(secret)
	if inside[5] != 9 {
		t.Error("Keys shares the caller's memory")
	}
	NewSealer(k, 1, 1)
	for i, b := range inside {
		if b != 0 {
			t.Fatalf("byte %d of the secret was not wiped", i)
		}
	}
	for _, n := range []int{0, 31, 33, 64} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a secret of %d bytes was taken", n)
				}
			}()
			NewKeys(AES256GCM, SHA256, make([]byte, n))
		}()
	}
}

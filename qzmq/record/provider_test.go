package record

import (
	"crypto/cipher"
	"errors"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/record/vaes"
)

// providers are all that there are for this machine.
func providers(tb testing.TB) []provider {
	list := []provider{standard()}
	if vaes.Supported() {
		list = append(list, vectorised())
	}
	return list
}

func TestProvidersPassTheirTest(t *testing.T) {
	for _, p := range providers(t) {
		if got, fault := tested(p); fault != nil || got.name != p.name {
			t.Errorf("%s: %v", p.name, fault)
		}
	}
	if name := vectorised().name; vaes.Supported() && !strings.HasPrefix(name, "vaes-") {
		t.Errorf("the faster cipher is called %q", name)
	}
}

// A cipher that is wrong in any way is noticed at start, and the standard library
// takes its place.
func TestBrokenProvider(t *testing.T) {
	for name, spoil := range map[string]func(*broken){
		"wrong tag":           func(b *broken) { b.tag = true },
		"does not open":       func(b *broken) { b.closed = true },
		"opens anything":      func(b *broken) { b.open = true },
		"long text only":      func(b *broken) { b.tag, b.from = true, 1000 },
		"wrong when it opens": func(b *broken) { b.text = true },
	} {
		p := provider{"broken", func(key []byte) (cipher.AEAD, error) {
			c, err := standard().gcm(key)
			b := &broken{AEAD: c}
			spoil(b)
			return b, err
		}}
		if got, fault := tested(p); !errors.Is(fault, ErrSelfTest) || got.name != standard().name {
			t.Errorf("%s: %s, %v", name, got.name, fault)
		}
	}
	p := provider{"none", func([]byte) (cipher.AEAD, error) { return nil, vaes.ErrUnsupported }}
	if _, fault := tested(p); !errors.Is(fault, vaes.ErrUnsupported) {
		t.Error(fault)
	}
}

type broken struct {
	cipher.AEAD
	tag, closed, open, text bool
	from                    int // bytes of plaintext from which on it is broken
}

func (b *broken) Seal(dst, nonce, plaintext, aad []byte) []byte {
	out := b.AEAD.Seal(dst, nonce, plaintext, aad)
	if b.tag && len(plaintext) >= b.from {
		out[len(out)-1] ^= 1
	}
	return out
}

func (b *broken) Open(dst, nonce, sealed, aad []byte) ([]byte, error) {
	out, err := b.AEAD.Open(dst, nonce, sealed, aad)
	switch {
	case b.closed:
		return nil, ErrBadRecord
	case b.open && err != nil:
		return make([]byte, len(sealed)-TagLen), nil
	case b.text && err == nil:
		out[0] ^= 1
	}
	return out, err
}

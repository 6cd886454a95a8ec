package handshake

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestEarlyAPI: nothing unsafe can be put in, and nothing goes out twice.
func TestEarlyAPI(t *testing.T) {
	safe := topics(t, "beat")
	e := safe.Early()
	for _, m := range []EarlyMessage{nil, {}, message("order"), message("beats"), message("bea"), message(""), message("order", "beat")} {
		if err := e.Add(m); !errors.Is(err, ErrUnsafeTopic) {
			t.Errorf("%q: %v", m, err)
		}
	}
	if err := new(EarlyData).Add(message("beat")); !errors.Is(err, ErrUnsafeTopic) {
		t.Errorf("early data of no topics: %v", err)
	}
	var none *SafeTopics
	if err := none.Early().Add(message("beat")); !errors.Is(err, ErrUnsafeTopic) {
		t.Errorf("early data of nil topics: %v", err)
	}
	if err := e.Add(make(EarlyMessage, 256)); !errors.Is(err, ErrUnsafeTopic) {
		t.Errorf("%v", err)
	}
	if err := e.Add(append(message("beat"), make(EarlyMessage, 255)...)); !errors.Is(err, ErrEarlyTooMuch) {
		t.Errorf("256 frames: %v", err)
	}
	full := message("beat", strings.Repeat("x", MaxEarlyData-3-4-2))
	if err := e.Add(append(full, nil)); !errors.Is(err, ErrEarlyTooMuch) || !e.empty() {
		t.Errorf("one frame too much: %v", err)
	}
	own := []byte("beat")
	if err := e.Add(EarlyMessage{own, full[1]}); err != nil {
		t.Errorf("exactly full: %v", err)
	}
	copy(own, "XXXX")
	if err := e.Add(message("beat")); !errors.Is(err, ErrEarlyTooMuch) || len(e.messages) != 1 {
		t.Errorf("more than full: %v", err)
	}
	for _, list := range [][]string{{""}, {"a", strings.Repeat("t", 256)}} {
		if _, err := NewSafeTopics(list...); err == nil {
			t.Errorf("%q are taken", list)
		}
	}

	p := newPair(t)
	p.withEarly()
	p.initiatorConf.Early, p.responderConf.SafeTopics = e, safe
	p.start()
	if taken := p.fromEarly(); len(taken) != 1 || !bytes.Equal(taken[0][0], []byte("beat")) || len(taken[0][1]) != len(full[1]) {
		t.Errorf("%d messages arrive", len(taken))
	}
	if err := e.Add(message("beat")); !errors.Is(err, ErrEarlyUsed) {
		t.Errorf("added to what is sent: %v", err)
	}
	if _, err := NewInitiator(p.initiatorConf); !errors.Is(err, ErrEarlyUsed) {
		t.Errorf("sent twice: %v", err)
	}
}

func FuzzEarly(f *testing.F) {
	e := early(f, topics(f, "beat", "quote"), spoken...)
	f.Add(pad(bytes.Clone(e.encoded)))
	f.Add(make([]byte, padTo))
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		list, err := parseEarly(plaintext)
		if err != nil || len(plaintext) > MaxEarlyData {
			return
		}
		again := &EarlyData{safe: &SafeTopics{set: map[string]struct{}{}}}
		for _, m := range list {
			again.safe.set[string(m[0])] = struct{}{}
			if err := again.Add(m); err != nil {
				t.Fatalf("%x: %v", plaintext, err)
			}
		}
		if got := pad(bytes.Clone(again.encoded)); !bytes.Equal(got, plaintext) {
			t.Fatalf("%x became %x", plaintext, got)
		}
	})
}

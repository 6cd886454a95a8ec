package vaes

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMisuse(t *testing.T) { each(t, testMisuse) }

func testMisuse(t *testing.T, w width) {
	s := newSource()
	c, _ := both(t, w, s.bytes(keySize))
	if c.NonceSize() != nonceSize || c.Overhead() != tagSize {
		t.Errorf("nonces of %d bytes, tags of %d", c.NonceSize(), c.Overhead())
	}
	for n := range 66 {
		if _, err := w.new(make([]byte, n)); (err == nil) != (n == keySize) {
			t.Errorf("a key of %d bytes: %v", n, err)
		}
		if n != nonceSize {
			panics(t, "a nonce of another length", func() { c.Seal(nil, make([]byte, n), nil, nil) })
			panics(t, "a nonce of another length", func() { c.Open(nil, make([]byte, n), make([]byte, 16), nil) })
		}
	}
	nonce, memory := s.bytes(nonceSize), make([]byte, 1000)
	panics(t, "output within the input", func() { c.Seal(memory[1:1], nonce, memory[:100], nil) })
	panics(t, "input within the output", func() { c.Seal(memory[:0], nonce, memory[1:100], nil) })
	panics(t, "a tag over the input's end", func() { c.Seal(memory[:0], nonce, memory[115:215], nil) })
	panics(t, "output within the input", func() { c.Open(memory[1:1], nonce, memory[:100], nil) })
	panics(t, "input within the output", func() { c.Open(memory[:0], nonce, memory[1:100], nil) })
	c.Seal(memory[:0], nonce, memory[116:216], nil) // as near as may be
	c.Seal(memory[100:100], nonce, memory[:100], nil)
	c.Seal(memory[:0], nonce, memory[5:5], nil) // nothing overlaps with nothing

	// Address space costs nothing until it is touched.
	vast, err := unix.Mmap(-1, 0, maxText+1+tagSize, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(vast)
	panics(t, "more than the counter can count", func() { c.Seal(nil, nonce, vast[:maxText+1], nil) })
	if _, err := c.Open(nil, nonce, vast, nil); err != ErrOpen {
		t.Errorf("more than the counter can count: %v", err)
	}
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "vaes: ") {
			t.Errorf("%s: %v", what, r)
		}
	}()
	f()
}

// TestPrintsNothing has a key of zeros, whose last round keys are well known.
func TestPrintsNothing(t *testing.T) { each(t, testPrintsNothing) }

func testPrintsNothing(t *testing.T, w width) {
	c, _ := both(t, w, make([]byte, keySize))
	text := []string{fmt.Sprint(c), fmt.Errorf("%w %v", ErrOpen, c).Error(), string(must(json.Marshal(c)))}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%t"} {
		text = append(text, fmt.Sprintf(verb, c), fmt.Sprintf(verb, []any{c}), fmt.Sprintf(verb, struct{ C any }{c}))
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("cipher", "c", c)
	for _, x := range append(text, b.String()) {
		if !strings.Contains(x, "[secret]") || len(x) > 120 {
			t.Errorf("%s", x)
		}
	}
}

// TestFences puts everything at both ends of memory between pages that may not be
// touched: one byte read or written too far ends the test.
func TestFences(t *testing.T) { each(t, testFences) }

func testFences(t *testing.T, w width) {
	s := newSource()
	ours, standard := both(t, w, s.bytes(keySize))
	input, output, beside, number := fenced(t), fenced(t), fenced(t), fenced(t)
	place := func(memory []byte, n int, atEnd bool) []byte {
		if atEnd {
			return memory[len(memory)-n:]
		}
		return memory[:n:n]
	}
	for _, atEnd := range []bool{true, false} {
		key := place(number, keySize, atEnd)
		s.Read(key)
		fencedKey, err := w.new(key)
		if err != nil {
			t.Fatal(err)
		}
		check(t, fencedKey, must2(both(t, w, key)), s.bytes(nonceSize), s.bytes(100), nil)
		nonce := place(number, nonceSize, atEnd)
		s.Read(nonce)
		for n := range 1600 {
			aad := place(beside, n%81, atEnd)
			s.Read(aad)
			plaintext := s.bytes(n)
			want := standard.Seal(nil, nonce, plaintext, aad)
			in, out := place(input, n, atEnd), place(output, n+tagSize, atEnd)
			copy(in, plaintext)
			if got := ours.Seal(out[:0], nonce, in, aad); string(got) != string(want) {
				t.Fatalf("%d bytes seal wrongly", n)
			}
			in, out = place(input, n+tagSize, atEnd), place(output, n, atEnd)
			copy(in, want)
			got, err := ours.Open(out[:0], nonce, in, aad)
			if err != nil || string(got) != string(plaintext) {
				t.Fatalf("%d bytes open wrongly: %v", n, err)
			}
		}
	}
}

func must2[A, B any](_ A, b B) B { return b }

// fenced gives two pages of memory between two that may not be touched.
func fenced(t *testing.T) []byte {
	t.Helper()
	page := unix.Getpagesize()
	m, err := unix.Mmap(-1, 0, 4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(m) })
	for _, fence := range [][]byte{m[:page], m[3*page:]} {
		if err := unix.Mprotect(fence, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return m[page : 3*page]
}

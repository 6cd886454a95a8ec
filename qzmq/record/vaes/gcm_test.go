package vaes

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// each runs a test once for every implementation. Where the processor cannot, the
// test is skipped, unless the kernel says that it can.
func each(t *testing.T, test func(t *testing.T, w width)) {
	for _, w := range widths() {
		t.Run(w.String(), func(t *testing.T) {
			needs(t, w)
			test(t, w)
		})
	}
}

func needs(t testing.TB, w width) {
	t.Helper()
	if w.possible() {
		return
	}
	flags := strings.Fields(string(must(os.ReadFile("/proc/cpuinfo"))))
	needed := []string{"vaes", "vpclmulqdq", "avx2", "bmi2"}
	if w == avx512 {
		needed = append(needed, "avx512f", "avx512bw", "avx512vl")
	}
	for _, flag := range needed {
		if !slices.Contains(flags, flag) {
			t.Skipf("the kernel knows of no %s here", flag)
		}
	}
	t.Fatalf("%v: denied, and the kernel says otherwise", w)
}

// both gives one of our ciphers and the standard library's under one key.
func both(t testing.TB, w width, key []byte) (ours, standard cipher.AEAD) {
	t.Helper()
	b, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	if standard, err = cipher.NewGCM(b); err != nil {
		t.Fatal(err)
	}
	if ours, err = w.new(key); err != nil {
		t.Fatal(err)
	}
	return ours, standard
}

// TestChoice: New takes the fastest that there is, and says so.
func TestChoice(t *testing.T) {
	want, ok := width(0), false
	for _, w := range []width{avx2, avx512} {
		if w.possible() {
			want, ok = w, true
		}
	}
	c, err := New(make([]byte, keySize))
	if !ok {
		if err != ErrUnsupported || Supported() || Name() != "" {
			t.Errorf("nothing is possible, and New gives %v, %v, as %q", c, err, Name())
		}
		return
	}
	if err != nil || !Supported() || Name() != want.String() {
		t.Errorf("New gives %q, %v instead of %v", Name(), err, want)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// source gives bytes that are the same in every run.
type source struct{ *rand.ChaCha8 }

func newSource() source { return source{rand.NewChaCha8([32]byte{'v', 'a', 'e', 's'})} }

func (s source) bytes(n int) []byte {
	b := make([]byte, n)
	s.Read(b)
	return b
}

// check seals and opens with both ciphers, from and to new memory.
func check(t *testing.T, ours, standard cipher.AEAD, nonce, plaintext, aad []byte) {
	t.Helper()
	want := standard.Seal(nil, nonce, plaintext, aad)
	if got := ours.Seal(nil, nonce, plaintext, aad); !bytes.Equal(got, want) {
		t.Fatalf("%d bytes with %d beside them seal wrongly", len(plaintext), len(aad))
	}
	got, err := ours.Open(nil, nonce, want, aad)
	if err != nil || !bytes.Equal(got, plaintext) {
		t.Fatalf("%d bytes with %d beside them open wrongly: %v", len(plaintext), len(aad), err)
	}
}

func TestLengths(t *testing.T) { each(t, testLengths) }

func testLengths(t *testing.T, w width) {
	s := newSource()
	ours, standard := both(t, w, s.bytes(keySize))
	lengths := []int{4079, 4080, 4081, 4096, 8900, 9000, 16384, 65535, 65536, 70000, 1<<20 - 33, 1<<20 + 100}
	for n := range 2101 {
		lengths = append(lengths, n)
	}
	for range 100 {
		lengths = append(lengths, 2100+int(s.Uint64()%68000))
	}
	for _, n := range lengths {
		check(t, ours, standard, s.bytes(nonceSize), s.bytes(n), s.bytes(16))
	}
}

func TestAssociatedData(t *testing.T) { each(t, testAssociatedData) }

func testAssociatedData(t *testing.T, w width) {
	s := newSource()
	ours, standard := both(t, w, s.bytes(keySize))
	for _, n := range []int{0, 1, 15, 16, 17, 32, 33, 95, 96, 97, 224, 352, 479, 480, 481, 976, 977, 992, 1420} {
		for a := range 300 {
			check(t, ours, standard, s.bytes(nonceSize), s.bytes(n), s.bytes(a))
		}
		check(t, ours, standard, s.bytes(nonceSize), s.bytes(n), s.bytes(5000))
	}
}

// TestKeys covers what depends on the key alone: the schedule and the powers of H.
func TestKeys(t *testing.T) { each(t, testKeys) }

func testKeys(t *testing.T, w width) {
	s := newSource()
	for range 2000 {
		ours, standard := both(t, w, s.bytes(keySize))
		check(t, ours, standard, s.bytes(nonceSize), s.bytes(1100), s.bytes(20))
	}
}

const guard = 0xa5

// TestAlignment has source and destination at all places in a cache line, and in
// one place, and bytes around the destination that must not change.
func TestAlignment(t *testing.T) { each(t, testAlignment) }

func testAlignment(t *testing.T, w width) {
	const around = 640 // more than the longest run of stores
	s := newSource()
	ours, standard := both(t, w, s.bytes(keySize))
	nonce, aad := s.bytes(nonceSize), s.bytes(16)
	for _, n := range []int{0, 1, 33, 64, 255, 479, 480, 1011, 1420} {
		plaintext := s.bytes(n)
		sealed := standard.Seal(nil, nonce, plaintext, aad)
		memory, from := make([]byte, n+tagSize+2*around+64), make([]byte, n+tagSize+64)
		run := func(name string, at int, in []byte, want []byte, do func(dst, in []byte) []byte) {
			for i := range memory {
				memory[i] = guard
			}
			dst := memory[around+at:][:0]
			if in == nil { // in place
				in = plaintext
				if name == "open" {
					in = sealed
				}
				in = dst[:copy(dst[:len(in)], in)]
			}
			untouched := around + at + max(len(want), len(in))
			if got := do(dst, in); !bytes.Equal(got, want) {
				t.Fatalf("%s of %d bytes at %d is wrong", name, n, at)
			}
			for i, b := range memory {
				if (i < around+at || i >= untouched) && b != guard {
					t.Fatalf("%s of %d bytes at %d writes to %d", name, n, at, i-around-at)
				}
			}
		}
		seal := func(dst, in []byte) []byte { return ours.Seal(dst, nonce, in, aad) }
		open := func(dst, in []byte) []byte { return must(ours.Open(dst, nonce, in, aad)) }
		for to := range 64 {
			for at := range 64 {
				run("seal", to, from[at:][:copy(from[at:], plaintext)], sealed, seal)
				run("open", to, from[at:][:copy(from[at:], sealed)], plaintext, open)
			}
			run("seal", to, nil, sealed, seal)
			run("open", to, nil, plaintext, open)
		}
	}
}

// TestForgeries changes every byte of everything that the tag covers. Nothing of
// the plaintext may be left.
func TestForgeries(t *testing.T) { each(t, testForgeries) }

func testForgeries(t *testing.T, w width) {
	s := newSource()
	ours, _ := both(t, w, s.bytes(keySize))
	for _, n := range []int{0, 1, 31, 64, 100, 300, 480, 700, 992, 1420} {
		nonce, aad, plaintext := s.bytes(nonceSize), s.bytes(37), s.bytes(n)
		sealed := ours.Seal(nil, nonce, plaintext, aad)
		dst := make([]byte, n)
		refused := func(what string, at int) {
			t.Helper()
			for i := range dst {
				dst[i] = guard
			}
			got, err := ours.Open(dst[:0], nonce, sealed, aad)
			if got != nil || err != ErrOpen {
				t.Fatalf("%d bytes open with byte %d of the %s changed: %v", n, at, what, err)
			}
			if !bytes.Equal(dst, make([]byte, n)) {
				t.Fatalf("byte %d of the %s changed, and %d bytes of something are left", at, what, n)
			}
		}
		for what, part := range map[string][]byte{"ciphertext": sealed[:n], "tag": sealed[n:], "nonce": nonce, "associated data": aad} {
			for i := range part {
				for bit := range 8 {
					part[i] ^= 1 << bit
					refused(what, i)
					part[i] ^= 1 << bit
				}
			}
		}
		whole := aad
		for aad = range slices.Chunk(whole, len(whole)-1) {
			refused("associated data", len(aad))
		}
		aad = whole
		for cut := range len(sealed) {
			if _, err := ours.Open(nil, nonce, sealed[:cut], aad); err != ErrOpen {
				t.Fatalf("%d of %d bytes open: %v", cut, len(sealed), err)
			}
		}
		inPlace := bytes.Clone(sealed)
		inPlace[n] ^= 1
		if _, err := ours.Open(inPlace[:0], nonce, inPlace, aad); err != ErrOpen || !bytes.Equal(inPlace[:n], make([]byte, n)) {
			t.Fatalf("%d bytes opened in place with a wrong tag: %v", n, err)
		}
	}
}

func TestAppends(t *testing.T) { each(t, testAppends) }

func testAppends(t *testing.T, w width) {
	s := newSource()
	ours, standard := both(t, w, s.bytes(keySize))
	nonce, plaintext, before := s.bytes(nonceSize), s.bytes(100), s.bytes(10)
	sealed := ours.Seal(slices.Clip(bytes.Clone(before)), nonce, plaintext, nil)
	if want := standard.Seal(bytes.Clone(before), nonce, plaintext, nil); !bytes.Equal(sealed, want) {
		t.Errorf("Seal does not append")
	}
	opened, err := ours.Open(slices.Clip(bytes.Clone(before)), nonce, sealed[len(before):], nil)
	if err != nil || !bytes.Equal(opened, append(before, plaintext...)) {
		t.Errorf("Open does not append: %v", err)
	}
}

func TestNoAllocations(t *testing.T) { each(t, testNoAllocations) }

func testNoAllocations(t *testing.T, w width) {
	s := newSource()
	ours, _ := both(t, w, s.bytes(keySize))
	for _, n := range []int{0, 64, 1420, 9000} {
		nonce, aad, plaintext := s.bytes(nonceSize), s.bytes(16), s.bytes(n)
		sealed, opened := make([]byte, 0, n+tagSize), make([]byte, 0, n)
		if a := testing.AllocsPerRun(100, func() {
			r := ours.Seal(sealed, nonce, plaintext, aad)
			must(ours.Open(opened, nonce, r, aad))
			r[n] ^= 1
			if _, err := ours.Open(opened, nonce, r, aad); err == nil {
				panic("opened")
			}
		}); a != 0 {
			t.Errorf("%v allocations for %d bytes", a, n)
		}
	}
}

func FuzzAgainstStandard(f *testing.F) {
	if !Supported() {
		for _, w := range widths() {
			needs(f, w)
		}
	}
	f.Add(make([]byte, keySize), make([]byte, nonceSize), []byte("header"), []byte("text"), uint16(1000), uint8(3), uint8(5))
	f.Add(bytes.Repeat([]byte{0xff}, keySize), bytes.Repeat([]byte{0xff}, nonceSize), []byte{}, []byte{}, uint16(0), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, key, nonce, aad, text []byte, repeat uint16, from, to uint8) {
		var k [keySize]byte
		var n [nonceSize]byte
		copy(k[:], key)
		copy(n[:], nonce)
		if len(text) > 0 { // the fuzzer prefers short inputs
			text = bytes.Repeat(text, 1+int(repeat)%3000/len(text))
		}
		for _, w := range widths() {
			if w.possible() {
				compareOnce(t, w, k[:], n[:], text, aad, int(repeat), from, to)
			}
		}
	})
}

func compareOnce(t *testing.T, w width, key, nonce, text, aad []byte, which int, from, to uint8) {
	ours, standard := both(t, w, key)
	in := append(make([]byte, from), text...)[from:]
	out := make([]byte, int(to)+len(text)+tagSize)
	want := standard.Seal(nil, nonce, text, aad)
	sealed := ours.Seal(out[:to], nonce, in, aad)[to:]
	if !bytes.Equal(sealed, want) || !bytes.Equal(in, text) || !bytes.Equal(out[:to], make([]byte, to)) {
		t.Fatalf("%v: %d bytes seal wrongly", w, len(text))
	}
	opened, err := ours.Open(sealed[:0], nonce, sealed, aad)
	if err != nil || !bytes.Equal(opened, text) {
		t.Fatalf("%v: %d bytes open wrongly: %v", w, len(text), err)
	}
	i := which % len(want)
	want[i] ^= 1 + from%255
	if _, err := ours.Open(opened[:0], nonce, want, aad); err != ErrOpen || !bytes.Equal(opened, make([]byte, len(text))) {
		t.Fatalf("%v: %d bytes open with byte %d changed: %v", w, len(text), i, err)
	}
}

func ExampleNew() {
	if c, err := New(make([]byte, keySize)); err == nil {
		fmt.Println(c)
	} else {
		fmt.Println("[secret]") // a processor without the instructions
	}
	// Output: [secret]
}

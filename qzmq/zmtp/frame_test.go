package zmtp

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParseHeader(t *testing.T) {
	long := func(flags byte, size uint64) []byte {
		b := []byte{flags}
		for i := 56; i >= 0; i -= 8 {
			b = append(b, byte(size>>i))
		}
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want Header
		n    int
		err  error
	}{
		{"empty", nil, Header{}, 0, nil},
		{"flags only", []byte{4}, Header{}, 0, nil},
		{"short message", []byte{0, 5}, Header{0, 5}, 2, nil},
		{"short, more", []byte{1, 0, 9}, Header{More, 0}, 2, nil},
		{"short command", []byte{4, 255}, Header{Command, 255}, 2, nil},
		{"long command", long(6, 256), Header{Command, 256}, 9, nil},
		{"long, more", long(3, 1<<32), Header{More, 1 << 32}, 9, nil},
		{"long, incomplete", long(2, 1)[:8], Header{}, 0, nil},
		{"small size in long form", long(2, 3), Header{0, 3}, 9, nil},
		{"largest size", long(2, math.MaxInt64), Header{0, math.MaxInt64}, 9, nil},
		{"64-bit size", long(2, 1<<63), Header{}, 0, ErrTooLarge},
		{"64-bit size, seen early", long(2, 1<<63)[:2], Header{}, 0, ErrTooLarge},
		{"command with more", []byte{5, 1}, Header{}, 0, ErrFlags},
		{"long command with more", []byte{7}, Header{}, 0, ErrFlags},
		{"reserved 3", []byte{0x08, 1}, Header{}, 0, ErrFlags},
		{"reserved 7", []byte{0x84, 1}, Header{}, 0, ErrFlags},
	} {
		h, n, err := ParseHeader(c.in)
		if h != c.want || n != c.n || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, %d, %v", c.name, h, n, err)
		}
	}
}

func TestAppendCommandLayout(t *testing.T) {
	if got := AppendCommand(nil, "PING", []byte{0, 9}); !bytes.Equal(got, []byte("\x04\x07\x04PING\x00\x09")) {
		t.Errorf("short: %q", got)
	}
	got := AppendCommand(nil, "HANDSHAKE", make([]byte, 246))
	if want := "\x06\x00\x00\x00\x00\x00\x00\x01\x00\x09HANDSHAKE"; !strings.HasPrefix(string(got), want) {
		t.Errorf("long: %q", got[:20])
	}
	if len(got) != frameLen(256) {
		t.Errorf("length %d", len(got))
	}
	if got := AppendCommand(nil, "HANDSHAKE", make([]byte, 245)); got[0] != 4 || got[1] != 255 || len(got) != frameLen(255) {
		t.Errorf("255 bytes: %q", got[:2])
	}
}

func TestParseCommandRefuses(t *testing.T) {
	for _, body := range []string{"", "\x00", "\x00abc", "\x05PING", "\x04PIN", "\x04PI G", "\x02\x00\x01", "\x02\xc3\xa9"} {
		if _, _, err := ParseCommand([]byte(body)); !errors.Is(err, ErrCommand) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestCodecAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 512)
	data := make([]byte, 300)
	n := testing.AllocsPerRun(100, func() {
		b := AppendCommand(dst, "MESSAGE", data)
		h, n, err := ParseHeader(b)
		name, got, cerr := ParseCommand(b[n:])
		if err != nil || cerr != nil || h.Size != 308 || string(name) != "MESSAGE" || len(got) != 300 {
			panic("the frame was not read back")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a frame", n)
	}
}

// errWait is what a reader of a test gives at the end of its bytes.
var errWait = errors.New("nothing more yet")

func TestInbufGrowsWithBytesNotClaims(t *testing.T) {
	var b inbuf
	src := io.MultiReader(bytes.NewReader(make([]byte, 100)), iotest.ErrReader(errWait))
	if err := b.fill(src, 1<<30); !errors.Is(err, errWait) {
		t.Fatal(err)
	}
	if len(b.buf) != firstBuf || len(b.unread()) != 100 {
		t.Errorf("100 bytes take %d, %d unread", len(b.buf), len(b.unread()))
	}
}

func TestInbufKeepsOrder(t *testing.T) {
	want := make([]byte, 100_000)
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	readers := map[string]func(io.Reader) io.Reader{
		"whole":    func(r io.Reader) io.Reader { return r },
		"one":      iotest.OneByteReader,
		"half":     iotest.HalfReader,
		"with EOF": iotest.DataErrReader,
	}
	for name, wrap := range readers {
		src := wrap(bytes.NewReader(want))
		var b inbuf
		var got []byte
		for size := 1; len(got)+size <= len(want); size = size*5%20011 + 1 {
			if err := b.fill(src, size); err != nil {
				t.Fatalf("%s: at %d: %v", name, len(got), err)
			}
			got = append(got, b.unread()[:size]...)
			b.consume(size)
			if len(b.buf) > 20011+keepBuf {
				t.Fatalf("%s: the buffer has %d bytes", name, len(b.buf))
			}
		}
		if !bytes.Equal(got, want[:len(got)]) {
			t.Errorf("%s: bytes are out of order", name)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"", "\x00\x05", "\x04\xff", "\x06\x00\x00\x00\x01\x00\x00\x00\x00",
		"\x02\xff\xff\xff\xff\xff\xff\xff\xff", "\x05\x01", "\x80\x00", "\x03\x00\x00\x00\x00\x00\x00\x01\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseHeader(b)
		if err != nil || n == 0 {
			if h != (Header{}) || n != 0 || err == nil && len(b) >= maxHeaderLen {
				t.Fatalf("%x: %+v, %d, %v", b, h, n, err)
			}
			return
		}
		if h.Size > math.MaxInt64 || h.Flags&^(More|Command) != 0 {
			t.Fatalf("%x: %+v", b, h)
		}
		if canonical := (n == 2) == (h.Size <= maxShort); canonical {
			if back := AppendHeader(nil, h.Flags, int(h.Size)); !bytes.Equal(back, b[:n]) {
				t.Fatalf("%x became %x", b[:n], back)
			}
		}
		for i := range n { // no part of a header is a header
			if _, m, err := ParseHeader(b[:i]); m != 0 || err != nil {
				t.Fatalf("%x: %d, %v", b[:i], m, err)
			}
		}
	})
}

func FuzzCommand(f *testing.F) {
	for _, s := range []string{"", "\x00", "\x04PING\x00\x09", "\x09HANDSHAKE\x30\x00\x00\x01\x28", "\x07MESSAGE", "\xffA", "\x01 "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		name, data, err := ParseCommand(body)
		if err != nil {
			if name != nil || data != nil {
				t.Fatal("a refused command has parts")
			}
			return
		}
		frame := AppendCommand(nil, string(name), data)
		h, n, err := ParseHeader(frame)
		if err != nil || h.Flags != Command || h.Size != uint64(len(body)) || !bytes.Equal(frame[n:], body) {
			t.Fatalf("%x became %x", body, frame)
		}
	})
}

// However bytes arrive, the same commands come of them, and the same end.
func FuzzWire(f *testing.F) {
	const limit = 1 << 10
	f.Add(AppendCommand(AppendCommand(nil, "ONE", []byte("1")), "TWO", make([]byte, 300)))
	f.Add(AppendCommand(nil, "LONG", make([]byte, limit-5)))
	f.Add([]byte("\x06\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Add([]byte("\x04\x05\x04PING\x00\x01x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		run := func(src io.Reader) (got []string, end error) {
			var in inbuf
			for {
				name, data, err := in.command(src, limit)
				if len(in.buf) > firstBuf+maxHeaderLen+limit {
					t.Fatalf("the buffer has %d bytes", len(in.buf))
				}
				if err != nil {
					return got, err
				}
				got = append(got, string(AppendCommand(nil, string(name), data)))
			}
		}
		got, end := run(bytes.NewReader(b))
		slow, slowEnd := run(iotest.OneByteReader(bytes.NewReader(b)))
		if !slices.Equal(got, slow) || !errors.Is(slowEnd, end) {
			t.Fatalf("%x: %q, %v; byte by byte %q, %v", b, got, end, slow, slowEnd)
		}
	})
}

package zmtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// part is a piece as bytes.
func part(flags Flags, total, n int) []byte {
	return append(appendPiece(nil, flags, n, total), make([]byte, n)...)
}

// sealedAll sends a record for each plaintext.
func sealedAll(plaintexts ...[]byte) func(*Conn) {
	return func(c *Conn) {
		for _, p := range plaintexts {
			sealed(p...)(c)
		}
	}
}

func pad(b []byte, n int) []byte {
	return append(append(slices.Clone(b), padMark), make([]byte, n-1)...)
}

// attackMessages is attack on a side that reads whole messages, by reader's function.
func attackMessages(t *testing.T, o Options, reader func(*Conn) func() (Message, error), send func(*Conn)) (got []string, bErr, aErr error) {
	t.Helper()
	x, y := tcpPipe(t)
	ca, cb := sessions(t, x, y)
	if err := cb.Configure(o); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { _, err := readAll(ca); done <- err }()
	send(ca)
	x.(interface{ CloseWrite() error }).CloseWrite()
	read := reader(cb)
	for {
		m, err := read()
		if err != nil {
			return got, err, <-done
		}
		if m.Command != nil {
			got = append(got, string(m.Command))
			continue
		}
		n := 0
		for _, p := range m.Parts {
			n += len(p)
		}
		got = append(got, strings.Repeat("+", len(m.Parts)-1)+string(binary.AppendUvarint(nil, uint64(n))))
	}
}

// What an authenticated peer can do wrong with messages, at each point.
func TestPiecesOfAMessage(t *testing.T) {
	ping := AppendCommand(nil, "PING", nil)
	small := Options{MaxMessage: 100, MaxParts: 4}
	join := func(b ...[]byte) []byte { return slices.Concat(b...) }
	for _, c := range []struct {
		name    string
		records [][]byte
		got     string // commands and sizes, a + for each further part
		want    error
		alert   handshake.Alert
	}{
		{"whole", [][]byte{part(0, 5, 5)}, "\x05", ErrTruncated, handshake.AlertNone},
		{"two parts in two records", [][]byte{part(More, 5, 5), part(0, 5, 5)}, "+\x0a", ErrTruncated, handshake.AlertNone},
		{"cut once", [][]byte{part(cut, 10, 5), part(rest, 5, 5)}, "\x0a", ErrTruncated, handshake.AlertNone},
		{"cut twice", [][]byte{part(cut, 10, 5), part(cut|rest, 4, 4), part(rest, 1, 1)}, "\x0a", ErrTruncated, handshake.AlertNone},
		{"cut, with more", [][]byte{part(cut|More, 10, 5), part(rest|More, 5, 5), part(0, 0, 0)}, "+\x0a", ErrTruncated, handshake.AlertNone},
		{"command between pieces", [][]byte{part(cut, 10, 5), ping, join(part(rest, 5, 5), ping)}, "PING \x0a PING", ErrTruncated, handshake.AlertNone},
		{"command between parts", [][]byte{join(part(More, 1, 1), ping, part(0, 1, 1))}, "PING +\x02", ErrTruncated, handshake.AlertNone},
		{"padded", [][]byte{pad(part(cut, 10, 5), 1), pad(part(rest, 5, 5), 100)}, "\x0a", ErrTruncated, handshake.AlertNone},
		{"exactly the limits", [][]byte{join(part(More, 97, 97), part(More, 1, 1), part(More, 1, 1), part(0, 1, 1))}, "+++\x64", ErrTruncated, handshake.AlertNone},

		{"a byte too many", [][]byte{part(0, 101, 101)}, "", ErrTooLarge, handshake.AlertOverflow},
		{"a byte too many announced", [][]byte{part(cut, 101, 1)}, "", ErrTooLarge, handshake.AlertOverflow},
		{"8 EiB announced", [][]byte{append(part(cut, 0, 0)[:2], bytes.Repeat([]byte{0x7F}, 8)...)}, "", ErrTooLarge, handshake.AlertOverflow},
		{"64 bits announced", [][]byte{append(part(cut, 0, 0)[:2], bytes.Repeat([]byte{0xFF}, 8)...)}, "", ErrTooLarge, handshake.AlertOverflow},
		{"a byte too many in all", [][]byte{part(More, 60, 60), part(0, 41, 41)}, "", ErrTooLarge, handshake.AlertOverflow},
		{"a part too many", [][]byte{bytes.Repeat(part(More, 0, 0), 5)}, "", ErrTooLarge, handshake.AlertOverflow},

		{"empty first piece", [][]byte{part(cut, 10, 0)}, "", ErrSplit, handshake.AlertDecodeError},
		{"empty middle piece", [][]byte{part(cut, 10, 5), part(cut|rest, 0, 0)}, "", ErrSplit, handshake.AlertDecodeError},
		{"empty last piece", [][]byte{part(cut, 5, 5), part(rest, 0, 0)}, "", ErrSplit, handshake.AlertDecodeError},
		{"cut, and nothing left", [][]byte{part(cut, 10, 5), part(cut|rest, 5, 5)}, "", ErrSplit, handshake.AlertDecodeError},
		{"cut empty frame", [][]byte{part(cut, 0, 0)}, "", ErrSplit, handshake.AlertDecodeError},
		{"piece larger than its frame", [][]byte{part(cut, 5, 6)}, "", ErrSplit, handshake.AlertDecodeError},
		{"more than announced", [][]byte{part(cut, 10, 5), part(rest, 6, 6)}, "", ErrSplit, handshake.AlertDecodeError},
		{"less than announced", [][]byte{part(cut, 10, 5), part(rest, 4, 4)}, "", ErrSplit, handshake.AlertDecodeError},
		{"another message between pieces", [][]byte{part(cut, 10, 5), part(0, 5, 5)}, "", ErrUnexpected, handshake.AlertUnexpectedMessage},
		{"a cut one between pieces", [][]byte{part(cut, 10, 5), part(cut, 10, 5)}, "", ErrUnexpected, handshake.AlertUnexpectedMessage},
		{"rest of nothing", [][]byte{part(rest, 5, 5)}, "", ErrUnexpected, handshake.AlertUnexpectedMessage},
		{"middle of nothing", [][]byte{part(cut|rest, 5, 5)}, "", ErrUnexpected, handshake.AlertUnexpectedMessage},
		{"rest twice", [][]byte{part(cut, 10, 5), part(rest, 5, 5), part(rest, 5, 5)}, "\x0a", ErrUnexpected, handshake.AlertUnexpectedMessage},
		{"more comes up", [][]byte{part(cut, 10, 5), part(rest|More, 5, 5)}, "", ErrFlags, handshake.AlertDecodeError},
		{"more goes away", [][]byte{part(cut|More, 10, 5), part(rest, 5, 5)}, "", ErrFlags, handshake.AlertDecodeError},
		{"cut command", [][]byte{part(cut|Command, 10, 5)}, "", ErrFlags, handshake.AlertDecodeError},
		{"rest of a command", [][]byte{part(rest|Command, 5, 5)}, "", ErrFlags, handshake.AlertDecodeError},
		{"unknown flag", [][]byte{part(0x20, 5, 5)}, "", ErrFlags, handshake.AlertDecodeError},
		{"frame after a cut", [][]byte{join(part(cut, 10, 5), part(rest, 5, 5))}, "", ErrPadding, handshake.AlertDecodeError},
		{"command after a cut", [][]byte{join(part(cut, 10, 5), ping)}, "", ErrPadding, handshake.AlertDecodeError},
		{"frame over the record's end", [][]byte{part(0, 5, 5)[:6]}, "", ErrSplit, handshake.AlertDecodeError},
		{"half a total", [][]byte{part(cut, 10, 5)[:6]}, "", ErrSplit, handshake.AlertDecodeError},

		{"padding alone", [][]byte{{padMark, 0, 0}}, "", ErrSplit, handshake.AlertDecodeError},
		{"padding that is not zero", [][]byte{append(pad(ping, 5), 1)}, "PING", ErrPadding, handshake.AlertDecodeError},
		{"padding, then a frame", [][]byte{append(pad(ping, 5), ping...)}, "PING", ErrPadding, handshake.AlertDecodeError},
		{"padding marked twice", [][]byte{append(pad(ping, 5), padMark)}, "PING", ErrPadding, handshake.AlertDecodeError},
		{"zeros without a mark are a frame", [][]byte{append(slices.Clone(ping), 0, 0)}, "PING \x00", ErrTruncated, handshake.AlertNone},
		{"bad padding after a cut", [][]byte{append(pad(part(cut, 10, 5), 5), 1)}, "", ErrPadding, handshake.AlertDecodeError},
	} {
		for _, reader := range []func(*Conn) func() (Message, error){oneByOne, together} {
			got, bErr, aErr := attackMessages(t, small, reader, sealedAll(c.records...))
			if strings.Join(got, " ") != c.got || !errors.Is(bErr, c.want) {
				t.Errorf("%s: read %q, %v", c.name, got, bErr)
			}
			if c.alert == handshake.AlertNone && aErr != ErrTruncated || c.alert != handshake.AlertNone && !isAlert(aErr, c.alert) {
				t.Errorf("%s: the sender hears %v", c.name, aErr)
			}
		}
	}
}

func oneByOne(c *Conn) func() (Message, error) { return c.ReadMessage }

// together reads by ReadMessages.
func together(c *Conn) func() (Message, error) {
	var wire []byte
	return func() (Message, error) {
		if len(wire) == 0 {
			m, err := c.ReadMessages()
			if err != nil {
				return Message{}, err
			}
			if m.Command != nil {
				name, data, err := ParseCommand(m.Command)
				return Message{Command: name, Parts: [][]byte{data}}, err
			}
			wire = m.Wire
		}
		var m Message
		for more := true; more; {
			h, n, err := ParseHeader(wire)
			if err != nil {
				return Message{}, err
			}
			end := n + int(h.Size)
			m.Parts = append(m.Parts, wire[n:end])
			wire, more = wire[end:], h.Flags&More != 0
		}
		return m, nil
	}
}

// A flipped bit in any record of a message in pieces ends it before the message
// is given out.
func TestTamperedPieces(t *testing.T) {
	for nth := range 3 {
		for range 20 {
			x, y := tcpPipe(t)
			w := &wire{Conn: x}
			ca, cb := sessions(t, w, y)
			var tape []byte
			w.edit = func(_ int, p []byte) []byte { tape = append(tape, p...); return nil }
			if err := ca.WriteMessage(make([]byte, 3*maxPiece)); err != nil {
				t.Fatal(err)
			}
			at := nth*(recordHead+MaxRecord+record.TagLen) + recordHead + rand.IntN(maxPiece-maxPieceLen)
			tape[at] ^= 1 << rand.IntN(8)
			go func() { x.Write(tape); io.Copy(io.Discard, x); x.Close() }()
			if m, err := cb.ReadMessage(); err == nil || alertFor(err) != handshake.AlertBadRecord {
				t.Fatalf("byte %d: %d parts, %v", at, len(m.Parts), err)
			}
		}
	}
}

// The connection ends inside a message: nothing of it is given out.
func TestTruncatedMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, cb := sessionsOver(t, memoryPipe)
		go func() {
			ca.WriteFrame(Frame{More, 10, 0, make([]byte, 10)})
			ca.WriteFrame(Frame{0, 10, 0, make([]byte, 9)})
			ca.Flush()
			ca.nc.Close()
		}()
		if m, err := cb.ReadMessage(); err != ErrTruncated {
			t.Errorf("%d parts, %v", len(m.Parts), err)
		}
	})
}

// FuzzPlaintext reads what an authenticated peer may put into records. Whatever it
// is, what is read in pieces is what is read whole.
func FuzzPlaintext(f *testing.F) {
	f.Add(slices.Concat(part(More, 5, 5), AppendCommand(nil, "PING", nil), part(0, 0, 0)), []byte(nil))
	f.Add(part(cut, 10, 5), pad(part(rest, 5, 5), 3))
	f.Add(part(cut|More, 10, 5), slices.Concat(part(rest|More, 5, 5), part(0, 300, 300)))
	f.Add([]byte{padMark}, []byte{0, 0, padMark, 1})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		o := Options{MaxMessage: 1 << 10, MaxParts: 8}
		var records [][]byte
		conn := func() *Conn {
			records = [][]byte{one, two}
			return &Conn{options: o, nc: &canned{}} // which has nothing after an own command
		}
		// next with the records given instead of read.
		frame := func(c *Conn) (Frame, error) {
			for len(c.frames) == 0 || c.frames[0] == padMark {
				if err := c.endRecord(); err != nil {
					return Frame{}, err
				}
				if len(records) == 0 {
					return Frame{}, io.EOF
				}
				c.frames, records = records[0], records[1:]
				if len(c.frames) == 0 || c.frames[0] == padMark {
					return Frame{}, ErrSplit
				}
			}
			return c.next()
		}
		c := conn()
		var a assembly
		size, parts := 0, 0
		for {
			fr, err := frame(c)
			if err != nil {
				if !errors.Is(err, io.EOF) && alertFor(err) == handshake.AlertNone {
					var closed *ClosedError
					if !errors.As(err, &closed) && !errors.Is(err, errWait) {
						t.Fatalf("%x %x: %v", one, two, err)
					}
				}
				return
			}
			if fr.At < 0 || fr.At+len(fr.Body) > fr.Size || fr.Size > max(o.MaxMessage, MaxRecord) {
				t.Fatalf("%x %x: %d bytes at %d of %d", one, two, len(fr.Body), fr.At, fr.Size)
			}
			if fr.Flags == Command {
				continue
			}
			if size += len(fr.Body); fr.Last() {
				parts++
			}
			if a.take(&fr, o.MaxMessage) {
				got := 0
				for _, p := range a.parts {
					got += len(p)
				}
				if got != size || len(a.parts) != parts || size > o.MaxMessage || parts > o.MaxParts {
					t.Fatalf("%x %x: %d bytes in %d parts became %d in %d", one, two, size, parts, got, len(a.parts))
				}
				size, parts = 0, 0
				a.reset()
			}
		}
	})
}

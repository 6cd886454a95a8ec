package zmtp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// attack lets a send records whose wire bytes deliver hands to b in its own way;
// then the connection towards b ends. It gives what b read and how it ended, and
// how a's session ended. a reads all along.
func attack(t *testing.T, send func(a *Conn), deliver func(wire [][]byte) [][]byte) (names []string, bErr, aErr error) {
	t.Helper()
	x, y := tcpPipe(t)
	w := &wire{Conn: x}
	ca, cb := sessions(t, w, y)
	var sent [][]byte
	w.edit = func(_ int, p []byte) []byte { sent = append(sent, p); return nil }
	send(ca)
	var wg sync.WaitGroup
	wg.Go(func() { _, aErr = readAll(ca) })
	for _, p := range deliver(sent) {
		if _, err := x.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	x.(*net.TCPConn).CloseWrite()
	names, bErr = readAll(cb)
	wg.Wait()
	return names, bErr, aErr
}

func sendAll(names ...string) func(*Conn) {
	return func(c *Conn) {
		for _, n := range names {
			if err := c.WriteCommand(n, []byte("body of "+n)); err != nil {
				panic(err)
			}
		}
	}
}

func isAlert(err error, alert handshake.Alert) bool {
	var closed *ClosedError
	return errors.As(err, &closed) && closed.Alert == alert
}

// A bit flipped in any byte of a record's frame. In the body it is a bad
// record. In what stands before, it is a frame that cannot be, or one that is
// longer than what arrives.
func TestRecordTampered(t *testing.T) {
	frame := frameLen(1 + len(recordName) + frameLen(1+len("ONE")+len("body of ONE")) + record.TagLen)
	head := 2 + 1 + len(recordName)
	for at := range frame {
		for bit := range 8 {
			if at >= head && bit != at%8 {
				continue // the tag does not care which
			}
			names, bErr, aErr := attack(t, sendAll("ONE"), func(wire [][]byte) [][]byte {
				if len(wire) != 1 || len(wire[0]) != frame {
					t.Fatalf("%d writes, the first of %d bytes", len(wire), len(wire[0]))
				}
				wire[0][at] ^= 1 << bit
				return wire
			})
			want := map[error]handshake.Alert{record.ErrBadRecord: handshake.AlertBadRecord}
			if at < head {
				want[ErrFlags] = handshake.AlertDecodeError
				want[ErrCommand] = handshake.AlertDecodeError
				want[ErrUnexpected] = handshake.AlertUnexpectedMessage
				want[ErrTooLarge] = handshake.AlertOverflow
				want[ErrTruncated] = handshake.AlertNone
			}
			alert, known := want[bErr]
			if !known || len(names) != 0 {
				t.Fatalf("byte %d, bit %d: read %v, %v", at, bit, names, bErr)
			}
			// The sender, who did nothing wrong, hears it sealed.
			if alert == handshake.AlertNone && aErr != ErrTruncated || alert != handshake.AlertNone && !isAlert(aErr, alert) {
				t.Errorf("byte %d, bit %d: %v is told as %v", at, bit, bErr, aErr)
			}
		}
	}
}

func TestRecordTruncated(t *testing.T) {
	var whole int
	for at := 0; at == 0 || at <= whole; at++ {
		names, bErr, aErr := attack(t, sendAll("ONE"), func(wire [][]byte) [][]byte {
			whole = len(wire[0])
			return [][]byte{wire[0][:at]}
		})
		if bErr != ErrTruncated || aErr != ErrTruncated {
			t.Errorf("after %d bytes: %v and %v", at, bErr, aErr)
		}
		if got := strings.Join(names, " "); (got == "ONE") != (at == whole) || at < whole && got != "" {
			t.Errorf("after %d of %d bytes: read %q", at, whole, got)
		}
	}
}

func TestReset(t *testing.T) {
	x, y := tcpPipe(t)
	_, cb := sessions(t, x, y)
	x.(*net.TCPConn).SetLinger(0)
	x.Close()
	if _, _, err := cb.ReadCommand(); !errors.Is(err, ErrTruncated) {
		t.Errorf("%v", err)
	}
}

func TestRecordOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		order []int
		read  string
		want  error
		alert handshake.Alert
	}{
		{"in order", []int{0, 1, 2}, "ONE TWO THREE", ErrTruncated, handshake.AlertNone},
		{"replayed", []int{0, 0, 1, 2}, "ONE", record.ErrBadRecord, handshake.AlertBadRecord},
		{"replayed later", []int{0, 1, 0}, "ONE TWO", record.ErrBadRecord, handshake.AlertBadRecord},
		{"reordered", []int{0, 2, 1}, "ONE", record.ErrBadRecord, handshake.AlertBadRecord},
		{"dropped", []int{0, 2}, "ONE", record.ErrBadRecord, handshake.AlertBadRecord},
		{"first dropped", []int{1, 2}, "", record.ErrBadRecord, handshake.AlertBadRecord},
		{"end cut off", []int{0}, "ONE", ErrTruncated, handshake.AlertNone},
	} {
		names, bErr, aErr := attack(t, sendAll("ONE", "TWO", "THREE"), func(wire [][]byte) [][]byte {
			var out [][]byte
			for _, i := range c.order {
				out = append(out, wire[i])
			}
			return out
		})
		if strings.Join(names, " ") != c.read || bErr != c.want {
			t.Errorf("%s: read %v, %v", c.name, names, bErr)
		}
		if c.alert == handshake.AlertNone && aErr != ErrTruncated || c.alert != handshake.AlertNone && !isAlert(aErr, c.alert) {
			t.Errorf("%s: the sender hears %v", c.name, aErr)
		}
	}
}

func TestRecordReflected(t *testing.T) {
	x, y := net.Pipe()
	w := &wire{Conn: x}
	ca, cb := sessions(t, w, y)
	var own []byte
	w.edit = func(_ int, p []byte) []byte { own = p; return nil }
	if err := ca.WriteCommand("MINE", nil); err != nil {
		t.Fatal(err)
	}
	w.edit = nil
	go func() { y.Write(own); io.Copy(io.Discard, y) }()
	if _, _, err := ca.ReadCommand(); err != record.ErrBadRecord {
		t.Errorf("%v", err)
	}
	cb.nc.Close()
}

// sealed sends a record of any plaintext.
func sealed(plaintext ...byte) func(*Conn) {
	return func(c *Conn) {
		data, err := c.sealer.Seal(nil, plaintext)
		if err != nil {
			panic(err)
		}
		c.nc.Write(AppendCommand(nil, recordName, data))
	}
}

func TestFramesOfARecord(t *testing.T) {
	one := AppendCommand(nil, "ONE", []byte("1"))
	two := AppendCommand(nil, "TWO", nil)
	long := AppendCommand(nil, "LONG", make([]byte, 1000))
	closing := AppendCommand(nil, alertName, []byte{0})
	for _, c := range []struct {
		name      string
		plaintext []byte
		read      string
		want      error
		alert     handshake.Alert
	}{
		{"three commands", slices.Concat(one, long, two), "ONE LONG TWO", ErrTruncated, handshake.AlertNone},
		{"empty", nil, "", ErrSplit, handshake.AlertDecodeError},
		{"half a header", append(one[:len(one):len(one)], 6, 0), "ONE", ErrSplit, handshake.AlertDecodeError},
		{"half a command", slices.Concat(one, long[:500]), "ONE", ErrSplit, handshake.AlertDecodeError},
		{"8 EiB announced", append([]byte{6, 0x7F}, bytes.Repeat([]byte{0xFF}, 7)...), "", ErrSplit, handshake.AlertDecodeError},
		{"63 bits are not enough", append([]byte{6}, bytes.Repeat([]byte{0xFF}, 8)...), "", ErrTooLarge, handshake.AlertOverflow},
		{"reserved flag", slices.Concat(one, []byte{0x14, 1, 0}), "ONE", ErrFlags, handshake.AlertDecodeError},
		{"command with more", []byte{5, 5, 4, 'P', 'I', 'N', 'G'}, "", ErrFlags, handshake.AlertDecodeError},
		{"message", slices.Concat(one, []byte{0, 1, 'x'}, two), "ONE", ErrUnexpected, handshake.AlertUnexpectedMessage},
		{"command without a name", []byte{4, 0}, "", ErrCommand, handshake.AlertDecodeError},
		{"command with an empty name", []byte{4, 1, 0}, "", ErrCommand, handshake.AlertDecodeError},
		{"alert without a code", AppendCommand(nil, alertName, nil), "", ErrCommand, handshake.AlertDecodeError},
		{"alert with two codes", AppendCommand(nil, alertName, []byte{0, 0}), "", ErrCommand, handshake.AlertDecodeError},
		{"after the close", slices.Concat(one, closing, two), "ONE", io.EOF, handshake.AlertNone},
	} {
		names, bErr, aErr := attack(t, sealed(c.plaintext...), func(wire [][]byte) [][]byte { return wire })
		if strings.Join(names, " ") != c.read || !errors.Is(bErr, c.want) {
			t.Errorf("%s: read %v, %v", c.name, names, bErr)
		}
		if c.alert == handshake.AlertNone && aErr != ErrTruncated || c.alert != handshake.AlertNone && !isAlert(aErr, c.alert) {
			t.Errorf("%s: the sender hears %v", c.name, aErr)
		}
	}
}

// What stands on the wire beside records, and what does not fit a record.
func TestFramesBesideRecords(t *testing.T) {
	for _, c := range []struct {
		name string
		wire []byte
		want error
	}{
		{"4 GiB announced", []byte{6, 0, 0, 0, 1, 0, 0, 0, 0}, ErrTooLarge},
		{"just over a record", AppendHeader(nil, Command, maxRecordBody+1), ErrTooLarge},
		{"64 bits", []byte{6, 0x80}, ErrTooLarge},
		{"message frame", []byte("\x00\x08\x07MESSAGE"), ErrUnexpected},
		{"message frame with more", []byte("\x01\x08\x07MESSAGE"), ErrUnexpected},
		{"command in clear", AppendCommand(nil, "PING", nil), ErrUnexpected},
		{"close in clear", AppendCommand(nil, alertName, []byte{0}), ErrUnexpected},
		{"handshake alert in clear", AppendCommand(nil, handshakeName, []byte{0x30, 0, 0, 1, 0}), ErrUnexpected},
		{"no room for a tag", AppendCommand(nil, recordName, make([]byte, record.TagLen-1)), record.ErrBadRecord},
		{"nothing in it", AppendCommand(nil, recordName, nil), record.ErrBadRecord},
		{"another greeting", libzmqNULL(), ErrFlags},
	} {
		names, bErr, aErr := attack(t, func(*Conn) {}, func([][]byte) [][]byte { return [][]byte{c.wire} })
		if len(names) != 0 || !errors.Is(bErr, c.want) {
			t.Errorf("%s: read %v, %v", c.name, names, bErr)
		}
		if !isAlert(aErr, alertFor(c.want)) {
			t.Errorf("%s: the other side hears %v", c.name, aErr)
		}
	}
}

// A claim of the largest record costs memory only as its bytes arrive.
func TestClaimsCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := net.Pipe()
		_, cb := sessions(t, x, y)
		before := len(cb.in.buf)
		go readAll(cb)
		x.Write(AppendHeader(nil, Command, maxRecordBody))
		x.Write(make([]byte, 100))
		synctest.Wait()
		if len(cb.in.buf) > before {
			t.Errorf("100 bytes made the buffer grow from %d to %d", before, len(cb.in.buf))
		}
		x.Close()
		synctest.Wait()
	})
}

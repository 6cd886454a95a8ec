package zmtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// seal and open are the two halves of a relay.
func seal(plain *Null, sealed *Conn) error {
	for {
		r, err := plain.ReadRoom(true)
		if err != nil {
			return err
		}
		rooms := []*Room{r}
		if r.Full() {
			if r, err = plain.ReadRoom(false); r != nil {
				rooms = append(rooms, r)
			}
		}
		err = errors.Join(err, sealed.WriteRooms(rooms...))
		for _, r := range rooms {
			plain.Release(r)
		}
		if err != nil {
			return err
		}
	}
}

func open(sealed *Conn, plain io.Writer) error {
	var wire [][]byte
	for {
		run, err := sealed.ReadRun(len(wire) == 0)
		if run.Wire != nil {
			wire = append(wire, run.Wire)
			continue
		}
		for _, w := range wire {
			if _, err := plain.Write(w); err != nil {
				return err
			}
		}
		wire = wire[:0]
		if err != nil {
			return err
		}
	}
}

// What goes through a relay comes out as it went in, byte for byte, however it was
// segmented on its way.
func TestRoomsAndRuns(t *testing.T) {
	changed := false
	for seed := range uint64(9) {
		r := rand.New(rand.NewPCG(seed, 1))
		all := messages(r)
		want := wireOf(all)
		a, b := tcpPipe(t)
		var segmented net.Conn = segments{b, r}
		if seed%3 == 0 {
			segmented = b // as much as there is in one read
		}
		_, plain := readyNulls(t, a, segmented)
		ca, cb := sessionsOver(t, tcpPipe)
		if seed%2 == 1 {
			o := ca.options
			o.PadTo = 1000
			ca.Configure(o)
		}
		ca.sealer.Lower(lowered(1024)) // so that keys change on the way
		var got bytes.Buffer
		var both sync.WaitGroup
		both.Go(func() {
			if err := seal(plain, ca); !errors.Is(err, ErrTruncated) {
				t.Error(err)
			}
			// As a relay does: a busy reader may need longer than Close waits.
			lingering, stop := context.WithTimeout(context.Background(), time.Minute)
			ca.CloseContext(lingering)
			stop()
			b.Close()
		})
		both.Go(func() {
			if err := open(cb, &got); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			cb.CloseWith(255)
		})
		if _, err := a.Write(want); err != nil {
			t.Error(err)
		}
		a.Close()
		both.Wait()
		changed = changed || ca.sealer.Epoch() > 0
		if !bytes.Equal(got.Bytes(), want) {
			n := 0
			for n < min(got.Len(), len(want)) && got.Bytes()[n] == want[n] {
				n++
			}
			t.Errorf("seed %d: %d bytes of %d come out, the first wrong one at %d", seed, got.Len(), len(want), n)
		}
	}
	if !changed {
		t.Error("no key has changed")
	}
}

// Every way in which the end of what has arrived can fall into a frame, with another
// frame before it or none, and in the middle of one or not.
func TestRoomCuts(t *testing.T) {
	for _, before := range []int{-1, 0, 10, 300, 30_000, 60_000} {
		for _, size := range []int{holdMost - 10, holdMost - 9, holdMost - 8, 40_000, maxPiece, MaxRecord, 200_000} {
			var want []byte
			if before >= 0 {
				want = append(AppendHeader(want, More, before), bytes.Repeat([]byte("b"), before)...)
			}
			want = append(AppendHeader(want, 0, size), bytes.Repeat([]byte("s"), size)...)
			want = append(want, 0, 1, 'z')
			for _, at := range []int{1, 2, 8, 9, 10, 11, 17, 18, 255, 256, 300, 5000, 8192, 30_000, 65_000, maxPiece - 1, maxPiece} {
				for _, start := range []int{0, before + 9} {
					if start < 0 {
						continue
					}
					checkRoom(t, want, min(start+at, maxPiece, len(want)))
				}
			}
		}
	}
}

// checkRoom fills rooms with the wire, the first one with so many bytes of it, and
// compares what a session would give out.
func checkRoom(t *testing.T, want []byte, first int) {
	t.Helper()
	var o Options
	o.complete()
	var in, out progress
	var held, got []byte
	left, n := want, first
	for len(left) > 0 {
		r := newRoom(maxPiece)
		copy(r.buf[roomHead:], held)
		n = min(n, len(left), len(r.space(len(held))))
		copy(r.space(len(held)), left[:n])
		left = left[n:]
		more, err := r.fill(len(held)+n, &in, &o)
		if err != nil {
			t.Fatalf("first %d: %v", first, err)
		}
		held = bytes.Clone(r.buf[r.end : r.end+more])
		if r.start < recordHead || r.end+record.TagLen > len(r.buf) || r.Len() > MaxRecord {
			t.Fatalf("first %d: the record is from %d to %d", first, r.start, r.end)
		}
		for b := r.Bytes(); len(b) > 0; {
			p, head, err := parsePiece(b)
			if err == nil {
				_, err = out.take(p, &o)
			}
			if err != nil || p.flags&cut != 0 && head+int(p.size) != len(b) {
				t.Fatalf("first %d: piece %+v of %d bytes: %v", first, p, len(b), err)
			}
			run := plainPiece(p, b[:head+int(p.size)], b[head:head+int(p.size)])
			got = append(got, run.Wire...)
			b = b[head+int(p.size):]
		}
		n = maxPiece
	}
	if !bytes.Equal(got, want) || len(held) > 0 {
		t.Fatalf("first %d: %d bytes of %d come out, %d are held", first, len(got), len(want), len(held))
	}
}

// A command that overtakes the pieces of a message waits for its end on a plain
// connection, and not without bound.
func TestOvertaking(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	big := bytes.Repeat([]byte("x"), 100_000)
	write := func(f Frame) {
		t.Helper()
		if err := ca.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	write(Frame{Flags: More, Size: len(big), Body: big[:50_000]})
	ca.WriteCommand("PING", []byte("\x00\x01"))
	write(Frame{Flags: More, Size: len(big), At: 50_000, Body: big[50_000:]})
	ca.WriteCommand("SUBSCRIBE", []byte("topic"))
	write(Frame{Size: 1, Body: []byte("y")})
	ca.Flush()
	go ca.Close()
	var got bytes.Buffer
	if err := open(cb, &got); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	want := append(AppendHeader(nil, More, len(big)), big...)
	want = append(want, 0, 1, 'y')
	want = AppendCommand(want, "PING", []byte("\x00\x01"))
	want = AppendCommand(want, "SUBSCRIBE", []byte("topic"))
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes, want %d", got.Len(), len(want))
	}

	for name, command := range map[string][]byte{"many": {1}, "large": make([]byte, 1000)} {
		ca, cb := sessionsOver(t, tcpPipe)
		go func() {
			ca.WriteFrame(Frame{Flags: More, Size: 1, Body: []byte("x")})
			for range mostOvertaking + 1 {
				ca.WriteCommand("PING", command)
			}
		}()
		if err := open(cb, io.Discard); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		ca.CloseWith(255)
	}
}

// What belongs to a handshake does not come out of a session.
func TestRunsHaveTheirPlace(t *testing.T) {
	for _, name := range []string{readyName, errorName, "HELLO", "WELCOME", "INITIATE"} {
		ca, cb := sessionsOver(t, tcpPipe)
		go ca.WriteCommand(name, []byte(dealerReady))
		if err := open(cb, io.Discard); !errors.Is(err, ErrUnexpected) {
			t.Errorf("%s: %v", name, err)
		}
		ca.CloseWith(255)
	}
}

func TestRoomsAllocateNothing(t *testing.T) {
	a, b := tcpPipe(t)
	na, plain := readyNulls(t, a, b)
	ca, cb := sessionsOver(t, tcpPipe)
	o := cb.options
	o.WriteTimeout = -1
	cb.Configure(o)
	body := make([]byte, 1000)
	wire := make([][]byte, 0, 10)
	pass := func() {
		for range 10 {
			if err := na.WriteMessage(body); err != nil {
				panic(err)
			}
		}
		for frames := 0; frames < 10; {
			r, err := plain.ReadRoom(true)
			if err != nil {
				panic(err)
			}
			err = ca.WriteRooms(r)
			plain.Release(r)
			run, err2 := cb.ReadRun(true)
			if err != nil || err2 != nil {
				panic(errors.Join(err, err2))
			}
			frames += run.Frames
			wire = append(wire[:0], run.Wire)
		}
	}
	for range 10 {
		pass()
	}
	if n := testing.AllocsPerRun(100, pass); n > 0.5 {
		t.Errorf("%v allocations for ten messages", n)
	}
}

// FuzzRoom: whatever a program sends is refused, or passes as it came.
func FuzzRoom(f *testing.F) {
	f.Add([]byte("\x00\x02hi\x01\x01a\x00\x01b"), uint16(3))
	f.Add(AppendCommand(nil, "PING", []byte("\x00\x01")), uint16(1))
	f.Add(append(AppendHeader(nil, 0, 10_000), make([]byte, 10_000)...), uint16(9000))
	f.Fuzz(func(t *testing.T, b []byte, segment uint16) {
		o := Options{MaxMessage: 1 << 20, MaxParts: 100}
		var in, out progress
		var held, got []byte
		for left := b; len(left) > 0; {
			r := newRoom(maxPiece)
			copy(r.buf[roomHead:], held)
			n := min(1+int(segment), len(left), len(r.space(len(held))))
			copy(r.space(len(held)), left[:n])
			left = left[n:]
			more, err := r.fill(len(held)+n, &in, &o)
			if err != nil {
				return
			}
			held = bytes.Clone(r.buf[r.end : r.end+more])
			for b := r.Bytes(); len(b) > 0; {
				p, head, err := parsePiece(b)
				if err == nil && p.flags&Command == 0 {
					_, err = out.take(p, &o)
				}
				if err != nil {
					t.Fatalf("%+v: %v", p, err)
				}
				end := head + int(p.size)
				run := Run{Wire: b[:end]}
				if p.flags&Command == 0 {
					run = plainPiece(p, b[:end], b[head:end])
				}
				got = append(got, run.Wire...)
				b = b[end:]
			}
		}
		if got = append(got, held...); !bytes.Equal(got, b) {
			t.Errorf("%x becomes %x", b, got)
		}
	})
}

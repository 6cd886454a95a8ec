package zmtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestNullBombs(t *testing.T) {
	claim := func(flags byte, size uint64) []byte { return binary.BigEndian.AppendUint64([]byte{flags | 2}, size) }
	for _, tc := range []struct {
		name string
		say  []byte
		want error
	}{
		{"a frame of 2^63-1", claim(0, 1<<63-1), ErrTooLarge},
		{"a frame of 2^63", claim(0, 1<<63), ErrTooLarge},
		{"a frame over the limit", claim(0, 1<<20+1), ErrTooLarge},
		{"a message over the limit", append(append([]byte{1, 1, 'x'}, claim(0, 1<<20)...), 'x'), ErrTooLarge},
		{"MORE without end", bytes.Repeat([]byte{1, 0}, 1001), ErrTooLarge},
		{"a command of 64 KiB", claim(4, 64<<10), ErrTooLarge},
		{"a command with MORE", []byte{5, 0}, ErrFlags},
		{"flags of records", []byte{8, 1, 'x'}, ErrFlags},
		{"a command without a name", []byte{4, 1, 0}, ErrCommand},
		{"READY again", AppendCommand(nil, readyName, []byte(dealerReady)), ErrUnexpected},
		{"ERROR late", AppendCommand(nil, errorName, []byte{0}), ErrUnexpected},
		{"the session's ALERT", AppendCommand(nil, alertName, []byte{0}), ErrUnexpected},
		{"the session's HANDSHAKE", AppendCommand(nil, handshakeName, nil), ErrUnexpected},
		{"the session's SWITCH", AppendCommand(nil, switchName, nil), ErrUnexpected},
	} {
		a, b := tcpPipe(t)
		go b.Write(append(opening(1), tc.say...))
		n, err := OpenNull(t.Context(), a, NullOptions{MaxMessage: 1 << 20, MaxParts: 1000})
		if err == nil {
			_, err = n.ReadReady(t.Context())
		}
		for err == nil {
			_, err = n.ReadFrame()
		}
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if _, again := n.ReadFrame(); again != err {
			t.Errorf("%s: then %v", tc.name, again)
		}
		if len(n.held) > 100 {
			t.Errorf("%s: %d bytes are held", tc.name, len(n.held))
		}
	}
}

func TestNullWriteLimits(t *testing.T) {
	a, b := tcpPipe(t)
	na, _ := readyNulls(t, a, b)
	if err := na.WriteMessage(make([]byte, DefaultMaxMessage), []byte("x")); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := na.WriteMessage(make([][]byte, DefaultMaxParts+1)...); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := na.WriteCommand("LARGE", make([]byte, MaxRecord)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := na.WriteMessage([]byte("fine")); err != nil {
		t.Error(err)
	}
}

func TestNullPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		go func() {
			io.ReadFull(b, make([]byte, GreetingLen))
			b.Write(opening(1))
		}()
		na, err := OpenNull(t.Context(), a, NullOptions{})
		if err == nil {
			_, err = na.ReadReady(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = na.WriteMessage([]byte("stuck"))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != DefaultWriteTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if again := na.WriteMessage([]byte("stuck")); again != err {
			t.Errorf("then %v", again)
		}
	})
}

func TestNullAllocatesNothing(t *testing.T) {
	a, b := tcpPipe(t)
	na, nb := readyNulls(t, a, b)
	parts := [][]byte{make([]byte, 300), make([]byte, 20_000), {}}
	exchange := func() {
		if err := na.WriteMessage(parts...); err != nil {
			panic(err)
		}
		if m, err := nb.ReadMessage(); err != nil || len(m.Parts) != 3 {
			panic(err)
		}
	}
	for range 10 {
		exchange()
	}
	if n := testing.AllocsPerRun(100, exchange); n > 0.5 {
		t.Errorf("%v allocations for a message", n)
	}
}

// A connection that is idle holds no memory to read into.
func TestNullIdleHoldsNothing(t *testing.T) {
	a, b := tcpPipe(t)
	na, nb := readyNulls(t, a, b)
	na.WriteMessage(make([]byte, 1000))
	for range 2 {
		nb.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		nb.ReadRoom(true)
	}
	if nb.reading != nil || nb.lent != nil || cap(nb.held) > holdMost {
		t.Errorf("it holds %v, %v and %d bytes", nb.reading, nb.lent, cap(nb.held))
	}
}

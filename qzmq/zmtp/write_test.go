package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// What is queued shares a record, and nothing waits in it that was flushed.
func TestQueuedMessagesShareARecord(t *testing.T) {
	x, y := tcpPipe(t)
	w := &wire{Conn: x}
	ca, cb := sessions(t, w, y)
	before := w.n
	var sent []byte
	w.edit = func(_ int, p []byte) []byte { sent = append(sent, p...); return p }
	for i := range 100 {
		if err := ca.QueueMessage(fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if w.n != before {
		t.Errorf("%d writes before the flush", w.n-before)
	}
	if err := errors.Join(ca.Flush(), ca.Flush()); err != nil {
		t.Fatal(err)
	}
	if w.n != before+1 {
		t.Errorf("%d writes for what was queued", w.n-before)
	}
	for i := range 100 {
		m, err := cb.ReadMessage()
		if err != nil || string(m.Parts[0]) != fmt.Sprint(i) {
			t.Fatalf("%d: %q, %v", i, m.Parts, err)
		}
	}
	if h, n, err := ParseHeader(sent); err != nil || n+int(h.Size) != len(sent) {
		t.Errorf("%d bytes are not one record: %+v, %v", len(sent), h, err)
	}
}

// While one write is under way others queue, and one of them writes for all.
func TestWaitingWritersShareARecord(t *testing.T) {
	const waiting = 50
	x, y := tcpPipe(t)
	w := &wire{Conn: x}
	ca, cb := sessions(t, w, y)
	ca.writing.Lock() // a write that takes its time
	var wg sync.WaitGroup
	for range waiting {
		wg.Go(func() {
			if err := ca.WriteMessage([]byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	for queued := uint64(0); queued < waiting; time.Sleep(time.Millisecond) {
		ca.queueing.Lock()
		queued = ca.queued
		ca.queueing.Unlock()
	}
	before := w.n
	ca.writing.Unlock()
	wg.Wait()
	if w.n != before+1 {
		t.Errorf("%d writes for %d writers", w.n-before, waiting)
	}
	for range waiting {
		if _, err := cb.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
}

// A command does not wait for a large message that the peer takes slowly.
func TestCommandOvertakesAMessage(t *testing.T) {
	ca, cb := sessionsOver(t, memoryPipe)
	big := filled(7, 4<<20)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := ca.WriteMessage(big, []byte("end")); err != nil {
			t.Error(err)
		}
	})
	if f, err := cb.ReadFrame(); err != nil || f.Flags != More || f.Size != len(big) || f.Last() {
		t.Fatalf("%+v, %v", f, err)
	}
	wg.Go(func() {
		if err := ca.WriteCommand("PING", nil); err != nil {
			t.Error(err)
		}
	})
	for ready := false; !ready; time.Sleep(time.Millisecond) {
		ca.queueing.Lock()
		ready = bytes.Contains(ca.queue.buf, []byte("PING"))
		ca.queueing.Unlock()
	}
	var at int
	for at < len(big) {
		f, err := cb.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Flags == Command {
			break
		}
		at = f.At + len(f.Body)
	}
	if at > 8*MaxRecord {
		t.Errorf("the command came after %d bytes", at)
	}
	for at < len(big)+3 {
		f, err := cb.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Size == len(big) && !bytes.Equal(f.Body, big[f.At:f.At+len(f.Body)]) {
			t.Fatalf("%d bytes at %d have changed", len(f.Body), f.At)
		}
		at += len(f.Body)
		if f.Flags == 0 {
			break
		}
	}
	wg.Wait()
}

func TestWriteRefuses(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	if err := ca.Configure(Options{MaxMessage: 1000, MaxParts: 3}); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"a byte too many": ca.WriteMessage(make([]byte, 600), make([]byte, 401)),
		"a part too many": ca.WriteMessage(nil, nil, nil, nil),
		"a large frame":   ca.WriteFrame(Frame{Size: 1001, Body: make([]byte, 10)}),
		"a large command": ca.WriteCommand("BIG", make([]byte, MaxRecord)),
	} {
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{alertName, handshakeName} {
		body := append([]byte{byte(len(name))}, name...)
		if err := ca.WriteFrame(Frame{Command, len(body), 0, body}); !errors.Is(err, ErrReserved) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ca.WriteFrame(Frame{Command, 1, 0, []byte{9}}); !errors.Is(err, ErrCommand) {
		t.Errorf("malformed command: %v", err)
	}
	if err := ca.WriteMessage(make([]byte, 600), make([]byte, 400), nil); err != nil {
		t.Error(err)
	}
	if m, err := cb.ReadMessage(); err != nil || len(m.Parts) != 3 {
		t.Errorf("%d parts, %v", len(m.Parts), err)
	}
	for _, o := range []Options{{MaxMessage: -1}, {MaxParts: -1}, {PadTo: -1}, {PadTo: MaxRecord + 1}} {
		if ca.Configure(o) == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// Half a message cannot be taken back: after an error inside one nothing else is
// written, or it would become a part of it.
func TestErrorInsideAMessageEndsWriting(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	if err := ca.Configure(Options{MaxMessage: 100}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ca.WriteFrame(Frame{More, 60, 0, make([]byte, 60)}), ca.Flush()); err != nil {
		t.Fatal(err)
	}
	if err := ca.WriteFrame(Frame{0, 60, 0, make([]byte, 60)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	if err := ca.WriteMessage([]byte("x")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("then %v", err)
	}
	ca.Close()
	if m, err := cb.ReadMessage(); err != ErrTruncated {
		t.Errorf("%q, %v", m.Parts, err)
	}
}

func TestWriteFrameOutOfOrder(t *testing.T) {
	for name, frames := range map[string][]Frame{
		"rest first":       {{0, 10, 5, make([]byte, 5)}},
		"a gap":            {{0, 10, 0, make([]byte, 4)}, {0, 10, 5, make([]byte, 5)}},
		"too much":         {{0, 10, 0, make([]byte, 11)}},
		"an empty piece":   {{0, 10, 0, nil}},
		"another one":      {{0, 10, 0, make([]byte, 5)}, {0, 5, 0, make([]byte, 5)}},
		"other flags":      {{More, 10, 0, make([]byte, 5)}, {0, 10, 5, make([]byte, 5)}},
		"a size that grew": {{0, 10, 0, make([]byte, 5)}, {0, 11, 5, make([]byte, 6)}},
	} {
		ca, _ := sessionsOver(t, memoryPipe)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was taken", name)
				}
			}()
			for _, f := range frames {
				ca.WriteFrame(f)
			}
		}()
	}
}

// Another message waits until the one before it is through, also when that takes
// many writes.
func TestMessagesDoNotInterleave(t *testing.T) {
	ca, cb := sessionsOver(t, memoryPipe)
	big := filled(3, 1<<20)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := ca.WriteMessage(big, big, []byte("end")); err != nil {
			t.Error(err)
		}
	})
	if _, err := cb.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		if err := ca.WriteMessage([]byte("other")); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(20 * time.Millisecond) // in which the other would push in between
	got, frames := 0, 0
	for frames < 4 {
		f, err := cb.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		got += len(f.Body)
		if f.Last() {
			frames++
		}
		if string(f.Body) == "other" && frames != 4 {
			t.Errorf("it came after %d frames", frames-1)
		}
	}
	wg.Wait()
}

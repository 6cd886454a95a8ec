package zmtp

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
)

// The limits hold for who reads pieces as well, and before a byte is held.
func TestBombsHoldNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		record []byte
		times  int
	}{
		{"MORE without end", bytes.Repeat(part(More, 0, 0), 1000), 1000},
		{"pieces of a byte", part(cut|rest, 1, 1), 1000},
		{"a large claim", part(cut, DefaultMaxMessage, 1), 1},
	} {
		ca, cb := sessionsOver(t, tcpPipe)
		go func() {
			if c.record[0]&byte(rest) != 0 {
				sealed(part(cut, DefaultMaxMessage, 1)...)(ca)
			}
			for range c.times {
				sealed(c.record...)(ca)
			}
			ca.nc.(interface{ CloseWrite() error }).CloseWrite()
			io.Copy(io.Discard, ca.nc)
		}()
		_, err := cb.ReadMessage()
		if want := map[string]error{"MORE without end": ErrTooLarge}[c.name]; want != nil && !errors.Is(err, want) || err == nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if held := cap(cb.whole.buf) + 8*cap(cb.whole.ends) + 24*cap(cb.whole.parts) + len(cb.in.buf); held > 8*2*DefaultMaxParts+largeBuf {
			t.Errorf("%s: %d bytes are held", c.name, held)
		}
	}
}

// A large message goes through in the memory of a few records, whatever its
// size; whoever wants it whole holds it once.
func TestMemoryIsBounded(t *testing.T) {
	const size = 32 << 20
	ca, cb := sessionsOver(t, tcpPipe)
	big := make([]byte, size)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 2 {
			if err := ca.WriteMessage(big); err != nil {
				t.Error(err)
			}
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for at := 0; at < size; {
		f, err := cb.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		at += len(f.Body)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 2<<20 {
		t.Errorf("%d bytes were allocated for %d on their way", took, size)
	}
	if held := len(cb.in.buf) + cap(cb.whole.buf); held > largeBuf {
		t.Errorf("the receiver holds %d bytes", held)
	}
	if err := cb.Configure(Options{MaxMessage: size}); err != nil {
		t.Fatal(err)
	}
	m, err := cb.ReadMessage()
	if err != nil || len(m.Parts[0]) != size {
		t.Fatalf("%d parts, %v", len(m.Parts), err)
	}
	if cap(cb.whole.buf) > size {
		t.Errorf("%d bytes are held for %d", cap(cb.whole.buf), size)
	}
	wg.Wait()
	if held := cap(ca.queue.buf) + cap(ca.out.buf); held > 2*2*maxBatch {
		t.Errorf("the sender holds %d bytes", held)
	}
	runtime.ReadMemStats(&before)
	if took := before.TotalAlloc - after.TotalAlloc; took > 2*size+2<<20 {
		t.Errorf("%d bytes were allocated for a message of %d", took, size)
	}
}

// canned is a connection from which the same bytes come as often as one reads.
type canned struct {
	quiet
	bytes []byte
	at    int
}

func (c *canned) Read(b []byte) (int, error) {
	n := copy(b, c.bytes[c.at:])
	if c.at += n; n == 0 {
		return 0, errWait
	}
	return n, nil
}

// In steady state neither side allocates for frames and messages of any size.
func TestMessagesAllocateNothing(t *testing.T) {
	for _, size := range []int{0, 100, 10_000, 300_000} {
		x, y := memoryPipe(t)
		w := &wire{Conn: x}
		ca, cb := sessions(t, w, y)
		tape := &canned{}
		w.edit = func(_ int, p []byte) []byte { tape.bytes = append(tape.bytes, p...); return nil }
		const rounds, each = 20, 5
		body := make([]byte, size)
		for range (rounds + 2) * each * 2 {
			if err := ca.WriteMessage(body, body); err != nil {
				t.Fatal(err)
			}
		}
		cb.over(tape)
		for name, read := range map[string]func() error{
			"frames":   func() error { _, err := cb.ReadFrame(); return err },
			"messages": func() error { _, err := cb.ReadMessage(); return err },
		} {
			for cb.incoming.parts > 0 {
				cb.ReadFrame() // to the end of a message
			}
			for range each {
				if err := read(); err != nil { // buffers grow
					t.Fatal(err)
				}
			}
			if n := testing.AllocsPerRun(rounds, func() {
				if err := read(); err != nil {
					panic(err)
				}
			}); n != 0 {
				t.Errorf("%s of %d bytes: %v allocations", name, size, n)
			}
		}
		ca.over(quiet{x})
		if n := testing.AllocsPerRun(100, func() {
			if err := errors.Join(ca.QueueMessage(body, body), ca.Flush()); err != nil {
				panic(err)
			}
		}); n != 0 {
			t.Errorf("writing %d bytes: %v allocations", size, n)
		}
	}
}

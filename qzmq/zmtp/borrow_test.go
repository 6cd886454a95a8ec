package zmtp

import (
	"bytes"
	"testing"
	"time"
)

// A session that reads into memory of a pool has none while it waits, whatever has come
// before, and gives what one with memory of its own does.
func TestBorrowedMemory(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	pool := new(Pool)
	for range 2 { // the second time changes nothing
		if err := cb.Configure(Options{Pool: pool}); err != nil {
			t.Fatal(err)
		}
	}
	waits := func() {
		t.Helper()
		cb.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if m, err := cb.ReadMessage(); !isTimeout(err) {
			t.Fatalf("%v, %v", m, err)
		}
		cb.SetReadDeadline(time.Time{})
		if cb.in.lent != nil || len(cb.in.buf) > 0 {
			t.Errorf("a session that waits has %d bytes", len(cb.in.buf))
		}
	}
	waits()
	for _, size := range []int{0, 1, 100, maxPiece, MaxRecord, 1 << 20} {
		body := bytes.Repeat([]byte{byte(size)}, size)
		go func() {
			for range 3 {
				ca.WriteMessage(body)
			}
		}()
		for range 3 {
			if m, err := cb.ReadMessage(); err != nil || !bytes.Equal(m.Parts[0], body) {
				t.Fatalf("%d bytes: %v", size, err)
			}
		}
		waits()
	}

	// Half a record stays where it is.
	nc := ca.nc
	ca.over(&wire{Conn: nc, edit: func(_ int, b []byte) []byte {
		go func() {
			time.Sleep(50 * time.Millisecond)
			nc.Close()
		}()
		return b[:len(b)/2]
	}})
	go ca.WriteMessage([]byte("half"))
	cb.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := cb.ReadMessage(); !isTimeout(err) {
		t.Fatal(err)
	}
	if len(cb.in.unread()) == 0 {
		t.Error("half a record was thrown away")
	}
	cb.SetReadDeadline(time.Time{})
	if _, err := cb.ReadMessage(); err != ErrTruncated {
		t.Errorf("after half a record: %v", err)
	}
	if n := pool.large.Load(); n != 1 {
		t.Errorf("%d loans are out, want that of half a record", n)
	}
	cb.GiveBack()
	cb.GiveBack()
	if n := pool.large.Load(); n != 0 {
		t.Errorf("%d loans are out", n)
	}
}

// Room for two records is for a few connections, however many there are.
func TestLoans(t *testing.T) {
	pool := new(Pool)
	var out []*loan
	for i := range 2 * mostLarge {
		l := pool.record()
		if want := i < mostLarge; (len(l.buf) == largeBuf) != want || !want && len(l.buf) != smallBuf {
			t.Errorf("loan %d has %d bytes", i, len(l.buf))
		}
		out = append(out, l)
	}
	for _, l := range out {
		pool.takeRecord(l)
	}
	if l := pool.record(); len(l.buf) != largeBuf {
		t.Errorf("when all are back a loan has %d bytes", len(l.buf))
	}
}

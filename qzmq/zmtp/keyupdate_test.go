package zmtp

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// lowered gives limits under which a key update is due as early as may be.
func lowered(records uint64) record.Limits {
	l := record.AES256GCM.Limits()
	l.FirstRecords, l.RotateRecords = records, records
	return l
}

// Both directions go through many keys, each in its own time, while commands and
// messages in pieces are on their way.
func TestKeyUpdates(t *testing.T) {
	const messages, updates = 7000, 6
	ca, cb := sessionsOver(t, tcpPipe)
	ca.sealer.Lower(lowered(1024))
	cb.sealer.Lower(lowered(1100))
	var wg sync.WaitGroup
	for i, c := range []*Conn{ca, cb} {
		if err := c.Configure(Options{PadTo: i * 64}); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for i := range messages {
				body := filled(i, 100)
				if i%500 == 0 {
					body = filled(i, 300_000)
				}
				if err := c.WriteMessage(body); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for i := range messages {
				m, err := c.ReadMessage()
				if err != nil || !bytes.Equal(m.Parts[0], filled(i, len(m.Parts[0]))) {
					t.Errorf("message %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, c := range []*Conn{ca, cb} {
		if c.sealer.Epoch() < updates || c.opener.Epoch() < updates || c.Worn() {
			t.Errorf("epochs %d and %d, worn %v", c.sealer.Epoch(), c.opener.Epoch(), c.Worn())
		}
	}
	closeBoth(t, ca, cb)
}

func TestWornSession(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	if err := ca.Configure(Options{Lifetime: Lifetime{Never: true}}); err != nil {
		t.Fatal(err)
	}
	l := lowered(3)
	l.MaxRecords = 10 // no update can come before this
	ca.sealer.Lower(l)
	var err error
	sent := 0
	for ; err == nil; sent++ {
		if ca.Worn() != (sent >= 3) {
			t.Fatalf("after %d records worn is %v", sent, ca.Worn())
		}
		err = ca.WriteCommand("DATA", nil)
	}
	if !errors.Is(err, record.ErrExhausted) || sent != 11 {
		t.Errorf("%d records, then %v", sent-1, err)
	}
	if names, err := readAll(cb); len(names) != 10 || err != ErrTruncated {
		t.Errorf("%d commands, %v", len(names), err)
	}
}

func TestHostileKeyUpdates(t *testing.T) {
	update := AppendCommand(nil, updateName, nil)
	one := AppendCommand(nil, "ONE", nil)
	many := make([][]byte, 1023)
	for i := range many {
		many[i] = one
	}
	last := slices.Concat(many, [][]byte{update})
	for _, c := range []struct {
		name    string
		records [][]byte
		read    int
		want    error
		alert   handshake.Alert
	}{
		{"at once", [][]byte{update}, 0, record.ErrUpdate, handshake.AlertUnexpectedMessage},
		{"one record too soon", slices.Concat(many[1:], [][]byte{update}), 1022, record.ErrUpdate, handshake.AlertUnexpectedMessage},
		{"in time, and the key is not changed", slices.Concat(last, [][]byte{one}), 1023, record.ErrBadRecord, handshake.AlertBadRecord},
		{"with data", [][]byte{AppendCommand(nil, updateName, []byte{1})}, 0, ErrCommand, handshake.AlertDecodeError},
		{"not last in its record", slices.Concat(many, [][]byte{slices.Concat(update, one)}), 1023, ErrPadding, handshake.AlertDecodeError},
		{"twice in a record", slices.Concat(many, [][]byte{slices.Concat(update, update)}), 1023, ErrPadding, handshake.AlertDecodeError},
		{"padded", slices.Concat(many, [][]byte{pad(update, 10)}), 1023, ErrTruncated, handshake.AlertNone},
	} {
		names, bErr, aErr := attack(t, sealedAll(c.records...), func(wire [][]byte) [][]byte { return wire })
		if len(names) != c.read || strings.Contains(strings.Join(names, " "), updateName) || !errors.Is(bErr, c.want) {
			t.Errorf("%s: read %d, %v", c.name, len(names), bErr)
		}
		if c.alert == handshake.AlertNone && aErr != ErrTruncated || c.alert != handshake.AlertNone && !isAlert(aErr, c.alert) {
			t.Errorf("%s: the sender hears %v", c.name, aErr)
		}
	}
}

// A flood: two updates with too little between them.
func TestKeyUpdateFlood(t *testing.T) {
	for _, between := range []int{0, 1, 1022, 1023} {
		send := func(c *Conn) {
			for _, n := range []int{1023, between} {
				for range n {
					sealed(AppendCommand(nil, "ONE", nil)...)(c)
				}
				sealed(AppendCommand(nil, updateName, nil)...)(c)
				if err := c.sealer.Update(); err != nil && between == 1023 {
					panic(err)
				}
			}
		}
		names, bErr, _ := attack(t, send, func(wire [][]byte) [][]byte { return wire })
		want := record.ErrUpdate
		if between == 1023 {
			want = ErrTruncated
		}
		if !errors.Is(bErr, want) || len(names) != 1023+between {
			t.Errorf("%d records between: read %d, %v", between, len(names), bErr)
		}
	}
}

// What waits when an update is due is not lost, and costs no allocation.
func TestKeyUpdateInABatch(t *testing.T) {
	x, y := tcpPipe(t)
	w := &wire{Conn: x}
	ca, cb := sessions(t, w, y)
	ca.sealer.Lower(lowered(1024))
	for range 1023 {
		if err := ca.WriteMessage(nil); err != nil {
			t.Fatal(err)
		}
	}
	before := w.n
	if err := ca.QueueMessage(filled(1, MaxRecord)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ca.QueueMessage(filled(2, 10)), ca.Flush()); err != nil {
		t.Fatal(err)
	}
	if w.n != before+1 || ca.sealer.Epoch() != 1 {
		t.Errorf("%d writes, epoch %d", w.n-before, ca.sealer.Epoch())
	}
	for range 1023 {
		if _, err := cb.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range []int{MaxRecord, 10} {
		m, err := cb.ReadMessage()
		if err != nil || !bytes.Equal(m.Parts[0], filled(i+1, n)) {
			t.Fatal(err)
		}
	}
	closeBoth(t, ca, cb)
	if cb.opener.Epoch() != 1 {
		t.Errorf("the receiver is in epoch %d", cb.opener.Epoch())
	}
}

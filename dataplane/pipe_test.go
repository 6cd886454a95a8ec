package dataplane

import (
	"bytes"
	"testing"
)

func TestPipe(t *testing.T) {
	a, b := Pipe(4)
	notified := 0
	b.Notify(func() { notified++ })
	first, room := a.Room(), a.Room()
	if &room[0] == &first[0] {
		t.Error("the same room was given twice")
	}
	frame := room[10:][:copy(room[10:], "one")]
	a.Commit(frame)
	frame[0] = 'O' // may change until Flush
	if len(b.Recv()) != 0 || notified != 0 {
		t.Error("a packet arrived before Flush")
	}
	a.Flush()
	a.Flush()
	got := b.Recv()
	if len(got) != 1 || string(got[0]) != "One" || notified != 1 {
		t.Errorf("received %q after %d notices", got, notified)
	}
	if len(b.Recv()) != 0 {
		t.Error("received twice")
	}
	put(t, b, []byte("back"))
	if got := take(a); len(got) != 1 || string(got[0]) != "back" {
		t.Errorf("received %q", got)
	}
}

// A full cable loses packets and counts them; a full sending end says so.
func TestPipeFull(t *testing.T) {
	a, b := Pipe(4)
	for i := range 4 {
		a.Commit(a.Room()[:i+1])
	}
	if a.Room() != nil {
		t.Error("room for a fifth packet")
	}
	a.Flush()
	put(t, a, []byte("lost"), []byte("lost, too"))
	if got := b.Recv(); len(got) != 4 || a.Lost() != 2 {
		t.Errorf("received %d packets, %d lost", len(got), a.Lost())
	}
	put(t, a, []byte("again"))
	if got := take(b); len(got) != 1 || string(got[0]) != "again" {
		t.Errorf("received %q", got)
	}
}

// Memory goes round: what is lent stays untouched until the next Recv.
func TestPipeLends(t *testing.T) {
	a, b := Pipe(8)
	for round := range 100 {
		for i := range 8 {
			put(t, a, bytes.Repeat([]byte{byte(round*8 + i)}, 100))
		}
		lent := b.Recv()
		for range 8 {
			put(t, a, bytes.Repeat([]byte{0xee}, 200))
		}
		for i, p := range lent {
			if !bytes.Equal(p, bytes.Repeat([]byte{byte(round*8 + i)}, 100)) {
				t.Fatalf("round %d: packet %d changed while it was lent", round, i)
			}
		}
		b.Recv()
	}
}

package relay

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// flipped is a connection on which one bit of what passes is another one. It knows no
// patience, since a length that grew is otherwise waited for.
type flipped struct {
	net.Conn
	said, heard   int // bytes so far
	sayAt, hearAt int // which byte, counted from 0; -1 for none
	patience      time.Duration
}

func (f *flipped) Write(b []byte) (int, error) {
	b = flipAt(b, f.sayAt-f.said, f.sayAt)
	n, err := f.Conn.Write(b)
	f.said += n
	return n, err
}

func (f *flipped) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	copy(b[:n], flipAt(b[:n], f.hearAt-f.heard, f.hearAt))
	f.heard += n
	return n, err
}

func (f *flipped) SetDeadline(time.Time) error {
	return f.Conn.SetDeadline(time.Now().Add(f.patience))
}

// flipAt gives b with a bit of its byte i changed, if it has that; which bit depends on n.
func flipAt(b []byte, i, n int) []byte {
	if i < 0 || i >= len(b) {
		return b
	}
	b = append([]byte(nil), b...)
	b[i] ^= 1 << (n % 8)
	return b
}

// A bit flipped in any byte of a handshake, in all four flights and both greetings, on
// TCP: no session at the initiator, nothing delivered behind the relay.
func TestFlippedHandshake(t *testing.T) {
	s := newSite(t, nil)
	whole := &flipped{sayAt: -1, hearAt: -1, patience: 10 * time.Second}
	conn, err := s.initiate(s.nearID, func(nc net.Conn) net.Conn { whole.Conn = nc; return whole }, nil)
	if err != nil {
		t.Fatal(err)
	}
	said, heard := whole.said, whole.heard
	conn.Close()
	waited := 0
	for at := range said + heard {
		f := &flipped{sayAt: at, hearAt: -1, patience: 300 * time.Millisecond}
		if at >= said {
			f.sayAt, f.hearAt = -1, at-said
		}
		conn, err := s.initiate(s.nearID, func(nc net.Conn) net.Conn { f.Conn = nc; return f }, nil)
		if err == nil {
			conn.WriteMessage([]byte("taken"))
			conn.CloseWith(handshake.AlertNone)
			t.Errorf("the handshake is taken with byte %d of %d said or %d of %d heard changed", f.sayAt, said, f.hearAt, heard)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			waited++
		}
	}
	// Of a frame's length and a message's, most bits make it more; nothing else may.
	if most := 4 * (8 + 3); waited > most {
		t.Errorf("%d flips were waited for, at most %d are about a length", waited, most)
	}
	t.Logf("%d flips, %d of them waited for", said+heard, waited)
	s.healthy()
	if got := s.delivered(); len(got) > 0 {
		t.Errorf("delivered were %q", got)
	}
}

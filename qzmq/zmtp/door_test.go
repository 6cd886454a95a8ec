package zmtp

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// caller is a connection whose other end has said something and listens.
type caller struct {
	says    []byte
	at      int
	written int
	closed  bool
}

func (c *caller) Read(b []byte) (int, error) {
	if c.at == len(c.says) {
		return 0, io.EOF
	}
	n := copy(b, c.says[c.at:])
	c.at += n
	return n, nil
}
func (c *caller) Write(b []byte) (int, error)        { c.written += len(b); return len(b), nil }
func (c *caller) Close() error                       { c.closed = true; return nil }
func (c *caller) LocalAddr() net.Addr                { return nil }
func (c *caller) RemoteAddr() net.Addr               { return nil }
func (c *caller) SetDeadline(time.Time) error        { return nil }
func (c *caller) SetReadDeadline(t time.Time) error  { return nil }
func (c *caller) SetWriteDeadline(t time.Time) error { return nil }

// TestRefusalIsCheap: a stranger gets no byte, takes no turn and leaves nothing; what
// is allocated for it is a few small objects that are gone with the connection.
func TestRefusalIsCheap(t *testing.T) {
	ca, cb := configs(t)
	turns := NewTurns()
	d, err := NewDoor(cb, turns)
	if err != nil {
		t.Fatal(err)
	}
	says := hello(t, ca)
	says[len(says)-1] ^= 1
	const most = 12 // one more than it is, since a pool under the race detector forgets at will
	if n := testing.AllocsPerRun(100, func() {
		c := caller{says: says}
		_, err := d.Respond(context.Background(), &c, Caller{})
		if !errors.Is(err, handshake.ErrSilent) || !errors.Is(err, handshake.ErrSilenceMAC) || c.written != 0 || !c.closed {
			t.Fatalf("%v, %d bytes, closed %v", err, c.written, c.closed)
		}
	}); n > most {
		t.Errorf("%v allocations, at most %d", n, most)
	}
	strangers, known := turns.Stats()
	if strangers != (TurnStats{}) || known != (TurnStats{}) {
		t.Errorf("turns: %+v, %+v", strangers, known)
	}
}

// One door for many connections at the same time, of peers and of strangers.
func TestDoorIsShared(t *testing.T) {
	ca, cb := configs(t)
	withCookies(t, &cb)
	turns := NewTurns()
	d, err := NewDoor(cb, turns)
	if err != nil {
		t.Fatal(err)
	}
	wrong := hello(t, ca)
	wrong[len(wrong)-1] ^= 1
	const each = 20
	var wg sync.WaitGroup
	for range each {
		a, b := tcpPipe(t)
		wg.Go(func() {
			conn, err := d.Respond(context.Background(), b, Caller{Known: true})
			if err != nil {
				t.Error(err)
				return
			}
			if names, err := readAll(conn); len(names) != 1 || !errors.Is(err, io.EOF) {
				t.Errorf("%v, %v", names, err)
			}
		})
		wg.Go(func() {
			conn, err := Initiate(context.Background(), a, ca)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(conn.WriteCommand("PING", nil), conn.Close()); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			c := caller{says: wrong}
			if _, err := d.Respond(context.Background(), &c, Caller{}); !errors.Is(err, handshake.ErrSilent) || c.written != 0 {
				t.Errorf("%v, %d bytes", err, c.written)
			}
		})
	}
	wg.Wait()
	strangers, known := turns.Stats()
	if strangers.Taken != 0 || known.Taken != 2*each || turns.running != 0 {
		t.Errorf("turns: %+v, %+v, running %d", strangers, known, turns.running)
	}
}

// A handshake for which there is no turn in time, or no place to wait for one, ends
// with an alert that tells a stranger nothing.
func TestBusy(t *testing.T) {
	for name, c := range map[string]struct {
		places int
		late   uint64
	}{"no place": {0, 0}, "too late": {1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			ca, cb := configs(t)
			turns := newTurns(1, c.places)
			d, err := NewDoor(cb, turns)
			if err != nil {
				t.Fatal(err)
			}
			leave, err := turns.take(context.Background(), stranger)
			if err != nil {
				t.Fatal(err)
			}
			a, b := net.Pipe()
			began := time.Now()
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := d.Respond(context.Background(), b, Caller{}); !errors.Is(err, ErrBusy) {
					t.Errorf("%s: responder: %v", name, err)
				}
			})
			wg.Go(func() {
				if _, err := Initiate(context.Background(), a, ca); err == nil {
					t.Errorf("%s: a session", name)
				}
			})
			wg.Wait()
			leave()
			if took := time.Since(began); took > stageTimeout {
				t.Errorf("%s: %v", name, took)
			}
			if s, _ := turns.Stats(); s.Late != c.late || s.Refused != 1-c.late || turns.running != 0 {
				t.Errorf("%s: %+v, running %d", name, s, turns.running)
			}
		})
	}
}

func BenchmarkRefusal(b *testing.B) {
	ca, cb := configs(b)
	d, err := NewDoor(cb, NewTurns())
	if err != nil {
		b.Fatal(err)
	}
	says := hello(b, ca)
	says[len(says)-1] ^= 1
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		c := caller{says: says}
		if _, err := d.Respond(ctx, &c, Caller{}); !errors.Is(err, handshake.ErrSilent) || !c.closed || c.written != 0 {
			b.Fatal(err)
		}
	}
}

package zmtp

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// site is one side's identity; its peers trust it.
func site(t testing.TB) *handshake.Identity {
	t.Helper()
	id, err := handshake.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// configs gives two sides that trust each other.
func configs(t testing.TB) (initiator, responder handshake.Config) {
	t.Helper()
	a, b := site(t), site(t)
	initiator = handshake.Config{
		Identity: a, Purpose: handshake.PurposeLink, Peer: b.Fingerprint(), Metadata: []byte("from a"),
	}
	responder = handshake.Config{
		Identity: b, Purpose: handshake.PurposeLink, Metadata: []byte("from b"),
		Authorize: func(f handshake.Fingerprint) bool { return f == a.Fingerprint() },
	}
	return initiator, responder
}

// tcpPipe is a TCP connection over the loopback.
func tcpPipe(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialled, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

func memoryPipe(testing.TB) (net.Conn, net.Conn) { return net.Pipe() }

// result is what one side of a handshake came to.
type result struct {
	conn *Conn
	err  error
}

// shake runs both sides of a handshake.
func shake(a, b net.Conn, ca, cb handshake.Config) (initiator, responder result) {
	var wg sync.WaitGroup
	wg.Go(func() { initiator.conn, initiator.err = Initiate(context.Background(), a, ca) })
	responder.conn, responder.err = Respond(context.Background(), b, cb)
	wg.Wait()
	return initiator, responder
}

// sessions gives both ends of a session over a and b.
func sessions(t testing.TB, a, b net.Conn) (initiator, responder *Conn) {
	t.Helper()
	ca, cb := configs(t)
	ra, rb := shake(a, b, ca, cb)
	if ra.err != nil || rb.err != nil {
		t.Fatalf("initiator: %v; responder: %v", ra.err, rb.err)
	}
	return ra.conn, rb.conn
}

// sessionsOver is sessions over a new connection.
func sessionsOver(t testing.TB, pipe func(testing.TB) (net.Conn, net.Conn)) (*Conn, *Conn) {
	a, b := pipe(t)
	return sessions(t, a, b)
}

// wire is a net.Conn whose writes, each one flight or one record, can be
// watched and changed on their way.
type wire struct {
	net.Conn
	edit func(nth int, b []byte) []byte // nil drops the write
	n    int
}

func (w *wire) Write(b []byte) (int, error) {
	out := b
	if w.edit != nil {
		out = w.edit(w.n, bytes.Clone(b))
	}
	w.n++
	if len(out) > 0 {
		if _, err := w.Conn.Write(out); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (w *wire) CloseWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// flip gives an edit that flips a bit of one byte of one write.
func flip(nth, at int) func(int, []byte) []byte {
	return func(n int, b []byte) []byte {
		if n == nth && at < len(b) {
			b[at] ^= 1 << (at % 8)
		}
		return b
	}
}

// readAll reads commands until the connection ends.
func readAll(c *Conn) (names []string, err error) {
	for {
		name, _, err := c.ReadCommand()
		if err != nil {
			return names, err
		}
		names = append(names, name)
	}
}

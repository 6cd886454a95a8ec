package main

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// stranger is a connection in memory, from which greeting and ClientHello have come
// and then an end: what the responder of package zmtp pays for it is all that is
// not the kernel's.
type stranger struct {
	says   []byte // what is left of it
	heard  int    // bytes that it was sent
	closed bool
}

// Read implements net.Conn, as all below.
func (s *stranger) Read(b []byte) (int, error) {
	if len(s.says) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.says)
	s.says = s.says[n:]
	return n, nil
}

func (s *stranger) Write(b []byte) (int, error)      { s.heard += len(b); return len(b), nil }
func (s *stranger) Close() error                     { s.closed = true; return nil }
func (s *stranger) LocalAddr() net.Addr              { return nil }
func (s *stranger) RemoteAddr() net.Addr             { return nil }
func (s *stranger) SetDeadline(time.Time) error      { return nil }
func (s *stranger) SetReadDeadline(time.Time) error  { return nil }
func (s *stranger) SetWriteDeadline(time.Time) error { return nil }

// zmtpSilent is what a listener pays: a connection comes in at its door, and is
// closed without a byte.
func (p *pair) zmtpSilent(msg []byte) (func() bool, error) {
	door, err := zmtp.NewDoor(p.responder, zmtp.NewTurns())
	if err != nil {
		return nil, err
	}
	greeting := zmtp.NewGreeting(zmtp.Mechanism, false)
	says := zmtp.AppendCommand(greeting[:], "HANDSHAKE", msg)
	from := zmtp.Caller{Addr: p.from}
	ctx := context.Background()
	return func() bool {
		s := stranger{says: says}
		_, err := door.Respond(ctx, &s, from)
		return errors.Is(err, handshake.ErrSilent) && s.heard == 0 && s.closed
	}, nil
}

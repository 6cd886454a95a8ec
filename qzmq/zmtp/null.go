package zmtp

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/qzmq/gateway/qzmq/zmtp/raw"
)

// The mechanism NULL of RFC 37: greetings, READY from each side, then frames. It
// protects nothing; it is what the programs beside a relay speak.
//
//	each side                                  each side
//	greeting                <--------------->  greeting
//	READY(metadata)         <--------------->  READY(metadata), or ERROR(reason)
//	frames                  <--------------->  frames
//
// Neither side sends a message before it has the other's READY: libzmq 4.3 stops
// reading for good when both arrive together.
const (
	nullMechanism = "NULL"
	readyName     = "READY"
	errorName     = "ERROR"

	// maxReady is the largest body of READY and ERROR.
	maxReady = 16 << 10
)

// NullOptions say how a connection under NULL is opened, and its limits.
type NullOptions struct {
	// Minor is the version of ZMTP 3 that we announce, 0 or 1. Peers of 3.0 send
	// subscriptions as messages, those of 3.1 as commands.
	Minor uint8
	// MaxMessage, MaxParts and WriteTimeout are those of Options.
	MaxMessage, MaxParts int
	WriteTimeout         time.Duration
	// Pool is where memory comes from. nil means one of its own.
	Pool *Pool
}

// Null is a connection under NULL. One goroutine reads; any number may write or
// close at the same time.
type Null struct {
	hidden
	nc      net.Conn
	options Options
	pool    *Pool
	minor   uint8

	// The reading goroutine's: null_read.go.
	source   *source
	in       inbuf  // until READY
	reading  *Room  // while it is read into
	hasty    bool   // a small one will do for that
	held     []byte // of a frame that is not whole yet
	unread   bool   // held may have frames that are whole
	incoming progress
	lent     *Room  // whose frames ReadFrame gives out
	frames   []byte // what is left of them
	given    progress
	whole    assembly
	gathered gathered
	readErr  error

	writing  sync.Mutex // guards what follows: null_write.go
	sink     *raw.Sink
	list     [][]byte // of a message
	heads    []byte
	writeErr error
}

// RefusedError is the ERROR of a peer that has refused us in the handshake.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return fmt.Sprintf("zmtp: the peer refused: %q", e.Reason) }

// OpenNull exchanges greetings on nc. It owns nc from now on, and closes it on
// error. What follows is READY, in the order that the caller wants. The whole has
// 10 s, and ctx bounds it. Errors wrap those of this package, os.ErrDeadlineExceeded
// or the cause of ctx.
func OpenNull(ctx context.Context, nc net.Conn, o NullOptions) (*Null, error) {
	n := &Null{nc: nc, pool: o.Pool, source: newSource(nc), sink: raw.NewSink(nc)}
	n.options = Options{MaxMessage: o.MaxMessage, MaxParts: o.MaxParts, WriteTimeout: o.WriteTimeout}
	if err := n.options.complete(); err != nil {
		nc.Close()
		return nil, err
	}
	if n.pool == nil {
		n.pool = new(Pool)
	}
	err := n.stage(ctx, func() error {
		own := NewGreeting(nullMechanism, false)
		own[minorAt] = o.Minor
		// All of ours at once and before theirs: libzmq sends its own in parts and
		// waits for ours in between.
		if _, err := nc.Write(own[:]); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		peer, err := readGreeting(nc, &n.in, func(peer []byte) error {
			// Neither side serves, so what as-server says is of no interest.
			return own.Accept(peer[:min(len(peer), asServerAt)])
		})
		if err != nil {
			return err
		}
		n.minor = min(o.Minor, peer.minor())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// stage runs a step of the handshake, within its time and ctx, and closes the
// connection on error.
func (n *Null) stage(ctx context.Context, step func() error) error {
	stop := context.AfterFunc(ctx, func() { n.nc.Close() })
	err := n.nc.SetDeadline(time.Now().Add(stageTimeout))
	if err == nil {
		err = step()
	}
	if err == nil {
		err = n.nc.SetDeadline(time.Time{})
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		n.nc.Close()
		return &failed{err}
	}
	return nil
}

// Minor is the version of ZMTP 3 that both sides know: whether subscriptions are
// messages, 0, or commands.
func (n *Null) Minor() uint8 { return n.minor }

// WriteReady says that we are ready, and what we are.
func (n *Null) WriteReady(ctx context.Context, m Metadata) error {
	body := m.Append(nil)
	return n.stage(ctx, func() error {
		if len(body) > maxReady {
			return ErrTooLarge
		}
		_, err := n.nc.Write(AppendCommand(nil, readyName, body))
		return err
	})
}

// ReadReady waits for the peer to be ready, and tells what it is. The metadata is
// the caller's. An ERROR of the peer is a *RefusedError.
func (n *Null) ReadReady(ctx context.Context) (m Metadata, err error) {
	err = n.stage(ctx, func() error {
		name, body, err := n.in.command(n.nc, 1+len(readyName)+maxReady)
		if err != nil {
			return err
		}
		body = append([]byte(nil), body...)
		switch string(name) {
		case readyName:
			m, err = ParseMetadata(body)
			return err
		case errorName:
			if len(body) == 0 || len(body) != 1+int(body[0]) {
				return ErrCommand
			}
			return &RefusedError{string(body[1:])}
		}
		return ErrUnexpected
	})
	n.held, n.in = n.in.unread(), inbuf{}
	n.unread = len(n.held) > 0
	return m, err
}

// Refuse tells the peer why we do not go on, in up to 255 printable characters, and
// closes. A peer does not try again with what it was refused for.
func (n *Null) Refuse(ctx context.Context, reason string) error {
	defer n.nc.Close()
	if len(reason) > maxShort {
		reason = reason[:maxShort]
	}
	return n.stage(ctx, func() error {
		_, err := n.nc.Write(AppendCommand(nil, errorName, append([]byte{byte(len(reason))}, reason...)))
		return err
	})
}

// RemoteAddr is the peer's address.
func (n *Null) RemoteAddr() net.Addr { return n.nc.RemoteAddr() }

// Close closes the connection. What was written reaches a peer that reads.
func (n *Null) Close() error { return n.nc.Close() }

// CloseWrite tells the peer that nothing more comes. Where that cannot be told it
// does nothing.
func (n *Null) CloseWrite() error {
	if half, ok := n.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// SetReadDeadline ends a read that has nothing at time t, with
// os.ErrDeadlineExceeded. Reading may go on after it; nothing is lost.
func (n *Null) SetReadDeadline(t time.Time) error { return n.nc.SetReadDeadline(t) }

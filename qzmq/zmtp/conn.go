package zmtp

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
	"github.com/qzmq/gateway/qzmq/zmtp/raw"
)

// Conn is a session on a connection. One goroutine reads; any number may write
// or close at the same time.
type Conn struct {
	nc        net.Conn
	config    handshake.Config // for rotations
	turns     *Turns           // likewise, of the responder; nil does not bound them
	initiator bool
	took      time.Duration
	early     []handshake.EarlyMessage
	options   Options

	closing  atomic.Bool // the session is over for us, for whatever reason
	worn     atomic.Bool // its keys near their end
	renewing atomic.Bool // a rotation that the peer has asked for is under way
	wishing  atomic.Bool // likewise, of one that our Lifetime asks for
	due      due         // what of our Lifetime; set before use
	records  atomic.Uint64
	bytes    atomic.Uint64 // of the session, both ways: lifetime.go

	// The reading goroutine's: read.go and message.go.
	in       inbuf
	opener   *record.StreamOpener
	frames   []byte // what is left of the last record, inside in's memory
	incoming progress
	whole    assembly
	gathered gathered // likewise, for a socket: messages.go
	overtook [][]byte // commands that wait for the end of a message: run.go
	readErr  error    // what ended reading; given for ever

	// Likewise, of a rotation: rotate.go.
	answered    chan struct{}        // closed when our last answer is sent; nil when there is none
	nextOpener  *record.StreamOpener // at the responder, from Finished to SWITCH
	nextSession *handshake.Session   // likewise

	rotating sync.Mutex // guards what follows; no other lock is taken under it
	session  *handshake.Session
	within   *handshake.Rehandshake // of session
	rotation *rotation              // nil when none is under way
	rotated  time.Time              // when the last one ended, or at the responder began
	born     time.Duration          // when session began, by due.clock
	aging    *time.Timer            // nil when its age does not matter

	// Writing: write.go. Locks are taken in this order.
	messages sync.Mutex // held from a message's first frame to its last
	sending  progress   // the message that is being sent; guarded by messages

	writing  sync.Mutex // guards what follows
	sealer   *record.StreamSealer
	out      batch     // on its way
	list     [][]byte  // records of rooms
	sink     *raw.Sink // where they go
	written  uint64    // tickets up to this one are
	writeErr error     // what ended writing; given for ever

	queueing sync.Mutex // guards what follows
	queue    batch      // waits for the next write
	queued   uint64     // the last ticket given out
}

func newConn(x *exchange, s *handshake.Session) (*Conn, error) {
	within, err := s.Rehandshake()
	if err != nil {
		return nil, err
	}
	c := &Conn{
		nc: x.nc, config: *x.config, turns: x.turns, initiator: s.Initiator(), took: time.Since(x.began), early: x.early,
		in: x.in, session: s, within: within, sink: raw.NewSink(x.nc),
	}
	c.sealer, c.opener = s.Records()
	c.in.eager = largeBuf
	return c, c.Configure(Options{})
}

// Early is what the initiator said before the handshake was over, nil for nothing;
// it comes before all messages. The initiator's side finds what was not taken of
// it in Session().RejectedEarly.
func (c *Conn) Early() []handshake.EarlyMessage { return c.early }

// HandshakeTime is how long the handshake took, counted from the ClientHello.
func (c *Conn) HandshakeTime() time.Duration { return c.took }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// LocalAddr is our address.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// SetReadDeadline ends a read that has nothing at time t, with
// os.ErrDeadlineExceeded. Reading may go on after it; nothing is lost.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// GiveBack returns the memory of Options.Pool, when nothing is read any more and
// nothing that was read is looked at.
func (c *Conn) GiveBack() { c.in.giveBack() }

// Close ends the session: CloseWith(handshake.AlertClose).
func (c *Conn) Close() error { return c.CloseWith(handshake.AlertClose) }

// CloseWith tells the peer, sealed, why the session ends, and closes the
// connection. It waits for the peer to close in answer, a round trip as a rule
// and at most 2 s, since a socket that closes with bytes unread resets the
// connection and the alert could be lost. What was queued and not flushed is
// dropped. handshake.AlertNone closes at once and without a word. An error means
// that the peer may not have been told. A Conn that is closed already is left
// alone.
func (c *Conn) CloseWith(alert handshake.Alert) error {
	return c.closeBy(alert, func() time.Time { return time.Now().Add(closeTimeout) })
}

// CloseContext is Close for a peer that may take its time with what is on its way:
// until ctx ends, which closes at once.
func (c *Conn) CloseContext(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { c.nc.Close() })()
	return c.closeBy(handshake.AlertClose, func() time.Time { return time.Time{} })
}

// closeBy closes; the alert, and then the peer's close, have until the time that by
// gives, or for ever.
func (c *Conn) closeBy(alert handshake.Alert, by func() time.Time) error {
	if c.closing.Swap(true) {
		return nil
	}
	c.abandonRotation(net.ErrClosed)
	c.stopAging()
	if alert == handshake.AlertNone {
		return c.nc.Close()
	}
	defer c.nc.Close()
	// Also for a writer that is stuck and holds the lock.
	if err := c.nc.SetWriteDeadline(by()); err != nil {
		return fmt.Errorf("zmtp: close: %w", err)
	}
	c.writing.Lock()
	err := c.writeErr
	if err == nil {
		c.out.reset()
		c.out.command(alertName, []byte{byte(alert)}, true, c.options.PadTo)
		err = c.send(nil)
		c.writeErr = net.ErrClosed
	}
	c.writing.Unlock()
	if err != nil {
		return fmt.Errorf("zmtp: close: %w", err)
	}
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	if c.nc.SetReadDeadline(by()) == nil {
		io.Copy(io.Discard, c.nc)
	}
	return nil
}

package zmtp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// Conn is a session on a connection. One goroutine reads; any number may write
// or close at the same time.
type Conn struct {
	nc      net.Conn
	session *handshake.Session
	took    time.Duration

	closing atomic.Bool // the session is over for us, for whatever reason

	// The reading goroutine's.
	in      inbuf
	opener  *record.StreamOpener
	frames  []byte // what is left of the last record, inside in's memory
	readErr error  // what ended reading; given for ever

	writing  sync.Mutex // guards what follows
	sealer   *record.StreamSealer
	out      []byte
	writeErr error // what ended writing; given for ever
}

func newConn(x *exchange, s *handshake.Session) *Conn {
	c := &Conn{nc: x.nc, session: s, took: time.Since(x.began), in: x.in}
	c.sealer, c.opener = s.Records()
	return c
}

// Session is what the handshake agreed. Its records are the Conn's; to close it,
// which ends the deriving of further keys, is the caller's affair.
func (c *Conn) Session() *handshake.Session { return c.session }

// HandshakeTime is how long the handshake took, counted from the ClientHello.
func (c *Conn) HandshakeTime() time.Duration { return c.took }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// LocalAddr is our address.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// SetReadDeadline ends a ReadCommand that has nothing at time t, with
// os.ErrDeadlineExceeded. Reading may go on after it; nothing is lost.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// ReadCommand gives the next command. body is lent until the next call.
//
// Any error but os.ErrDeadlineExceeded has closed the connection and comes
// again with every call: *ClosedError when the peer closed, which is an io.EOF
// when nothing was wrong; ErrTruncated when the connection was cut;
// record.ErrBadRecord when a record was not the next one that the peer sealed;
// net.ErrClosed after our own Close; or what was wrong with the peer's frames.
// A fault of the peer is told to it before closing, which takes up to 2 s if
// it does not listen.
func (c *Conn) ReadCommand() (name string, body []byte, err error) {
	if c.readErr != nil {
		return "", nil, c.readErr
	}
	n, body, err := c.nextCommand()
	if err == nil && string(n) == alertName {
		err = parseAlert(body)
	}
	if err != nil {
		return "", nil, c.endRead(err)
	}
	return string(n), body, nil
}

// endRead does what has to be done about a reader's error, and names it.
func (c *Conn) endRead(err error) error {
	var closed *ClosedError
	switch {
	case errors.As(err, &closed):
	case c.closing.Load():
		err = net.ErrClosed // whatever it looks like, we did it
	case isTimeout(err):
		return err
	default:
		c.CloseWith(alertFor(err))
	}
	c.readErr = err
	c.closing.Store(true)
	c.nc.Close()
	return err
}

// nextCommand gives the next frame of the session, which has to be a command.
func (c *Conn) nextCommand() (name, body []byte, err error) {
	if len(c.frames) == 0 {
		if err := c.nextRecord(); err != nil {
			return nil, nil, err
		}
	}
	h, n, err := ParseHeader(c.frames)
	switch {
	case err != nil:
		return nil, nil, err
	case n == 0 || h.Size > uint64(len(c.frames)-n):
		return nil, nil, ErrSplit
	case h.Flags != Command:
		return nil, nil, ErrUnexpected
	}
	whole := n + int(h.Size)
	body, c.frames = c.frames[n:whole], c.frames[whole:]
	return ParseCommand(body)
}

// nextRecord opens the next record in place, into c.frames.
func (c *Conn) nextRecord() error {
	name, sealed, err := c.in.command(c.nc, maxRecordBody)
	if err != nil {
		return err
	}
	if string(name) != recordName {
		return ErrUnexpected
	}
	c.frames, err = c.opener.Open(sealed[:0], sealed)
	return err
}

func parseAlert(body []byte) error {
	if len(body) != 1 {
		return ErrCommand
	}
	return &ClosedError{handshake.Alert(body[0])}
}

// WriteCommand seals one command as one record and writes it in one call. body
// is the caller's again when it returns.
//
// A command that does not fit MaxRecord is refused with ErrTooLarge, and a name
// that is not a command's, or is ALERT, panics. Any other error comes again with
// every call: a record may have gone in part, and none can follow it. A peer
// that does not read costs at most 10 s, and the connection.
func (c *Conn) WriteCommand(name string, body []byte) error {
	if name == alertName {
		panic("zmtp: an alert ends the session; CloseWith sends it")
	}
	if n := frameLen(1 + len(name) + len(body)); n > MaxRecord {
		return fmt.Errorf("%w: command %s takes %d bytes, a record has %d", ErrTooLarge, name, n, MaxRecord)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.writeErr != nil {
		return c.writeErr
	}
	// The deadline before the look: CloseWith does it the other way round, so
	// that either we see it closing or its shorter deadline is the last one set.
	err := c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if c.closing.Load() {
		return net.ErrClosed
	}
	if err == nil {
		err = c.send(name, body)
	}
	if err == nil {
		return nil
	}
	c.writeErr = fmt.Errorf("zmtp: write: %w", err)
	if isTimeout(err) || errors.Is(err, record.ErrExhausted) {
		if c.closing.Swap(true) {
			c.writeErr = net.ErrClosed
		}
		c.nc.Close()
	}
	// A broken connection is the reader's to close: it may still find there why
	// the peer ended the session.
	return c.writeErr
}

// send seals and writes one command. The caller holds c.writing.
func (c *Conn) send(name string, body []byte) error {
	n := frameLen(1+len(name)+len(body)) + record.TagLen
	b := slices.Grow(c.out[:0], frameLen(1+len(recordName)+n))
	b = appendCommandHead(b, recordName, n)
	at := len(b)
	b = AppendCommand(b, name, body)
	b, err := c.sealer.Seal(b[:at], b[at:]) // in place
	if err != nil {
		return err
	}
	if c.out = b; cap(b) > keepBuf {
		c.out = nil
	}
	_, err = c.nc.Write(b)
	return err
}

// Close ends the session: CloseWith(handshake.AlertClose).
func (c *Conn) Close() error { return c.CloseWith(handshake.AlertClose) }

// CloseWith tells the peer, sealed, why the session ends, and closes the
// connection. It waits for the peer to close in answer, a round trip as a rule
// and at most 2 s, since a socket that closes with bytes unread resets the
// connection and the alert could be lost. handshake.AlertNone closes at once and
// without a word. An error means that the peer may not have been told. A Conn that
// is closed already is left alone.
func (c *Conn) CloseWith(alert handshake.Alert) error {
	if c.closing.Swap(true) {
		return nil
	}
	if alert == handshake.AlertNone {
		return c.nc.Close()
	}
	defer c.nc.Close()
	// Also for a writer that is stuck and holds the lock.
	if err := c.nc.SetWriteDeadline(time.Now().Add(closeTimeout)); err != nil {
		return fmt.Errorf("zmtp: close: %w", err)
	}
	c.writing.Lock()
	err := c.writeErr
	if err == nil {
		err = c.send(alertName, []byte{byte(alert)})
		c.writeErr = net.ErrClosed
	}
	c.writing.Unlock()
	if err != nil {
		return fmt.Errorf("zmtp: close: %w", err)
	}
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	if c.nc.SetReadDeadline(time.Now().Add(closeTimeout)) == nil {
		io.Copy(io.Discard, c.nc)
	}
	return nil
}

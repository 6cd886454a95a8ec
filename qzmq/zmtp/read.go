package zmtp

import (
	"errors"
	"net"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// Reading, from the outside in:
//
//  1. ReadFrame, ReadMessage and ReadCommand judge an error once (endRead).
//  2. next takes one frame or piece from the record at hand (nextRun, for a relay,
//     all whole frames), keeps the session's own commands to itself, and holds the
//     rest to its place and the limits.
//  3. nextRecord opens a record in place, in the memory where it arrived.

// Frame is a frame of the session, or a piece of a large one.
type Frame struct {
	Flags Flags  // More and Command, of the whole frame
	Size  int    // of the whole frame's body in bytes
	At    int    // where Body stands in the whole body
	Body  []byte // the body from At on; a command's is whole
}

// Last says whether the frame ends with this piece.
func (f *Frame) Last() bool { return f.At+len(f.Body) == f.Size }

// ReadFrame gives the next frame, or piece of one, as soon as it is there; Body
// is lent until the next read. Pieces of a frame come in order and, with the
// parts of their message, without any of another message; commands may come
// between them. It does not allocate, and whatever the size of a message it
// holds no more than a record or two.
//
// Any error but os.ErrDeadlineExceeded has closed the connection and comes
// again with every call: *ClosedError when the peer closed, which is an io.EOF
// when nothing was wrong; ErrTruncated when the connection was cut;
// record.ErrBadRecord when a record was not the next one that the peer sealed;
// net.ErrClosed after our own Close; or what was wrong with the peer's frames.
// A fault of the peer is told to it before closing, which takes up to 2 s if
// it does not listen.
func (c *Conn) ReadFrame() (Frame, error) {
	if c.readErr != nil {
		return Frame{}, c.readErr
	}
	f, err := c.next()
	if err != nil {
		return Frame{}, c.endRead(err)
	}
	return f, nil
}

// ReadCommand gives the next command, where nothing but commands is expected; a
// message is a fault of the peer. Otherwise as ReadFrame.
func (c *Conn) ReadCommand() (name string, body []byte, err error) {
	f, err := c.ReadFrame()
	if err != nil {
		return "", nil, err
	}
	if f.Flags != Command {
		return "", nil, c.endRead(ErrUnexpected)
	}
	n, body, err := ParseCommand(f.Body)
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
		c.abandonRotation(err) // before CloseWith gives a poorer reason
		c.CloseWith(alertFor(err))
	}
	c.readErr = err
	c.closing.Store(true)
	c.abandonRotation(err)
	c.stopAging()
	if c.nextSession != nil {
		c.nextSession.Close() // nobody has seen it
	}
	c.nc.Close()
	return err
}

// next gives the next frame or piece that is for our caller.
func (c *Conn) next() (Frame, error) {
	for {
		if _, err := c.needFrames(true); err != nil {
			return Frame{}, err
		}
		p, _, body, err := c.nextPiece()
		if err != nil {
			return Frame{}, err
		}
		if p.flags&Command == 0 {
			return c.message(p, body)
		}
		own, err := c.own(body)
		if err != nil {
			return Frame{}, err
		}
		if !own {
			return Frame{Flags: Command, Size: len(body), Body: body}, nil
		}
	}
}

// needFrames opens the next record if c.frames has come to its end. It is false when
// that record is not there, and not to be waited for.
func (c *Conn) needFrames(wait bool) (there bool, err error) {
	if len(c.frames) > 0 && c.frames[0] == padMark {
		if err := c.endRecord(); err != nil {
			return false, err
		}
	}
	if len(c.frames) > 0 {
		return true, nil
	}
	if !wait && !c.in.hasCommand() {
		return false, nil
	}
	return true, c.nextRecord()
}

// nextPiece takes the frame or piece that c.frames begins with; body is the end of
// frame.
func (c *Conn) nextPiece() (p piece, frame, body []byte, err error) {
	p, n, err := parsePiece(c.frames)
	switch {
	case err != nil:
		return p, nil, nil, err
	case n == 0 || p.size > uint64(len(c.frames)-n):
		return p, nil, nil, ErrSplit
	}
	end := n + int(p.size)
	frame = c.frames[:end:end]
	c.frames = c.frames[end:]
	return p, frame, frame[n:], nil
}

// message checks a piece of a message against what came before.
func (c *Conn) message(p piece, body []byte) (Frame, error) {
	at, err := c.incoming.take(p, &c.options)
	if err == nil && p.flags&cut != 0 {
		err = c.endRecord()
	}
	if err != nil {
		return Frame{}, err
	}
	return Frame{Flags: p.flags & More, Size: int(c.incoming.size), At: int(at), Body: body}, nil
}

// own handles a command that belongs to the session itself.
func (c *Conn) own(body []byte) (bool, error) {
	name, data, err := ParseCommand(body)
	if err != nil {
		return false, err
	}
	switch string(name) {
	case alertName:
		return true, parseAlert(data)
	case updateName:
		return true, c.keyUpdated(data)
	case handshakeName:
		return true, c.handshakeMessage(data)
	case switchName:
		return true, c.switched(data)
	case renewName:
		return true, c.renew(data)
	}
	return false, nil
}

// endRecord checks that nothing but padding is left of the record.
func (c *Conn) endRecord() error {
	if !isPadding(c.frames) {
		return ErrPadding
	}
	c.frames = nil
	return nil
}

// nextRecord opens the next record into c.frames: in place, or where the rest of a
// message belongs that is being gathered. It has a frame.
func (c *Conn) nextRecord() error {
	name, sealed, err := c.in.command(c.nc, maxRecordBody)
	if err != nil {
		return err
	}
	if string(name) != recordName {
		return ErrUnexpected
	}
	place := c.gathered.open(len(sealed) - record.TagLen)
	if place != nil {
		if c.frames, err = c.opener.Open(place, sealed); err == nil {
			c.frames = c.gathered.opened(c.frames)
		}
	} else {
		c.frames, err = c.opener.Open(sealed[:0], sealed)
	}
	if err != nil {
		return err
	}
	c.carried(1, len(c.frames))
	if c.opener.Rotate() {
		c.worn.Store(true)
	}
	if len(c.frames) == 0 || c.frames[0] == padMark {
		return ErrSplit
	}
	return nil
}

func parseAlert(body []byte) error {
	if len(body) != 1 {
		return ErrCommand
	}
	return &ClosedError{handshake.Alert(body[0])}
}

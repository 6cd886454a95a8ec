package zmq4transport

import (
	"errors"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

// maxReady is more than zmq4's READY has: a type and an identity.
const maxReady = 1 << 10

// Write takes what zmq4 says: a greeting, READY, and then frames, which zmq4 writes in
// pieces. A message is sent when its last byte is there, at the peer's pace.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for rest := b; len(rest) > 0; {
		take := c.takeFrame
		switch {
		case !c.greeted:
			take = c.takeGreeting
		case !c.isReady:
			take = c.takeReady
		}
		n, err := take(rest)
		if sending := (*endError)(nil); errors.As(err, &sending) {
			return len(b) - len(rest), sending
		}
		if err != nil {
			return len(b) - len(rest), c.fail(err)
		}
		rest = rest[n:]
	}
	return len(b), nil
}

func (c *conn) takeGreeting(b []byte) (int, error) {
	n := min(zmtp.GreetingLen-len(c.said), len(b))
	c.said = append(c.said, b[:n]...)
	if len(c.said) < zmtp.GreetingLen {
		return n, nil
	}
	// What zmq4 may say, beside QZMQ1, is NULL, and that it does not serve.
	other := zmtp.NewGreeting(nullMechanism, true)
	if err := other.Accept(c.said); err != nil {
		return 0, err
	}
	c.said, c.greeted = c.said[:0], true
	return n, nil
}

// takeReady leads to the handshake, and returns at the side that calls when that is over.
func (c *conn) takeReady(b []byte) (int, error) {
	had := len(c.said)
	c.said = append(c.said, b...)
	h, head, err := zmtp.ParseHeader(c.said)
	if err == nil && head > 0 && h.Size > maxReady {
		err = zmtp.ErrTooLarge
	}
	if err != nil {
		return 0, err
	}
	end := head + int(h.Size)
	if head == 0 || len(c.said) < end {
		return len(b), nil
	}
	name, data, err := zmtp.ParseCommand(c.said[head:end])
	if err == nil && (h.Flags != zmtp.Command || string(name) != readyName) {
		err = zmtp.ErrUnexpected
	}
	var own zmtp.Metadata
	if err == nil {
		own, err = zmtp.ParseMetadata(data)
	}
	if err == nil {
		err = c.ready(own)
	}
	c.said, c.isReady = nil, true
	return end - had, err
}

// takeFrame takes a header, or as much of a body as there is.
func (c *conn) takeFrame(b []byte) (n int, err error) {
	if <-c.up; c.failure != nil {
		return 0, c.failure
	}
	if !c.inFrame {
		c.said = append(c.said, b[0])
		h, head, err := zmtp.ParseHeader(c.said)
		if err != nil || head == 0 {
			return 1, err
		}
		if h.Flags&zmtp.Command != 0 {
			return 0, zmtp.ErrUnexpected
		}
		c.said, c.inFrame = c.said[:0], true
		c.frame = zmtp.Frame{Flags: h.Flags, Size: int(h.Size)}
		if n = 1; c.frame.Size > 0 {
			return n, nil
		}
	}
	body := b[n:min(len(b), n+c.frame.Size-c.frame.At)]
	c.frame.Body = body
	if err := c.sealed.WriteFrame(c.frame); err != nil {
		return 0, sendError(err)
	}
	c.frame.Body = nil
	if c.frame.At += len(body); c.frame.At == c.frame.Size {
		c.inFrame = false
		if c.frame.Flags&zmtp.More == 0 {
			err = sendError(c.sealed.Flush())
		}
	}
	return n + len(body), err
}

// sendError is an end when the connection takes nothing more. It is then receive that
// closes it, since there may be to read why.
func sendError(err error) error {
	if err == nil || errors.Is(err, zmtp.ErrTooLarge) {
		return err
	}
	return &endError{err}
}

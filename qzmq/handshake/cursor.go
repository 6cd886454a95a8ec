package handshake

import "encoding/binary"

// cursor reads fixed layouts from the front of a message. A read past the end
// marks it bad and gives zeros, so a parser asks once, at its end.
type cursor struct {
	rest []byte
	bad  bool
}

// take gives the next n bytes, lent from the message.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.bad, c.rest = true, nil
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) u8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// done says whether everything was read and nothing was missing.
func (c *cursor) done() bool { return !c.bad && len(c.rest) == 0 }

// parseHeader checks that msg is one whole message of type t and gives its body.
func parseHeader(msg []byte, t messageType) ([]byte, error) {
	switch {
	case len(msg) < HeaderLen:
		return nil, ErrMalformed
	case messageType(msg[0]) != t:
		return nil, ErrUnexpectedMessage
	case len(msg) > t.limit():
		return nil, ErrOverflow
	case int(binary.BigEndian.Uint32(msg)&0xffffff) != len(msg)-HeaderLen:
		return nil, ErrMalformed
	}
	return msg[HeaderLen:], nil
}

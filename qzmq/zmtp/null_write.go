package zmtp

import (
	"fmt"
	"time"
)

// WriteWire writes runs that a session has given, in one call, at the peer's pace.
// The elements of wire are used up.
//
// Any error comes again with every call: a frame may have gone in part. A peer that
// does not read costs at most NullOptions.WriteTimeout, and the connection.
func (n *Null) WriteWire(wire [][]byte) error {
	n.writing.Lock()
	defer n.writing.Unlock()
	return n.write(wire)
}

// WriteMessage sends a message of one or more parts, which are the caller's again
// when it returns. One over the limits is refused with ErrTooLarge. Other errors are
// those of WriteWire.
func (n *Null) WriteMessage(parts ...[]byte) error {
	if len(parts) == 0 {
		panic("zmtp: a message has at least one part")
	}
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	if total > n.options.MaxMessage || len(parts) > n.options.MaxParts {
		return fmt.Errorf("%w: a message of %d bytes in %d parts", ErrTooLarge, total, len(parts))
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	if need := maxHeaderLen * len(parts); cap(n.heads) < need {
		n.heads = make([]byte, 0, need)
	}
	heads, wire := n.heads[:0], n.list[:0]
	for i, p := range parts {
		flags := More
		if i == len(parts)-1 {
			flags = 0
		}
		start := len(heads)
		heads = AppendHeader(heads, flags, len(p))
		wire = append(wire, heads[start:], p)
	}
	n.list = wire
	return n.write(wire)
}

// WriteCommand sends one command, as WriteMessage. A name that is not a command's
// panics.
func (n *Null) WriteCommand(name string, body []byte) error {
	if frameLen(1+len(name)+len(body)) > maxPlainCommand {
		return fmt.Errorf("%w: command %s has %d bytes", ErrTooLarge, name, len(body))
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	n.heads = AppendCommand(n.heads[:0], name, body)
	n.list = append(n.list[:0], n.heads)
	return n.write(n.list)
}

// write writes and uses up wire. The caller holds n.writing.
func (n *Null) write(wire [][]byte) error {
	if n.writeErr != nil || len(wire) == 0 {
		return n.writeErr
	}
	var err error
	if n.options.WriteTimeout > 0 {
		err = n.nc.SetWriteDeadline(time.Now().Add(n.options.WriteTimeout))
	}
	if err == nil {
		err = n.sink.Write(wire)
	}
	if err != nil {
		n.writeErr = fmt.Errorf("zmtp: write: %w", err)
		if isTimeout(err) {
			n.nc.Close()
		}
	}
	return n.writeErr
}

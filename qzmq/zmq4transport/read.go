package zmq4transport

import (
	"sync"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

const (
	// inboxFull is how many bytes wait for zmq4 before nothing more is read: then TCP
	// tells the peer.
	inboxFull = 256 << 10
	// inboxKept is the largest memory that is kept for the next messages.
	inboxKept = 1 << 20
)

// inbox has what the peer has said and zmq4 has not read. Reading cannot wait for zmq4:
// a REQ reads only while its program waits for a reply, and meanwhile PING is to be
// answered and the session to be replaced in time.
type inbox struct {
	mu      sync.Mutex
	changed sync.Cond
	bytes   []byte
	err     error // what comes when bytes are read
}

// put waits until there is room. It is false when nobody reads any more.
func (i *inbox) put(b ...[]byte) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for len(i.bytes) >= inboxFull && i.err == nil {
		i.changed.Wait()
	}
	if i.err != nil {
		return false
	}
	for _, b := range b {
		i.bytes = append(i.bytes, b...)
	}
	i.changed.Broadcast()
	return true
}

// end makes err come after what is there. The first one counts.
func (i *inbox) end(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err == nil {
		i.err = err
		i.changed.Broadcast()
	}
}

// take gives all that is there, in exchange for memory that was read.
func (i *inbox) take(spent []byte) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for len(i.bytes) == 0 {
		if i.err != nil {
			return nil, i.err
		}
		i.changed.Wait()
	}
	b := i.bytes
	if i.bytes = nil; cap(spent) <= inboxKept {
		i.bytes = spent[:0]
	}
	i.changed.Broadcast()
	return b, nil
}

// Read gives zmq4 what its peer says: a greeting, READY when the session is there, and
// then messages, each when all of it has come. One goroutine reads.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		b, err := c.inbox.take(c.spent)
		if err != nil {
			return 0, c.fail(err)
		}
		c.unread, c.spent = b, b
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// receive reads what the peer says until it has closed.
func (c *conn) receive() {
	defer close(c.gone)
	defer c.leave()
	defer c.detach()
	var wire [][]byte
	var heads []byte
	for {
		m, err := c.sealed.ReadMessage()
		if err == nil && m.Command != nil {
			wire, err = c.command(m, wire[:0])
		} else if err == nil {
			wire, heads = frames(m, wire[:0], heads[:0])
		}
		if err != nil {
			c.inbox.end(err)
			c.sealed.Close() // which it is, unless the fault was a PING's
			return
		}
		if len(wire) > 0 && !c.inbox.put(wire...) {
			return // it is being closed
		}
	}
}

// frames appends a message as it is on the wire, with the headers in heads.
func frames(m zmtp.Message, wire [][]byte, heads []byte) ([][]byte, []byte) {
	for i, part := range m.Parts {
		flags := zmtp.More
		if i == len(m.Parts)-1 {
			flags = 0
		}
		start := len(heads)
		heads = zmtp.AppendHeader(heads, flags, len(part))
		wire = append(wire, heads[start:], part)
	}
	return wire, heads
}

// command does what zmq4 does not: it knows subscriptions as messages only, as ZMTP 3.0
// has them, does not answer PING, and would give whatever else there is to its program.
func (c *conn) command(m zmtp.Message, wire [][]byte) ([][]byte, error) {
	data := m.Parts[0]
	switch string(m.Command) {
	case "SUBSCRIBE", "CANCEL":
		subscribe := string(m.Command) == "SUBSCRIBE"
		return append(wire, zmtp.AppendSubscription(nil, 0, data, subscribe)), nil
	case "PING":
		context, ok := zmtp.Pong(data)
		if !ok {
			return nil, zmtp.ErrCommand
		}
		return wire, c.sealed.WriteCommand("PONG", context)
	}
	return wire, nil
}

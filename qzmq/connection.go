package qzmq

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// connection carries messages between a pipe and the wire, with a goroutine for each
// direction:
//
//	Send -> pipe.out -> write: takes all that waits, seals it, one call to the kernel
//	Recv <- pipe.in  <- read: opens a record, all its messages into the pipe at once
//
// A pipe that is full stops the reader, then the kernel's buffers, then the peer.
type connection struct {
	*opened
	s    *socket
	nc   net.Conn
	p    *pipe
	from *dialer // nil for one that was accepted
	url  string  // of the endpoint

	bell    chan struct{} // rung when there is something to write
	room    chan struct{} // rung when there is room for what was read
	over    chan struct{} // closed by the first error
	written chan struct{} // closed when write has ended
	once    sync.Once
	err     error // valid when over is closed

	pulse pulse
}

func (s *socket) newConnection(o *opened, nc net.Conn, d *dialer, url string) *connection {
	return &connection{
		opened: o, s: s, nc: nc, from: d, url: url,
		bell: make(chan struct{}, 1), room: make(chan struct{}, 1), over: make(chan struct{}), written: make(chan struct{}),
	}
}

// wake is for the pipe's outgoing queue, whose consumer the connection is.
func (c *connection) wake() { ring(c.bell) }

// reader is the producer of the pipe's incoming queue.
type reader struct{ *connection }

func (r reader) wake() { ring(r.room) }

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// start runs the connection; p is its pipe.
func (c *connection) start() {
	c.s.all.Go(c.write)
	c.s.all.Go(c.read)
}

// end is for the first error, nil for none; it ends both directions.
func (c *connection) end(err error) {
	c.once.Do(func() {
		c.err = err
		close(c.over)
		c.pulse.stop()
		if c.sealed != nil {
			c.sealed.CloseWith(handshake.AlertNone)
			c.sealed.Session().Close()
		}
		c.nc.Close()
	})
}

// write sends what waits, as much as there is at a time, until the queue ends.
func (c *connection) write() {
	defer close(c.written)
	defer context.AfterFunc(c.s.ctx, func() { c.end(ErrClosed) })()
	var runs []run
	var out []zmtp.Messages
	rest := time.NewTimer(restTime)
	defer rest.Stop()
	for {
		var ended bool
		runs, ended = c.p.out.take(c, runs[:0])
		if err := c.pulse.write(c.wire); err != nil {
			c.end(err)
			return
		}
		if len(runs) == 0 {
			if ended {
				c.close()
				return
			}
			if c.p.out.heavy() {
				rest.Reset(restTime)
			} else {
				rest.Stop()
			}
			select {
			case <-c.bell:
			case <-rest.C:
				c.p.out.rest()
				runs, out = nil, nil
			case <-c.over:
				return
			}
			continue
		}
		out = out[:0]
		messages, bytes := 0, 0
		for i := range runs {
			out = append(out, zmtp.Messages{Wire: runs[i].wire, Shared: runs[i].shared})
			messages += runs[i].messages
			bytes += len(runs[i].wire)
		}
		if err := c.wire.WriteMessages(out); err != nil {
			c.end(err)
			return
		}
		stats := &c.s.transport.stats
		stats.sent.Add(uint64(bytes))
		if c.sealed != nil {
			stats.encrypted.Add(uint64(messages))
		}
		clear(out)
		c.p.out.recycle(runs)
	}
}

// restTime is how long a connection that has nothing to send keeps the memory that it
// has sent from.
const restTime = 100 * time.Millisecond

// goodbye is how long a peer may take at least to hear that we close.
const goodbye = 200 * time.Millisecond

// close ends a connection in good order, when everything is written. A peer that has
// read everything closes in answer; to close before would throw away what is still on
// its way. That may take as long as linger.
func (c *connection) close() {
	if c.sealed != nil {
		c.sealed.CloseContext(c.s.ctx)
	} else if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		select {
		case <-c.over:
		case <-c.s.ctx.Done():
		}
	}
	c.end(nil)
}

// read puts what comes into the pipe, until the connection ends.
func (c *connection) read() {
	c.end(c.receive())
	<-c.written
	c.s.leave(c)
}

func (c *connection) receive() error {
	c.s.transport.stats.early.Add(uint64(len(c.early)))
	for _, m := range c.early {
		wire := appendFrames(make([]byte, 0, frameSize(m)), m)
		if !c.deliver(run{wire: wire, messages: 1, from: c.peer}) {
			return nil
		}
	}
	stats := &c.s.transport.stats
	for {
		m, err := c.wire.ReadMessages()
		if err != nil {
			return c.ending(err)
		}
		c.pulse.heard()
		if m.Command != nil {
			m = c.command(m.Command)
		}
		if m.Count == 0 {
			continue
		}
		stats.heard.Add(uint64(len(m.Wire)))
		received.add(len(m.Wire))
		if c.sealed != nil {
			stats.decrypted.Add(uint64(m.Count))
		}
		if !c.deliver(run{wire: m.Wire, messages: m.Count, from: c.peer}) {
			return nil
		}
	}
}

// deliver waits until there is room. It is false when the connection is over.
func (c *connection) deliver(r run) bool {
	for !c.p.in.pushRun(r) {
		select {
		case <-c.room:
		case <-c.over:
			return false
		}
	}
	return true
}

// command takes a command of the peer: a subscription, which is given on as a message,
// or a heartbeat. Others are for later versions of ZMTP.
func (c *connection) command(body []byte) zmtp.Messages {
	if topic, subscribe, ok := zmtp.ParseSubscription(zmtp.Frame{Flags: zmtp.Command, Size: len(body), Body: body}); ok {
		wire := zmtp.AppendSubscription(nil, 0, topic, subscribe)
		return zmtp.Messages{Wire: wire, Count: 1}
	}
	if name, data, err := zmtp.ParseCommand(body); err == nil {
		c.pulse.command(string(name), data)
	}
	return zmtp.Messages{}
}

// ending names why a connection has ended: nil for a peer that has closed in good
// order, which under NULL nobody can tell from one that was cut.
func (c *connection) ending(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return nil
	case c.sealed == nil && errors.Is(err, zmtp.ErrTruncated):
		return nil
	case errors.Is(err, record.ErrBadRecord):
		c.s.transport.stats.replays.Add(1)
	}
	return err
}

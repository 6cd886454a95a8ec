package zmtp

import (
	"bytes"
	"fmt"
)

// What a socket carries: whole messages, back to back in the form of a plain
// connection. Many small ones are one run of bytes, so that what each of them
// costs is a look at its header, here and where they are given out.

// Messages are whole messages that have come together, or one command, in memory
// that is the caller's from now on and is not used again here.
type Messages struct {
	Wire    []byte // frames with their headers
	Count   int    // of the messages in Wire
	Command []byte // the body of a command, when there are no messages
}

// mostAtOnce is what is allocated for a frame whose peer has announced as much, before
// that much has come; for peers that have proved who they are it is more.
const (
	mostAtOnce      = 64 << 10
	mostAtOnceKnown = 1 << 20
)

// ReadMessages gives the whole messages that have come in a record, as many as there
// are, or a message that took more than one, or a command. Otherwise as ReadFrame;
// the two are not to be mixed.
func (c *Conn) ReadMessages() (Messages, error) {
	if c.readErr != nil {
		return Messages{}, c.readErr
	}
	m, err := c.nextMessages()
	if err != nil {
		return Messages{}, c.endRead(err)
	}
	return m, nil
}

func (c *Conn) nextMessages() (Messages, error) {
	for {
		if _, err := c.needFrames(true); err != nil {
			return Messages{}, err
		}
		n, count, err := c.incoming.messages(c.frames, &c.options)
		if err != nil {
			return Messages{}, err
		}
		if count > 0 {
			m := Messages{Wire: bytes.Clone(c.frames[:n]), Count: count}
			c.frames = c.frames[n:]
			return m, nil
		}
		p, _, body, err := c.nextPiece()
		if err != nil {
			return Messages{}, err
		}
		if p.flags&Command != 0 {
			own, err := c.own(body)
			if err == nil && !own {
				err = checkTraffic(body)
			}
			if err != nil {
				return Messages{}, err
			}
			if !own {
				return Messages{Command: bytes.Clone(body)}, nil
			}
			continue
		}
		if _, err := c.message(p, body); err != nil {
			return Messages{}, err
		}
		if m := c.gathered.take(p, body, mostAtOnceKnown); m != nil {
			return Messages{Wire: m, Count: 1}, nil
		}
	}
}

// ReadMessages gives the whole messages that have come, otherwise as ReadFrame; the
// two are not to be mixed.
func (n *Null) ReadMessages() (Messages, error) {
	for {
		if len(n.frames) == 0 {
			if n.lent != nil {
				n.pool.release(n.lent)
				n.lent = nil
			}
			r, err := n.ReadRoom(true)
			if err != nil {
				return Messages{}, err
			}
			n.frames, n.lent = r.Bytes(), r
		}
		taken, count, err := n.given.messages(n.frames, &n.options)
		if err != nil {
			panic("zmtp: a room has more than its limits: " + err.Error())
		}
		if count > 0 {
			m := Messages{Wire: bytes.Clone(n.frames[:taken]), Count: count}
			n.frames = n.frames[taken:]
			return m, nil
		}
		p, body := n.nextPiece()
		if p.flags&Command != 0 {
			return Messages{Command: bytes.Clone(body)}, nil
		}
		if m := n.gathered.take(p, body, mostAtOnce); m != nil {
			return Messages{Wire: m, Count: 1}, nil
		}
	}
}

// messages takes the whole messages that b starts with, when none is on its way, as
// many as there are before a command, a piece or the end, and says how many bytes
// and messages they are. The only error is ErrTooLarge.
func (m *progress) messages(b []byte, o *Options) (n, count int, err error) {
	if m.parts > 0 || m.left > 0 {
		return 0, 0, nil
	}
	at, parts, bytes := 0, 0, uint64(0)
	for len(b)-at >= 2 {
		flags, head, size := Flags(b[at]), 2, uint64(b[at+1])
		if flags > More {
			if flags&^More != longSize {
				break
			}
			h, length, err := ParseHeader(b[at:])
			if err != nil {
				return 0, 0, err
			}
			if length == 0 {
				break
			}
			flags, head, size = h.Flags, length, h.Size
		}
		if size > uint64(len(b)-at-head) {
			break
		}
		parts++
		bytes += size
		if parts > o.MaxParts || bytes > uint64(o.MaxMessage) {
			return 0, 0, ErrTooLarge
		}
		at += head + int(size)
		if flags&More == 0 {
			n, parts, bytes = at, 0, 0
			count++
		}
	}
	return n, count, nil
}

// gathered is a message that comes in more than one piece, in the form of a plain
// connection. Its first bytes stand in room of their own until a frame comes that tells
// how large it is: an envelope costs no allocation besides that of its message.
type gathered struct {
	wire []byte
	room [64]byte
}

// take adds a piece, and gives the message when it is complete. What has come was
// held to the limits before.
func (g *gathered) take(p piece, body []byte, atOnce int) []byte {
	if g.wire == nil {
		g.wire = g.room[:0]
	}
	need := len(g.wire) + len(body)
	if p.flags&rest == 0 {
		need += maxHeaderLen
	}
	if need > cap(g.wire) {
		// As much again as has come, or all of a frame that is not much larger.
		size := max(need, 2*cap(g.wire))
		if p.flags&rest == 0 {
			size = max(need, len(g.wire)+maxHeaderLen+min(int(p.total), atOnce))
		}
		grown := make([]byte, len(g.wire), size)
		copy(grown, g.wire)
		g.wire = grown
	}
	if p.flags&rest == 0 {
		g.wire = AppendHeader(g.wire, p.flags&More, int(p.total))
	}
	g.wire = append(g.wire, body...)
	if p.flags&(cut|More) != 0 {
		return nil
	}
	whole := g.wire
	if cap(whole) == len(g.room) { // it is there still: what has grown is larger
		whole = bytes.Clone(whole)
	}
	g.wire = nil
	return whole
}

// WriteMessages sends runs of whole messages in the form of a plain connection,
// together with whatever was queued before, and returns when they were written; the
// runs are the caller's again. It is for who sends messages in no other way. Errors
// are those of WriteMessage, but for the limits: they are the caller's affair.
func (c *Conn) WriteMessages(runs [][]byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.write("", nil, nil); err != nil { // commands that wait already
		return err
	}
	for _, run := range runs {
		if err := c.seal(run); err != nil {
			return c.endWrite(err)
		}
	}
	if c.out.empty() {
		return nil
	}
	if err := c.send(nil); err != nil {
		return c.endWrite(err)
	}
	return nil
}

// seal makes records of a run: of as many of its whole frames as have room in one,
// and of the pieces of a frame that has not. Whenever there is much it is written.
func (c *Conn) seal(run []byte) error {
	for len(run) > 0 {
		n := wholeFrames(run)
		if n > 0 {
			if err := c.makeRoom(n); err != nil {
				return err
			}
			c.out.begin(n, c.options.PadTo)
			c.out.buf = append(c.out.buf, run[:n]...)
			run = run[n:]
			continue
		}
		h, head, _ := ParseHeader(run)
		body, flags := run[head:head+int(h.Size)], h.Flags|cut
		run = run[head+int(h.Size):]
		for len(body) > 0 {
			n := min(len(body), maxPiece)
			if n == len(body) {
				flags &^= cut
			}
			if err := c.makeRoom(pieceLen(flags, n)); err != nil {
				return err
			}
			c.out.frame(flags, int(h.Size), body[:n], c.options.PadTo)
			body, flags = body[n:], flags|rest
		}
	}
	return nil
}

// makeRoom writes what there is when n bytes more were too much.
func (c *Conn) makeRoom(n int) error {
	if c.out.fits(n, maxBatch) {
		return nil
	}
	return c.send(nil)
}

// wholeFrames says how many bytes the whole frames are that a run begins with and
// that fit in a record.
func wholeFrames(run []byte) (n int) {
	if len(run) <= MaxRecord {
		return len(run)
	}
	for {
		h, head, err := ParseHeader(run[n:])
		if err != nil || head == 0 || h.Size > uint64(len(run)-n-head) {
			panic(fmt.Sprintf("zmtp: a run of %d bytes has no whole frame at %d", len(run), n))
		}
		end := n + head + int(h.Size)
		if end > MaxRecord {
			return n
		}
		n = end
	}
}

// WriteMessages is WriteWire, under the name that a Conn has for it.
func (n *Null) WriteMessages(runs [][]byte) error { return n.WriteWire(runs) }

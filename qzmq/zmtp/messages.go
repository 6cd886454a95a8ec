package zmtp

import (
	"bytes"
	"fmt"

	"github.com/qzmq/gateway/qzmq/zmtp/raw"
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
	Shared  bool   // of messages to write: others look at Wire too
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
	wire    []byte
	room    [64]byte
	covered [maxHeaderLen]byte // of wire: its end, over which open has put a header
}

// open gives the place for the plaintext of a record of n bytes, if that is probably
// the next piece and has room: its body then stands where it belongs, and its header on
// the last bytes that have come, until opened.
func (g *gathered) open(n int) []byte {
	at := len(g.wire) - maxHeaderLen
	if at < 0 || n <= maxHeaderLen+maxShort || at+n > cap(g.wire) {
		return nil
	}
	copy(g.covered[:], g.wire[at:])
	return g.wire[at:at]
}

// opened gives frames that were opened in such a place. They stay there if they begin
// with a piece as expected, and take recognises its body.
func (g *gathered) opened(frames []byte) []byte {
	p, n, err := parsePiece(frames)
	if err == nil && n == maxHeaderLen && p.flags&rest != 0 {
		return frames
	}
	frames = bytes.Clone(frames)
	g.uncover()
	return frames
}

func (g *gathered) uncover() { copy(g.wire[len(g.wire)-maxHeaderLen:], g.covered[:]) }

// take adds a piece, and gives the message when it is complete. What has come was
// held to the limits before.
func (g *gathered) take(p piece, body []byte, atOnce int) []byte {
	if g.wire == nil {
		g.wire = g.room[:0]
	}
	at := len(g.wire)
	if p.flags&rest != 0 && len(body) > 0 && at < cap(g.wire) && &body[0] == &g.wire[:at+1][at] {
		g.uncover()
		g.wire = g.wire[:at+len(body)]
	} else {
		g.add(p, body, atOnce)
	}
	if p.flags&(cut|More) != 0 {
		return nil
	}
	whole := g.wire[:len(g.wire):len(g.wire)]
	if cap(g.wire) == len(g.room) { // it is there still: what has grown is larger
		whole = bytes.Clone(whole)
	}
	g.wire = nil
	return whole
}

// add copies a piece, with the header of its frame if it is the first.
func (g *gathered) add(p piece, body []byte, atOnce int) {
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
		g.wire = append(raw.Memory(size), g.wire...)
	}
	if p.flags&rest == 0 {
		g.wire = AppendHeader(g.wire, p.flags&More, int(p.total))
	}
	g.wire = append(g.wire, body...)
}

// WriteMessages sends runs of whole messages in the form of a plain connection,
// together with whatever was queued before, and returns when they were written; the
// memory is the caller's again, but what stands in it, unless it is Shared, is not what
// it was. It is for who sends messages in no other way. Errors are those of
// WriteMessage, but for the limits: they are the caller's affair.
func (c *Conn) WriteMessages(runs []Messages) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.write("", nil, nil); err != nil { // commands that wait already
		return err
	}
	for i := range runs {
		if err := c.seal(runs[i].Wire, runs[i].Shared); err != nil {
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

const (
	// firstPiece is the body of a large frame's first piece: little, so that whoever
	// receives it knows how large the frame is before most of it comes, and has it
	// opened where it will stay.
	firstPiece = 256

	// sealedAway is from how many bytes on a record is sealed from where its plaintext
	// stands. What is less is copied, and may share a record.
	sealedAway = 16 << 10
)

// seal makes records of a run: of as many of its whole frames as have room in one,
// and of the pieces of a frame that has not. Whenever there is much it is written.
func (c *Conn) seal(run []byte, shared bool) error {
	for len(run) > 0 {
		if n := wholeFrames(run); n > 0 {
			if err := c.sealFrames(run[:n]); err != nil {
				return err
			}
			run = run[n:]
			continue
		}
		h, head, _ := ParseHeader(run)
		end := head + int(h.Size)
		if err := c.sealPieces(h, run[:end], head, shared); err != nil {
			return err
		}
		run = run[end:]
	}
	return nil
}

// sealFrames makes a record of whole frames, or a part of one.
func (c *Conn) sealFrames(frames []byte) error {
	if err := c.makeRoom(len(frames)); err != nil {
		return err
	}
	if len(frames) >= sealedAway && c.options.PadTo == 0 {
		return c.out.sealAway(c.sealer, frames)
	}
	c.out.begin(len(frames), c.options.PadTo)
	c.out.buf = append(c.out.buf, frames...)
	return nil
}

// sealPieces makes records of a frame that is too large for one. Its body begins at
// head. Unless it is shared the header of a piece is written over the end of the piece
// before, which is sealed already, so that both stand together.
func (c *Conn) sealPieces(h Header, frame []byte, head int, shared bool) error {
	flags := h.Flags | cut
	for at, n := head, firstPiece; at < len(frame); at, n = at+n, maxPiece {
		if n = min(n, len(frame)-at); at+n == len(frame) {
			flags &^= cut
		}
		if err := c.makeRoom(pieceLen(flags, n)); err != nil {
			return err
		}
		if flags&rest != 0 && n >= sealedAway && !shared && c.options.PadTo == 0 {
			appendPiece(frame[:at-maxHeaderLen], flags, n, 0)
			if err := c.out.sealAway(c.sealer, frame[at-maxHeaderLen:at+n]); err != nil {
				return err
			}
		} else {
			c.out.frame(flags, int(h.Size), frame[at:at+n], c.options.PadTo)
		}
		flags |= rest
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

// WriteMessages is WriteWire in the form that a Conn has for it.
func (n *Null) WriteMessages(runs []Messages) error {
	n.writing.Lock()
	defer n.writing.Unlock()
	n.list = n.list[:0]
	for i := range runs {
		n.list = append(n.list, runs[i].Wire)
	}
	return n.write(n.list)
}

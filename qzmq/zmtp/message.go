package zmtp

import "errors"

// Message is what a peer sends: a message of one or more parts, or a command.
type Message struct {
	Command []byte   // the command's name; nil for a message
	Parts   [][]byte // the message's parts, or the command's data alone
}

// assembly is a message that is put together from its pieces.
type assembly struct {
	parts [][]byte // what is given out
	buf   []byte   // bodies back to back
	ends  []int    // of the parts in buf that are complete
	done  bool     // it was given out
	keep  keep
}

// ReadMessage gives the next message, whole, or the next command, which may have
// overtaken the message that is on its way. All of it is lent until the next
// read. Otherwise as ReadFrame; after a deadline the pieces that have come are
// kept. The two are not to be mixed within a message.
//
// It holds one message, in memory that grows as the message arrives and not as it
// was announced, at most to Options.MaxMessage; growing, the buffer before, of
// half the size, is there as well for a moment. In steady state it does not
// allocate. A message that arrives in one frame and one record is not copied.
func (c *Conn) ReadMessage() (Message, error) {
	m, err := c.whole.next(c, c.options.MaxMessage)
	if errors.Is(err, ErrCommand) {
		err = c.endRead(err)
	}
	return m, err
}

// framer gives frames to put together.
type framer interface{ ReadFrame() (Frame, error) }

// next reads frames until there is a message or a command. Its own error is
// ErrCommand, others are the framer's.
func (a *assembly) next(from framer, limit int) (Message, error) {
	if a.done {
		a.reset()
	}
	for {
		f, err := from.ReadFrame()
		if err != nil {
			return Message{}, err
		}
		if f.Flags == Command {
			name, data, err := ParseCommand(f.Body)
			if err != nil {
				return Message{}, err
			}
			// A message may be half done: its memory is not touched.
			a.parts = append(a.parts[:0], data)
			return Message{Command: name, Parts: a.parts}, nil
		}
		if f.Flags&More == 0 && len(f.Body) == f.Size && len(a.ends) == 0 && len(a.buf) == 0 {
			a.parts, a.done = append(a.parts[:0], f.Body), true
			return Message{Parts: a.parts}, nil
		}
		if a.take(&f, limit) {
			return Message{Parts: a.parts}, nil
		}
	}
}

// take adds a piece and says whether the message is complete. limit bounds the
// memory; the message was held to it before.
func (a *assembly) take(f *Frame, limit int) bool {
	if need := len(a.buf) + len(f.Body); need > cap(a.buf) {
		// As much again as has come, but not past the frame's end, and not so
		// that a small rest would make it grow once more.
		size, end := max(need, 2*cap(a.buf), firstBuf), need+f.Size-f.At-len(f.Body)
		if size+size/2 > end {
			size = max(end, firstBuf)
		}
		grown := make([]byte, len(a.buf), min(size, max(need, limit)))
		copy(grown, a.buf)
		a.buf = grown
	}
	a.buf = append(a.buf, f.Body...)
	if !f.Last() {
		return false
	}
	a.ends = append(a.ends, len(a.buf))
	if f.Flags&More != 0 {
		return false
	}
	a.parts = a.parts[:0]
	start := 0
	for _, end := range a.ends {
		a.parts = append(a.parts, a.buf[start:end:end])
		start = end
	}
	a.done = true
	return true
}

// reset forgets the message that was given out.
func (a *assembly) reset() {
	if a.keep.over(cap(a.buf), len(a.buf)) {
		a.buf, a.ends, a.parts = nil, nil, nil
	}
	a.buf, a.ends, a.done = a.buf[:0], a.ends[:0], false
}

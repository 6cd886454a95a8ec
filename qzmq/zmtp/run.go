package zmtp

import "bytes"

// mostOvertaking is how many commands may overtake one message.
const mostOvertaking = 64

// A run is what a relay carries: as many frames as there are, back to back, as a
// plain ZMTP connection has them. In a record whole frames look the same, so a run
// is given out, and taken, in the memory of its record. Nothing is copied, and a
// small frame costs a look at its header.

// Run is a run of frames that a session has given.
type Run struct {
	// Wire is what a plain connection is sent: frames with their headers, or the
	// beginning of one, or bytes from its middle or of its end.
	Wire []byte
	// Frames counts those of messages that begin in Wire.
	Frames int
	// Command is the body, when Wire is one command and nothing else.
	Command []byte
}

// ReadRun gives the next run, otherwise as ReadFrame; the two are not to be mixed.
// Unless it is to wait it gives only what has come already, which may be an empty
// run. Runs are lent until it is to wait again.
func (c *Conn) ReadRun(wait bool) (Run, error) {
	if c.readErr != nil {
		return Run{}, c.readErr
	}
	r, err := c.nextRun(wait)
	if err != nil {
		return Run{}, c.endRead(err)
	}
	return r, nil
}

func (c *Conn) nextRun(wait bool) (Run, error) {
	for {
		if len(c.overtook) > 0 && c.incoming.parts == 0 {
			frame := c.overtook[0]
			c.overtook = c.overtook[1:]
			return commandRun(frame), nil
		}
		if there, err := c.needFrames(wait); err != nil || !there {
			return Run{}, err
		}
		n, frames, err := c.incoming.whole(c.frames, &c.options)
		if err != nil {
			return Run{}, err
		}
		if n > 0 {
			run := Run{Wire: c.frames[:n:n], Frames: frames}
			c.frames = c.frames[n:]
			return run, nil
		}
		p, frame, body, err := c.nextPiece()
		if err != nil {
			return Run{}, err
		}
		if p.flags&Command != 0 {
			if own, err := c.own(body); err != nil {
				return Run{}, err
			} else if own {
				continue
			}
			if err := checkTraffic(body); err != nil {
				return Run{}, err
			}
			if c.incoming.parts == 0 {
				return Run{Wire: frame, Command: body}, nil
			}
			if err := c.holdCommand(frame); err != nil {
				return Run{}, err
			}
			continue
		}
		if _, err := c.message(p, body); err != nil {
			return Run{}, err
		}
		return plainPiece(p, frame, body), nil
	}
}

// holdCommand keeps a command that has overtaken the message on its way: a plain
// connection has no place for it before the message's end.
func (c *Conn) holdCommand(frame []byte) error {
	held := len(frame)
	for _, f := range c.overtook {
		held += len(f)
	}
	if held > MaxRecord || len(c.overtook) >= mostOvertaking {
		return ErrTooLarge
	}
	c.overtook = append(c.overtook, bytes.Clone(frame))
	return nil
}

func commandRun(frame []byte) Run {
	_, n, err := ParseHeader(frame)
	if err != nil {
		panic("zmtp: a command that was checked is none: " + err.Error())
	}
	return Run{Wire: frame, Command: frame[n:]}
}

// plainPiece is what a plain connection has for a piece: the header of the whole
// frame before the first, and none before the others.
func plainPiece(p piece, frame, body []byte) Run {
	switch p.flags & (cut | rest) {
	case 0:
		return Run{Wire: frame, Frames: 1}
	case cut:
		// The piece's header has a size and the total, so there is room.
		start := len(frame) - len(body) - maxHeaderLen
		appendLongHeader(frame[start:start], p.flags&More, int(p.total))
		return Run{Wire: frame[start:], Frames: 1}
	}
	return Run{Wire: body}
}

// whole takes the whole frames of messages that b starts with, as many as there
// are before a command, a piece or the end, and says how many bytes and frames they
// are. Nothing changes on error, which is ErrTooLarge.
func (m *progress) whole(b []byte, o *Options) (n, frames int, err error) {
	if m.left > 0 {
		return 0, 0, nil
	}
	parts, bytes := m.parts, m.bytes
	for len(b)-n >= 2 {
		flags, head, size := Flags(b[n]), 2, uint64(b[n+1])
		if flags > More {
			if flags&^More != longSize {
				break
			}
			h, length, err := ParseHeader(b[n:])
			if err != nil {
				return 0, 0, err
			}
			if length == 0 {
				break
			}
			flags, head, size = h.Flags, length, h.Size
		}
		if size > uint64(len(b)-n-head) {
			break
		}
		parts++
		bytes += size
		if parts > o.MaxParts || bytes > uint64(o.MaxMessage) {
			return 0, 0, ErrTooLarge
		}
		if flags&More == 0 {
			parts, bytes = 0, 0
		}
		n += head + int(size)
		frames++
	}
	m.parts, m.bytes = parts, bytes
	return n, frames, nil
}

// Subscription gives the message of ZMTP 3.0 for a run that is the command SUBSCRIBE
// or CANCEL, and nil for any other. It uses the run up.
func (r *Run) Subscription() []byte {
	if r.Command == nil {
		return nil
	}
	return asMessage(r.Wire, r.Command)
}

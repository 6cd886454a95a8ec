package zmtp

// ReadRoom gives the frames that have come, in memory that can be sealed as a
// record. It is the caller's until Release. Unless it is to wait it looks for a
// little more, and gives nil when there is nothing. Errors are those of ReadFrame, and the two are not to be mixed.
func (n *Null) ReadRoom(wait bool) (*Room, error) {
	if n.readErr != nil {
		return nil, n.readErr
	}
	for {
		r, err := n.nextRoom(wait)
		if err != nil {
			return nil, n.endRead(err)
		}
		if r == nil || r.Len() > 0 {
			return r, nil
		}
		n.pool.release(r)
	}
}

// Release gives a room back.
func (n *Null) Release(r *Room) { n.pool.release(r) }

// nextRoom reads once. A frame may not be there yet.
func (n *Null) nextRoom(wait bool) (*Room, error) {
	have, got := len(n.held), 0
	n.hasty = !wait && have <= holdMost
	if n.unread {
		n.unread = false
		n.lend()
	} else {
		var err error
		if got, err = n.source.read(n, wait); err != nil {
			return nil, readError(err)
		}
		if got == 0 {
			return nil, nil
		}
	}
	r := n.reading
	n.reading = nil
	copy(r.buf[roomHead:], n.held)
	r.full = got == len(r.space(have))
	held, err := r.fill(have+got, &n.incoming, &n.options)
	if err != nil {
		n.pool.release(r)
		return nil, err
	}
	if cap(n.held) > holdMost && held <= holdMost {
		n.held = nil
	}
	n.held = append(n.held[:0], r.buf[r.end:r.end+held]...)
	return r, nil
}

// lend and takeBack make n a lender.
func (n *Null) lend() []byte {
	if n.hasty {
		n.reading = n.pool.smallRoom()
	} else {
		n.reading = n.pool.room()
	}
	return n.reading.space(len(n.held))
}

func (n *Null) takeBack() {
	n.pool.release(n.reading)
	n.reading = nil
}

// endRead does what has to be done about a reader's error.
func (n *Null) endRead(err error) error {
	if isTimeout(err) {
		return err
	}
	n.readErr = err
	n.nc.Close()
	return err
}

// ReadFrame gives the next frame, or piece of a large one; Body is lent until the
// next read. Any error but os.ErrDeadlineExceeded has closed the connection:
// ErrTruncated when it ended, which under NULL is how it ends, net.ErrClosed after
// our own Close, or what was wrong with the peer's frames.
func (n *Null) ReadFrame() (Frame, error) {
	if len(n.frames) == 0 {
		if n.lent != nil {
			n.pool.release(n.lent)
			n.lent = nil
		}
		r, err := n.ReadRoom(true)
		if err != nil {
			return Frame{}, err
		}
		n.frames, n.lent = r.Bytes(), r
	}
	p, body := n.nextPiece()
	if p.flags&Command != 0 {
		return Frame{Flags: Command, Size: len(body), Body: body}, nil
	}
	at := n.given.size - n.given.left - p.size // a piece has been taken
	return Frame{Flags: p.flags & More, Size: int(n.given.size), At: int(at), Body: body}, nil
}

// nextPiece takes the frame or piece that n.frames begins with. That it is one, and
// within the limits, was checked when it came.
func (n *Null) nextPiece() (p piece, body []byte) {
	p, head, err := parsePiece(n.frames)
	if err != nil {
		panic("zmtp: a room has what is no frame: " + err.Error())
	}
	end := head + int(p.size)
	body = n.frames[head:end:end]
	n.frames = n.frames[end:]
	if p.flags&Command == 0 {
		if _, err := n.given.take(p, &n.options); err != nil {
			panic("zmtp: a room has frames that do not fit together: " + err.Error())
		}
	}
	return p, body
}

// ReadMessage gives the next message, whole, or the next command, lent until the
// next read; otherwise as ReadFrame. The two are not to be mixed within a message.
func (n *Null) ReadMessage() (Message, error) {
	m, err := n.whole.next(n, n.options.MaxMessage)
	if err != nil {
		return Message{}, n.endRead(err)
	}
	return m, nil
}

package zmtp

import "github.com/qzmq/gateway/qzmq/record"

// A Room is memory for one record that a plain connection is read into and that is
// sealed where it stands. Bytes are read to roomHead, and what comes before leaves
// room for what may have to be written in front of them:
//
//	head of the record | header of a piece | frames ... | a longer header, tag
//	17                   17                  65,519       17 and 16
//
// Whole frames are in a record what they are on the wire. A frame that is too large
// to wait for is cut where the bytes end: its header becomes that of a first piece,
// eight bytes longer, for which whatever is shorter moves, the frames before it or
// its body. What follows in the next room gets a header in front.
type Room struct {
	hidden
	buf        []byte
	start, end int // of the record's plaintext
	frames     int // of messages that begin in it
	full       bool
}

const (
	roomHead = recordHead + maxPieceLen

	// smallRoom is what is read when it may come along with what filled a room, like
	// the end of a frame of 64 KiB.
	smallRoom = 2 * holdMost

	// holdMost is the largest frame, with its header, that is waited for until it
	// is whole, as long as it fits.
	holdMost = 8 << 10

	// maxPlainCommand is the largest command on a plain connection, header and all:
	// commands are never cut.
	maxPlainCommand = maxPiece
)

// Full says that more has probably come than had room.
func (r *Room) Full() bool { return r.full }

// Frames counts the frames of messages that begin in the room.
func (r *Room) Frames() int { return r.frames }

// Len is how many bytes of frames the room has.
func (r *Room) Len() int { return r.end - r.start }

// Bytes are the frames and pieces, in the form of a record's plaintext.
func (r *Room) Bytes() []byte { return r.buf[r.start:r.end] }

// newRoom makes a room that is read into up to n bytes.
func newRoom(n int) *Room { return &Room{buf: make([]byte, roomHead+n+maxPieceLen+record.TagLen)} }

// space is where bytes are read to, behind the first have.
func (r *Room) space(have int) []byte {
	return r.buf[roomHead+have : len(r.buf)-maxPieceLen-record.TagLen]
}

// fill makes frames of the n bytes that stand in the room's space, and says how many
// more, behind them, belong to a frame that has to be waited for. m follows the
// message. Nothing of the room is of use after an error, a fault of the peer.
func (r *Room) fill(n int, m *progress, o *Options) (held int, err error) {
	r.start, r.end, r.frames = roomHead, roomHead+n, 0
	at := roomHead
	if m.left > 0 && n > 0 {
		if at, err = r.goOn(m, o); err != nil {
			return 0, err
		}
	}
	for {
		n, frames, err := m.whole(r.buf[at:r.end], o)
		if err != nil {
			return 0, err
		}
		at += n
		r.frames += frames
		h, head, err := ParseHeader(r.buf[at:r.end])
		if err != nil {
			return 0, err
		}
		body := r.end - at - head
		switch {
		case head == 0: // not even a header, or nothing at all
		case h.Flags == Command:
			if h.Size > uint64(maxPlainCommand-head) {
				return 0, ErrTooLarge
			}
			if end := at + head + int(h.Size); end <= r.end {
				if err := checkTraffic(r.buf[at+head : end]); err != nil {
					return 0, err
				}
				at = end
				continue
			}
		case !m.admits(h.Size, o): // known before it is there
			return 0, ErrTooLarge
		case h.Size > uint64(holdMost-head) && body > 0:
			return 0, r.cutLast(at, h, head, m, o)
		}
		held = r.end - at
		r.end = at
		return held, nil
	}
}

// goOn takes what belongs to the frame that an earlier room began.
func (r *Room) goOn(m *progress, o *Options) (at int, err error) {
	p := piece{flags: m.flags | rest, size: min(m.left, uint64(r.end-r.start))}
	if p.size < m.left {
		p.flags |= cut
	}
	if _, err := m.take(p, o); err != nil {
		return 0, err
	}
	var head [maxPieceLen]byte
	h := appendPiece(head[:0], p.flags, int(p.size), 0)
	r.start = roomHead - len(h)
	copy(r.buf[r.start:], h)
	return roomHead + int(p.size), nil
}

// cutLast makes the beginning of a frame, from at to the end, a first piece.
func (r *Room) cutLast(at int, h Header, head int, m *progress, o *Options) error {
	body := r.end - at - head
	p := piece{h.Flags | cut, uint64(body), h.Size}
	if _, err := m.take(p, o); err != nil {
		return err
	}
	var room [maxPieceLen]byte
	header := appendPiece(room[:0], p.flags, body, int(h.Size))
	if more := len(header) - head; at-r.start <= body {
		copy(r.buf[r.start-more:], r.buf[r.start:at])
		r.start -= more
		at -= more
	} else {
		copy(r.buf[at+len(header):], r.buf[at+head:r.end])
		r.end += more
	}
	copy(r.buf[at:], header)
	r.frames++
	return nil
}

// seal makes the room's frames a record, where they stand, and gives its MESSAGE
// frame.
func (r *Room) seal(s *record.StreamSealer, padTo int) ([]byte, error) {
	if n := r.Len(); padTo > 0 && n%padTo != 0 {
		if pad := min(padTo-n%padTo, MaxRecord-n); pad > 0 {
			if short := r.end + pad + record.TagLen - len(r.buf); short > 0 {
				r.buf = append(r.buf, make([]byte, short)...)
			}
			clear(r.buf[r.end : r.end+pad])
			r.buf[r.end] = padMark
			r.end += pad
		}
	}
	if _, err := s.Seal(r.buf[r.start:r.start], r.Bytes()); err != nil {
		return nil, err
	}
	var room [recordHead]byte
	head := AppendHeader(room[:0], Command, 1+len(recordName)+r.Len()+record.TagLen)
	head = append(append(head, byte(len(recordName))), recordName...)
	from := r.start - len(head)
	copy(r.buf[from:], head)
	return r.buf[from : r.end+record.TagLen], nil
}

// WriteRooms seals what a plain connection was read into and writes it, in one call;
// the rooms are the caller's again. It is for a relay, which sends no messages
// otherwise. Errors are those of WriteMessage.
func (c *Conn) WriteRooms(rooms ...*Room) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.write("", nil, nil); err != nil { // what waits already goes first
		return err
	}
	var err error
	for i := 0; i < len(rooms) && err == nil; {
		c.list = c.list[:0]
		for ; i < len(rooms) && err == nil; i++ {
			var record []byte
			if record, err = rooms[i].seal(c.sealer, c.options.PadTo); err == nil {
				c.carried(1, rooms[i].Len())
				c.list = append(c.list, record)
			}
			if c.sealer.Due() {
				i++
				break
			}
		}
		if err == nil {
			err = c.sink.Write(c.list)
		}
		if err == nil && c.sealer.Due() {
			err = c.send(nil)
		}
	}
	if c.sealer.Rotate() {
		c.worn.Store(true)
	}
	if err != nil {
		return c.endWrite(err)
	}
	return nil
}

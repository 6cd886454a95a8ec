package zmtp

import "encoding/binary"

// The plaintext of a record is frames back to back, and padding:
//
//	record  = 1*frame [padding]
//	frame   = flags u8, size u8 or u64, [total u64], body
//	padding = 0x80, *0x00
//
// A frame is as ZMTP writes it, with two more flags that only records know. A
// message frame that does not fit its record is cut into pieces, each with a
// header of its own; size is the piece's, and total, which only the first piece
// has, is the whole frame's.
//
//	piece   cut  rest  total   what stands behind it in the record
//	whole    -    -     no     more frames
//	first    x    -     yes    nothing but padding
//	middle   x    x     no     nothing but padding
//	last     -    x     no     more frames
//
// No piece that is cut is empty, MORE is the same in all pieces of a frame, and
// their sizes add up to total. Between two pieces of a frame, or two frames of a
// message, come commands and no other message. Commands are never cut.
//
// Since total comes first, a receiver refuses what is too large before it holds
// a byte of it, and a relay can write the frame's header at once. 0x80 is no
// flag of any frame, so it cannot be mistaken for one; an empty message frame
// is two zeros, hence the mark.
const (
	cut  Flags = 0x08 // the frame goes on in a later record
	rest Flags = 0x10 // the frame began in an earlier record

	padMark = 0x80
)

const (
	totalLen    = 8
	maxPieceLen = maxHeaderLen + totalLen // of a piece's header
)

// piece is the header of a frame, or a piece of one, in a record.
type piece struct {
	flags Flags
	size  uint64 // of this piece's body; below 1<<63, otherwise unchecked
	total uint64 // of the whole frame's body, in its first piece; otherwise size
}

// parsePiece reads the header at the start of b and says how many bytes it
// takes; n is 0 when b does not hold all of it. Errors are those of ParseHeader.
func parsePiece(b []byte) (p piece, n int, err error) {
	h, n, err := parseHeader(b, cut|rest)
	if err != nil || n == 0 {
		return piece{}, 0, err
	}
	p = piece{h.Flags, h.Size, h.Size}
	switch p.flags & (cut | rest) {
	case 0:
		return p, n, nil
	case cut:
		if len(b) < n+totalLen {
			return piece{}, 0, nil
		}
		if p.total = binary.BigEndian.Uint64(b[n:]); p.total>>63 != 0 {
			return piece{}, 0, ErrTooLarge
		}
		n += totalLen
	}
	if p.flags&Command != 0 {
		return piece{}, 0, ErrFlags
	}
	return p, n, nil
}

// appendPiece appends the header of a piece with a body of size bytes.
func appendPiece(dst []byte, flags Flags, size, total int) []byte {
	dst = AppendHeader(dst, flags, size)
	if flags&(cut|rest) == cut {
		dst = binary.BigEndian.AppendUint64(dst, uint64(total))
	}
	return dst
}

// isPadding says whether b, the end of a record, is nothing or padding.
func isPadding(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != padMark {
		return false
	}
	for _, c := range b[1:] {
		if c != 0 {
			return false
		}
	}
	return true
}

// progress is a message that is on its way, as a receiver follows it.
type progress struct {
	parts int    // frames begun
	bytes uint64 // their totals
	flags Flags  // More, of the frame that goes on
	size  uint64 // of that frame
	left  uint64 // of its bytes; 0 when no frame goes on
}

// take follows one piece: p is checked against what came before and against the
// limits, and offset is where it stands in its frame. Nothing changes on error.
func (m *progress) take(p piece, o *Options) (offset uint64, err error) {
	next := *m
	if p.flags&rest == 0 {
		if m.left > 0 {
			return 0, ErrUnexpected // another message inside this one
		}
		if !m.admits(p.total, o) {
			return 0, ErrTooLarge
		}
		next.parts++
		next.bytes += p.total
		next.flags, next.size, next.left = p.flags&More, p.total, p.total
	} else if m.left == 0 {
		return 0, ErrUnexpected
	} else if p.flags&More != m.flags {
		return 0, ErrFlags
	}
	goesOn := p.flags&cut != 0
	if p.size > next.left || goesOn != (p.size < next.left) || goesOn && p.size == 0 {
		return 0, ErrSplit
	}
	offset = next.size - next.left
	next.left -= p.size
	if next.left == 0 && next.flags&More == 0 {
		next = progress{size: next.size}
	}
	*m = next
	return offset, nil
}

// admits says whether a frame of this size keeps the message within the limits.
func (m *progress) admits(size uint64, o *Options) bool {
	return m.parts < o.MaxParts && m.bytes+size <= uint64(o.MaxMessage) // neither has 64 bits
}

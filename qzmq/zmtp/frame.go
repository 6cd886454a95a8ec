package zmtp

import (
	"encoding/binary"
	"math"
)

// Flags of a frame, RFC 37 section "Framing".
type Flags uint8

// The flags. Whether a size takes one byte or eight is a matter of the header's
// encoding, and is not part of Flags here.
const (
	More    Flags = 1 // another frame of the same message follows
	Command Flags = 4 // the body is a command, not a part of a message

	longSize Flags = 2
	reserved       = ^(More | Command | longSize)
)

const (
	maxHeaderLen = 1 + 8
	maxShort     = math.MaxUint8 // the largest size that one byte can say
)

// Header is what stands before a frame's body.
type Header struct {
	Flags Flags
	Size  uint64 // of the body in bytes; below 1<<63, otherwise unchecked
}

// ParseHeader reads the header at the start of b and says how many bytes it
// takes; n is 0 when b holds only a part of it. Size has been read, not
// judged: the caller compares it with its own limit before it waits or
// allocates for that many bytes. Errors are ErrFlags and ErrTooLarge.
//
// A small size in the long form is valid ZMTP.
func ParseHeader(b []byte) (h Header, n int, err error) { return parseHeader(b, 0) }

// parseHeader is ParseHeader where the flags also may be as well.
func parseHeader(b []byte, also Flags) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, nil
	}
	f := Flags(b[0])
	if f&(reserved&^also) != 0 || f&(Command|More) == Command|More {
		return Header{}, 0, ErrFlags
	}
	if f&longSize == 0 {
		if len(b) < 2 {
			return Header{}, 0, nil
		}
		return Header{f, uint64(b[1])}, 2, nil
	}
	if len(b) > 1 && b[1]&0x80 != 0 {
		return Header{}, 0, ErrTooLarge // sizes have 63 bits
	}
	if len(b) < maxHeaderLen {
		return Header{}, 0, nil
	}
	return Header{f &^ longSize, binary.BigEndian.Uint64(b[1:])}, maxHeaderLen, nil
}

// AppendHeader appends the header of a frame with a body of size bytes.
func AppendHeader(dst []byte, flags Flags, size int) []byte {
	if size <= maxShort {
		return append(dst, byte(flags), byte(size))
	}
	return appendLongHeader(dst, flags, size)
}

// appendLongHeader is AppendHeader with eight bytes for any size.
func appendLongHeader(dst []byte, flags Flags, size int) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(flags|longSize)), uint64(size))
}

// frameLen is the length of a frame with a body of size bytes.
func frameLen(size int) int {
	if size <= maxShort {
		return 2 + size
	}
	return maxHeaderLen + size
}

// ParseCommand splits the body of a command frame into name and data, which
// share its memory. The only error is ErrCommand.
//
// RFC 37 makes names of letters. We allow digits, '-' and '_' as well, which
// the commands of our control channel use; whatever is allowed can be logged.
func ParseCommand(body []byte) (name, data []byte, err error) {
	if len(body) == 0 {
		return nil, nil, ErrCommand
	}
	n := int(body[0])
	if n == 0 || len(body) < 1+n {
		return nil, nil, ErrCommand
	}
	name = body[1 : 1+n]
	for _, c := range name {
		if !isNameChar(c) {
			return nil, nil, ErrCommand
		}
	}
	return name, body[1+n:], nil
}

// AppendCommand appends a whole command frame.
func AppendCommand(dst []byte, name string, data []byte) []byte {
	return append(appendCommandHead(dst, name, len(data)), data...)
}

// appendCommandHead appends what stands before n bytes of data. A name that
// cannot be one panics: it is a constant of the program.
func appendCommandHead(dst []byte, name string, n int) []byte {
	mustBeName(name)
	dst = AppendHeader(dst, Command, 1+len(name)+n)
	return append(append(dst, byte(len(name))), name...)
}

func mustBeName(name string) {
	if len(name) == 0 || len(name) > math.MaxUint8 {
		panic("zmtp: a command's name has 1 to 255 characters")
	}
	for _, c := range []byte(name) {
		if !isNameChar(c) {
			panic("zmtp: a command's name is made of letters, digits, - and _")
		}
	}
}

func isNameChar(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_'
}

package handshake

import (
	"encoding/binary"
	"slices"
)

// extensions is a list of {type u16, length u16, body} whose framing was checked:
// no duplicates, nothing left over, at most maxExtensions. Bodies are checked by
// whoever asks for them.
type extensions []byte

// takeExtensions reads ext_len u16 and the list. It does not allocate, since it
// runs before the silence MAC is checked.
func takeExtensions(c *cursor) extensions {
	list := c.take(int(c.u16()))
	var seen [maxExtensions]extensionType
	n := 0
	for in := (cursor{rest: list}); len(in.rest) > 0 && !c.bad; n++ {
		t := extensionType(in.u16())
		in.take(int(in.u16()))
		if in.bad || n == maxExtensions || slices.Contains(seen[:n], t) {
			c.bad = true
			return nil
		}
		seen[n] = t
	}
	return list
}

// get gives the body of one extension, and whether it is there.
func (e extensions) get(want extensionType) ([]byte, bool) {
	for in := (cursor{rest: e}); len(in.rest) > 0; {
		t := extensionType(in.u16())
		body := in.take(int(in.u16()))
		if t == want {
			return body, true
		}
	}
	return nil, false
}

// endWith says whether t is the last of the list.
func (e extensions) endWith(t extensionType) bool {
	last := extensionType(0)
	for in := (cursor{rest: e}); len(in.rest) > 0; {
		last = extensionType(in.u16())
		in.take(int(in.u16()))
	}
	return last == t
}

// only refuses every extension that is not among the known ones.
func (e extensions) only(known ...extensionType) error {
	for in := (cursor{rest: e}); len(in.rest) > 0; {
		t := extensionType(in.u16())
		in.take(int(in.u16()))
		if !slices.Contains(known, t) {
			return ErrUnsupportedExtension
		}
	}
	return nil
}

// opaque gives a body of 1..limit bytes. An absent extension is nil; an empty
// one is refused, so that nothing can be said in two ways.
func (e extensions) opaque(t extensionType, limit int) ([]byte, error) {
	body, ok := e.get(t)
	if ok && (len(body) == 0 || len(body) > limit) {
		return nil, ErrMalformed
	}
	return body, nil
}

// with adds one extension at the end.
func (e extensions) with(t extensionType, body []byte) extensions {
	e = binary.BigEndian.AppendUint16(e, uint16(t))
	e = binary.BigEndian.AppendUint16(e, uint16(len(body)))
	return append(e, body...)
}

// withOpaque adds an extension unless its body is empty.
func (e extensions) withOpaque(t extensionType, body []byte) extensions {
	if len(body) == 0 {
		return e
	}
	return e.with(t, body)
}

// append writes ext_len and the list.
func (e extensions) append(dst []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(e))), e...)
}

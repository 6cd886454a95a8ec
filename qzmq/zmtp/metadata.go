package zmtp

import (
	"encoding/binary"
	"math"
	"strings"
)

// Property is one thing that a peer says of itself in READY, or with QZMQ1 in its
// handshake: Socket-Type, Identity, Resource, or what an application adds.
type Property struct {
	Name  string // of letters, digits and - _ . +; case says nothing
	Value []byte
}

// Metadata are the properties of one peer, in the order in which it said them. No
// name is there twice.
type Metadata []Property

// ParseMetadata reads the encoding of RFC 37 section "Metadata", which has to fill
// b. Values share its memory. The only error is ErrMetadata. A name that comes
// twice is one: readers would not agree which of the values counts.
func ParseMetadata(b []byte) (Metadata, error) {
	var m Metadata
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n+4 {
			return nil, ErrMetadata
		}
		name := string(b[1 : 1+n])
		size := binary.BigEndian.Uint32(b[1+n:])
		b = b[1+n+4:]
		if size > math.MaxInt32 || uint64(size) > uint64(len(b)) || !isPropertyName(name) {
			return nil, ErrMetadata
		}
		if _, again := m.Get(name); again {
			return nil, ErrMetadata
		}
		m = append(m, Property{name, b[:size:size]})
		b = b[size:]
	}
	return m, nil
}

// Append appends the encoding. A name that cannot be one panics.
func (m Metadata) Append(dst []byte) []byte {
	for _, p := range m {
		if !isPropertyName(p.Name) {
			panic("zmtp: a property's name has 1 to 255 of A-Z a-z 0-9 - _ . +")
		}
		dst = append(append(dst, byte(len(p.Name))), p.Name...)
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(p.Value))), p.Value...)
	}
	return dst
}

// Get gives the value of a name, in whatever case.
func (m Metadata) Get(name string) (value []byte, there bool) {
	for _, p := range m {
		if strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return nil, false
}

// With is m where name has this value and no other.
func (m Metadata) With(name string, value []byte) Metadata {
	return append(m.Without(name), Property{name, value})
}

// Without is a copy of m that does not have these names, in whatever case.
func (m Metadata) Without(names ...string) Metadata {
	var kept Metadata
next:
	for _, p := range m {
		for _, name := range names {
			if strings.EqualFold(p.Name, name) {
				continue next
			}
		}
		kept = append(kept, p)
	}
	return kept
}

// isPropertyName is about ASCII alone, so that EqualFold folds nothing else.
func isPropertyName(s string) bool {
	if len(s) == 0 || len(s) > math.MaxUint8 {
		return false
	}
	for _, c := range []byte(s) {
		if !isNameChar(c) && c != '.' && c != '+' {
			return false
		}
	}
	return true
}

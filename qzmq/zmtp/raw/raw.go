// Package raw is what package zmtp does past Go's runtime, because it is done for every
// record, and all that it has to do with unsafe memory.
//
// Calls to the kernel on connections never make it wait. They are made without
// a word to Go's scheduler, which otherwise takes the processor away from a call that
// lasts 20 µs and gives it to another thread, and that is what the copy of a record
// or two lasts: its watching and handing over cost a relay a fifth of its time. What
// they keep waiting is the collector, for as long as such a copy.
//
// Memory is given without zeros where all of it will be written.
package raw

import (
	"strings"
	"unsafe"
)

// Memory gives an empty slice with room for n bytes, at least one, that are not zero
// yet: they are written once, not twice. Who appends to it never sees them.
func Memory(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0) // so that there is a String
	return unsafe.Slice(unsafe.StringData(b.String()), n)[:0]
}

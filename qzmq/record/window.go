package record

// Window geometry, RFC 6479: a ring of words that is cleared word by word as
// the window moves on. One word is always being filled, so the window is one
// word shorter than the ring.
const (
	wordBits   = 64
	ringWords  = 256 // a power of two, so that the index is a mask
	windowSize = (ringWords - 1) * wordBits

	_ = uint(windowSize - 8192) // the protocol asks for at least 8,192
)

// window remembers which sequence numbers were seen. The zero value has seen
// none.
type window struct {
	next uint64 // one more than the highest number seen
	ring [ringWords]uint64
}

// fresh says whether seq was neither seen nor has fallen out of the window.
func (w *window) fresh(seq uint64) bool {
	if seq >= w.next {
		return seq != ^uint64(0) // next could not pass it
	}
	if w.next-seq > windowSize {
		return false
	}
	return w.ring[seq/wordBits%ringWords]&(1<<(seq%wordBits)) == 0
}

// set marks seq, which must be fresh.
func (w *window) set(seq uint64) {
	if seq >= w.next {
		word, last := seq/wordBits, uint64(0)
		if w.next > 0 {
			last = (w.next - 1) / wordBits
		}
		for i, n := uint64(0), min(word-last, ringWords); i < n; i++ {
			w.ring[(word-i)%ringWords] = 0
		}
		w.next = seq + 1
	}
	w.ring[seq/wordBits%ringWords] |= 1 << (seq % wordBits)
}

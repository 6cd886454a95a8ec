package xsk

// joiner copies packets that arrive in several chunks into memory in one piece,
// which is what headers are read from and the AEAD works on.
//
// The kernel shows a packet's descriptors all at once, but Recv may stop in the
// middle of them. Then the packet is finished by the next Recv, and its buffer
// stays where it is.
type joiner struct {
	buffers [][]byte // the first in use are lent, the next holds what is not complete
	used    int
	open    bool // in the middle of a packet
	broken  bool // the packet that is open is not worth finishing
}

// newJoiner takes memory for the packets of one batch of descriptors. Each has
// two at least, but the last one's end may have come with the batch before, and
// the next one's begin with this batch.
func newJoiner(longest int) joiner {
	j := joiner{buffers: make([][]byte, batch/2+2)}
	for i := range j.buffers {
		j.buffers[i] = make([]byte, 0, longest)
	}
	return j
}

// reuse ends the lending of all packets.
func (j *joiner) reuse() {
	// The packet that is open moves to the front, by exchange.
	j.buffers[0], j.buffers[j.used] = j.buffers[j.used], j.buffers[0]
	j.used = 0
}

// add takes the next part of a packet, nil for one that is lost, and returns
// the packet if this was its last. A packet that lost a part, or that is longer
// than was asked for, comes to nothing.
func (j *joiner) add(part []byte, last bool) (packet []byte, broken bool) {
	b := &j.buffers[j.used]
	if !j.open {
		*b, j.open, j.broken = (*b)[:0], true, false
	}
	if part == nil || len(part) > cap(*b)-len(*b) {
		j.broken = true
	}
	if !j.broken {
		*b = append(*b, part...)
	}
	if !last {
		return nil, false
	}
	j.open = false
	if j.broken {
		return nil, true
	}
	j.used++
	return *b, false
}

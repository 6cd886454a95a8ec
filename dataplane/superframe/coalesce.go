package superframe

import (
	"bytes"
	"encoding/binary"
)

// The rules for merging are those of the kernel's GRO: the segments of a
// super-frame differ in nothing but what a cutter would make different. Those of
// a flow keep their order among each other whether they merge or not. Datagrams
// of UDP that have one size, but for the last, may travel in one piece too; each
// is delivered by itself.

const (
	maxRooms = 4096 // frames of one Flush; a batch of records full of small packets makes so many
	mostUDP  = 64   // datagrams in one piece: UDP_MAX_SEGMENTS of older kernels
	openMost = 8    // flows that are being merged at the same time

	// maxSuperLen is the longest frame that an interface takes in one piece
	// unless somebody has raised its gso_max_size.
	maxSuperLen = 1<<16 - 1
)

// train is what leaves as one message: one frame, or segments that follow each
// other.
type train struct {
	first, last int // frames, chained by next
	count       int
	layout             // of the first
	size        int    // bytes of payload of each but the last
	content     int    // bytes of payload of all
	seq         uint32 // that would come next
	fixedID     bool   // the IPv4 identification stays the same, instead of counting
	verified    bool   // the first frame's checksums are right
}

// coalescer sorts the frames of one Flush into trains.
type coalescer struct {
	sealed bool // checksums say nothing, and are all to be computed
	frames [][]byte
	next   [maxRooms]int // the frame behind, in its train
	trains []train
	flows  [openMost]int // trains that may grow, by no order; -1 for none
	turn   int           // the flow to give up next when all are taken
}

func newCoalescer(sealed bool) *coalescer {
	c := &coalescer{sealed: sealed, frames: make([][]byte, 0, maxRooms), trains: make([]train, 0, maxRooms)}
	c.reset()
	return c
}

func (c *coalescer) reset() {
	c.frames, c.trains = c.frames[:0], c.trains[:0]
	c.closeAll()
}

func (c *coalescer) closeAll() {
	for i := range c.flows {
		c.flows[i] = -1
	}
}

// sort makes trains of the frames.
func (c *coalescer) sort() {
	for n := range c.frames {
		c.add(n)
	}
}

// add puts frame n at the end of the train of its flow or into a new one.
func (c *coalescer) add(n int) {
	frame := c.frames[n]
	t := train{first: n, last: n, count: 1}
	var ok bool
	t.layout, ok = read(frame, len(frame))
	if !ok {
		// Perhaps a fragment of any of the flows: nothing may overtake it.
		c.closeAll()
		t.layout = layout{}
		c.trains = append(c.trains, t)
		return
	}
	slot := c.find(frame, &t.layout)
	if slot >= 0 {
		if open := &c.trains[c.flows[slot]]; c.joins(open, frame, &t.layout) {
			c.next[open.last], open.last = n, n
			open.count++
			return
		}
		c.flows[slot] = -1
	}
	if c.mayGrow(&t, frame) {
		if slot < 0 {
			slot, c.turn = c.turn, (c.turn+1)%openMost
		}
		c.flows[slot] = len(c.trains)
	}
	c.trains = append(c.trains, t)
}

// find gives the place of the open train of a frame's flow, or -1.
func (c *coalescer) find(frame []byte, l *layout) int {
	for i, n := range c.flows {
		if n < 0 {
			continue
		}
		t := &c.trains[n]
		if t.v6 == l.v6 && t.protocol == l.protocol && sameFlow(c.frames[t.first], &t.layout, frame, l) {
			return i
		}
	}
	return -1
}

// sameFlow compares ports and addresses.
func sameFlow(a []byte, la *layout, b []byte, lb *layout) bool {
	if binary.NativeEndian.Uint32(a[la.transport:]) != binary.NativeEndian.Uint32(b[lb.transport:]) {
		return false
	}
	if la.v6 {
		return bytes.Equal(a[la.ip+8:la.ip+40], b[lb.ip+8:lb.ip+40])
	}
	return binary.NativeEndian.Uint64(a[la.ip+12:]) == binary.NativeEndian.Uint64(b[lb.ip+12:])
}

// mayGrow says whether the frame can be the first of several, and remembers what
// the second has to be like.
func (c *coalescer) mayGrow(t *train, frame []byte) bool {
	header := ipv4Len
	if t.v6 {
		header = ipv6Len
	}
	if t.transport-t.ip != header || t.end != len(frame) || t.end == t.payload {
		return false
	}
	t.size = t.end - t.payload
	t.content = t.size
	transport := frame[t.transport:]
	if t.protocol == protocolUDP {
		return c.isWhole(transport)
	}
	const may = flagACK | flagECE | flagCWR
	if flags := transport[13]; flags&flagACK == 0 || flags&^may != 0 {
		return false
	}
	t.seq = binary.BigEndian.Uint32(transport[4:]) + uint32(t.size)
	return true
}

// isWhole says that a datagram has the length of the packet that it came in, and a
// checksum where that means anything.
func (c *coalescer) isWhole(udp []byte) bool {
	return int(binary.BigEndian.Uint16(udp[4:])) == len(udp) && (c.sealed || binary.NativeEndian.Uint16(udp[6:]) != 0)
}

// joins decides whether the frame continues the train, and takes it in.
func (c *coalescer) joins(t *train, frame []byte, l *layout) bool {
	first := c.frames[t.first]
	size := l.end - l.payload
	if l.ip != t.ip || l.transport != t.transport || l.payload != t.payload || l.end != len(frame) ||
		size == 0 || size > t.size || t.payload+t.content+size > maxSuperLen || !bytes.Equal(frame[:l.ip], first[:t.ip]) {
		return false
	}
	fixed, ok := sameIP(t, first, frame)
	if !ok {
		return false
	}
	last := size < t.size
	if t.protocol == protocolUDP {
		if t.count == mostUDP || !c.isWhole(frame[l.transport:]) {
			return false
		}
	} else {
		tcp := frame[l.transport:l.payload]
		if !continues(tcp, first[t.transport:t.payload], t.seq) {
			return false
		}
		last = last || tcp[13]&(flagFIN|flagPSH) != 0
	}
	if !c.sealed && !c.verified(t, frame, l) {
		return false
	}
	t.fixedID = fixed
	t.content += size
	t.seq += uint32(size)
	if last {
		c.shut(t)
	}
	return true
}

// verified says whether the checksums of the train's first frame and of this one
// are right.
func (c *coalescer) verified(t *train, frame []byte, l *layout) bool {
	t.verified = t.verified || verify(c.frames[t.first], &t.layout)
	return t.verified && verify(frame, l)
}

// continues says whether a TCP header is what a cutter would make of the first
// one for the bytes from seq on.
func continues(tcp, first []byte, seq uint32) bool {
	if binary.BigEndian.Uint32(tcp[4:]) != seq {
		return false
	}
	if (tcp[13]^first[13])&^(flagFIN|flagPSH|flagCWR) != 0 || tcp[13]&flagCWR != 0 {
		return false
	}
	// Acknowledgement, data offset; window; urgent pointer, options.
	return bytes.Equal(tcp[8:13], first[8:13]) && bytes.Equal(tcp[14:16], first[14:16]) && bytes.Equal(tcp[18:], first[18:])
}

// shut ends a train's growth.
func (c *coalescer) shut(t *train) {
	for i, n := range c.flows {
		if n >= 0 && &c.trains[n] == t {
			c.flows[i] = -1
		}
	}
}

// sameIP compares what a router or a cutter leaves the same in the IP headers.
// The IPv4 identification counts on from segment to segment, or stays the same
// where it has no meaning because the packet must not be split (RFC 6864
// section 4.1).
func sameIP(t *train, first, frame []byte) (fixedID, ok bool) {
	a, b := first[t.ip:t.transport], frame[t.ip:t.transport]
	if t.v6 { // version, traffic class, flow label; next header, hop limit
		return false, bytes.Equal(a[:4], b[:4]) && bytes.Equal(a[6:8], b[6:8])
	}
	if a[1] != b[1] || !bytes.Equal(a[6:10], b[6:10]) {
		return false, false
	}
	id0, id := binary.BigEndian.Uint16(a[4:]), binary.BigEndian.Uint16(b[4:])
	counts := id == id0+uint16(t.count)
	fixed := id == id0 && binary.BigEndian.Uint16(a[6:])&flagDontFragment != 0
	if t.count > 1 {
		counts, fixed = counts && !t.fixedID, fixed && t.fixedID
	}
	return fixed, counts || fixed
}

// verify says whether the checksums of a frame are right. Only what was verified
// may leave with the mark that nobody needs to look at them again.
func verify(frame []byte, l *layout) bool {
	if !l.v6 && !sum(0).add(frame[l.ip:l.transport]).valid() {
		return false
	}
	return l.pseudo(frame).word(uint16(l.end - l.transport)).add(frame[l.transport:l.end]).valid()
}

// couple makes the first frame's headers those of the whole train and describes
// it.
func (c *coalescer) couple(t *train) (v vnet) {
	first := c.frames[t.first]
	if t.count == 1 {
		if c.sealed && t.protocol == protocolUDP {
			binary.BigEndian.PutUint16(first[t.checksumAt():], t.pseudo(first).word(uint16(t.end-t.transport)).fold())
			v = vnet{flags: needsChecksum, start: uint16(t.transport), inStart: uint16(t.checksumAt() - t.transport)}
		}
		return v
	}
	length := t.payload - t.ip + t.content
	v = vnet{
		flags: needsChecksum, gso: gsoTCP4, headerLen: uint16(t.payload), size: uint16(t.size),
		start: uint16(t.transport), inStart: uint16(t.checksumAt() - t.transport),
	}
	if t.v6 {
		v.gso = gsoTCP6
		binary.BigEndian.PutUint16(first[t.ip+4:], uint16(length-ipv6Len))
	} else {
		ip := first[t.ip:t.transport]
		binary.BigEndian.PutUint16(ip[2:], uint16(length))
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], sum(0).add(ip).checksum())
	}
	transport := first[t.transport:]
	content := uint16(length - (t.transport - t.ip))
	if t.protocol == protocolUDP {
		v.gso = gsoUDP
		binary.BigEndian.PutUint16(transport[4:], content)
	} else {
		if transport[13]&flagCWR != 0 {
			v.gso |= gsoECN
		}
		transport[13] |= c.frames[t.last][t.transport+13] & (flagFIN | flagPSH)
	}
	binary.BigEndian.PutUint16(first[t.checksumAt():], t.pseudo(first).word(content).fold())
	return v
}

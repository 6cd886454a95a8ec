package superframe

import (
	"encoding/binary"
	"hash/crc32"

	"golang.org/x/sys/unix"
)

// The way of a received packet:
//
//  1. fill has the kernel write the frames that wait into strips, one each.
//  2. take looks at one strip: a plain frame is completed and lent as it lies.
//  3. A super-frame's segments lie where the shape of the last one said they
//     would, with room for headers between them, so that the cutter has only
//     headers to write. Where the guess was wrong, gather and spread move the
//     bytes first.
//
// That guess is what saves a copy: the kernel scatters the payload into one
// piece of memory for each segment while it copies it to us.

const (
	maxMessages = 32      // frames asked for in one call
	maxPieces   = 64      // of a strip that the kernel scatters into
	stripLen    = 1 << 18 // holds a super-frame of the shortest segments
	stripStep   = stripLen + 320
	batch       = 256 // frames lent at once, beyond which no further super-frame is cut

	// headroom is free in front of each frame in a strip: for a VLAN tag that
	// the kernel keeps beside the frame.
	headroom = 16

	maxFrameLen = ethernetLen + maxTags*tagLen + maxIPLen
	leastSize   = 64                   // of a layout's segments
	mostPieces  = batch + stripLen/128 // frames that one Recv can give
)

// shape is what the layout of a strip is made for.
type shape struct {
	header int // bytes of all headers, as they arrive
	size   int // bytes of payload of each segment
}

// receiver is the receiving half of a Socket.
type receiver struct {
	memory     []byte
	messages   [maxMessages]message
	vnets      [maxMessages][vnetLen]byte
	controls   [maxMessages][controlLen]byte
	vectors    [maxMessages][maxPieces + 2]unix.Iovec
	castagnoli *crc32.Table

	shape  shape
	stride int // from one segment's place to the next
	pieces int // segments that the layout has a place for

	arrived, next int // messages of the last call, and the first not yet looked at
	asked         int // messages in the next call
	sealed        bool
	cutter        cutter
	frames        [][]byte

	// Of the messages of the last call: super-frames that lay as was guessed
	// and those that did not, and the shape of the last of those.
	guessed, missed int
	wanted          shape
	made            int // frames
}

func newReceiver(mtu int, sealed bool) *receiver {
	r := &receiver{
		memory:     make([]byte, maxMessages*stripStep),
		castagnoli: crc32.MakeTable(crc32.Castagnoli),
		frames:     make([][]byte, 0, mostPieces),
		asked:      maxMessages,
		sealed:     sealed,
	}
	// TCP with timestamps, which nearly everybody sends.
	r.lay(shape{ethernetLen + ipv4Len + tcpLen + 12, max(mtu-ipv4Len-tcpLen-12, leastSize)})
	return r
}

func (r *receiver) strip(i int) []byte { return r.memory[i*stripStep:][:stripLen:stripLen] }

// lay makes the layout of all strips that of a shape.
func (r *receiver) lay(to shape) {
	r.shape = to
	r.stride = strideOf(to.header, to.size)
	r.pieces = min((maxIPLen+to.size-1)/to.size, maxPieces)
	for i := range r.messages {
		strip, v := r.strip(i), &r.vectors[i]
		v[0] = vector(r.vnets[i][:])
		v[1] = vector(strip[headroom : headroom+to.header+to.size])
		for j := 1; j < r.pieces; j++ {
			v[1+j] = vector(strip[j*r.stride+headroom+to.header:][:to.size])
		}
		v[1+r.pieces] = vector(strip[r.pieces*r.stride:][:maxFrameLen])
		m := &r.messages[i]
		m.Iov = &v[0]
		m.SetIovlen(r.pieces + 2)
		m.Control = &r.controls[i][0]
	}
}

// strideOf is the least distance between frames, in whole cache lines.
func strideOf(header, size int) int { return (headroom + header + size + 63) &^ 63 }

func vector(b []byte) unix.Iovec {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	return v
}

// Recv returns the packets that have arrived, super-frames cut into segments,
// or none. They are lent until the next Recv and may be changed in place.
func (s *Socket) Recv() [][]byte {
	r := s.recv
	r.frames = r.frames[:0]
	if s.fd < 0 || r.next == r.arrived && !s.fill() {
		return nil
	}
	bytes := uint64(0)
	for ; r.next < r.arrived && len(r.frames) < batch; r.next++ {
		if why := r.take(r.next); why != fine {
			s.counted.refused[why].Add(1)
		}
		bytes += uint64(max(r.messages[r.next].length, vnetLen) - vnetLen)
	}
	r.made += len(r.frames)
	s.counted.receivedPackets.Add(uint64(len(r.frames)))
	s.counted.receivedBytes.Add(bytes)
	return r.frames
}

// fill receives what waits into the strips and says whether there was anything.
func (s *Socket) fill() bool {
	r := s.recv
	r.follow()
	if r.arrived > 0 {
		// About one batch, so that what is lent at once stays in the cache.
		r.asked = min(max(batch*r.arrived/max(r.made, 1), 4), maxMessages)
	}
	r.guessed, r.missed, r.made, r.next, r.arrived = 0, 0, 0, 0, 0
	for i := range r.asked {
		m := &r.messages[i]
		m.Flags = 0
		m.SetControllen(controlLen)
	}
	n, errno := receive(s.fd, r.messages[:r.asked])
	switch errno {
	case 0:
		r.arrived = n
		s.counted.receivedFrames.Add(uint64(n))
		return true
	case unix.EAGAIN, unix.EINTR:
	case unix.ENETDOWN: // said once, when the interface goes down
		s.counted.refused[down].Add(1)
	default:
		// Such as EINVAL for a super-frame of a kind that the virtio-net header
		// has no word for. The kernel has thrown the frame away.
		s.counted.refused[unreadable].Add(1)
	}
	return false
}

// follow makes the layout the one that most super-frames of the last call would
// have needed.
func (r *receiver) follow() {
	if r.missed > r.guessed && r.wanted != r.shape {
		r.lay(r.wanted)
	}
}

// take makes the frames of message i.
func (r *receiver) take(i int) Refusal {
	m := &r.messages[i]
	length := int(m.length) - vnetLen
	if m.Flags&unix.MSG_TRUNC != 0 || length > maxFrameLen {
		return tooLong
	}
	if length < ethernetLen {
		return malformed
	}
	var v vnet
	v.read(&r.vnets[i])
	strip := r.strip(i)
	inPlace := min(length, r.shape.header+r.shape.size) // what lies in one piece from the start
	from, ok := untag(m, r.controls[i][:], strip)
	if !ok {
		return malformed
	}
	tag := headroom - from
	v.start += uint16(tag)

	if v.gso == gsoNone {
		if inPlace < length {
			r.gather(strip, length)
		}
		frame := strip[from : headroom+length : headroom+length]
		if v.flags&needsChecksum != 0 && !r.sealed && !complete(&v, frame, r.castagnoli) {
			return malformed
		}
		r.frames = append(r.frames, frame)
		return fine
	}

	c := &r.cutter
	if c.prepare(&v, strip[from:headroom+inPlace], tag+length) &&
		c.payload-tag == r.shape.header && c.size == r.shape.size && c.count <= r.pieces {
		r.guessed++
		r.cut(strip, from, r.stride)
		return fine
	}
	r.gather(strip, length)
	if !c.prepare(&v, strip[from:headroom+length], tag+length) {
		return notSegmentable
	}
	r.missed++
	r.wanted = shape{c.payload - tag, c.size}
	stride := strideOf(c.payload, c.size)
	if (c.count-1)*stride+headroom+c.payload+c.size > len(strip) {
		return tooLong
	}
	c.spread(strip[from:], stride)
	r.cut(strip, from, stride)
	return fine
}

// cut finishes the segments that lie in a strip.
func (r *receiver) cut(strip []byte, from, stride int) {
	for j := range r.cutter.count {
		at := j*stride + from
		frame := strip[at : at+r.cutter.length(j) : at+r.cutter.length(j)]
		r.cutter.cut(j, frame, !r.sealed)
		r.frames = append(r.frames, frame)
	}
}

// gather moves a frame together that the kernel has scattered. Every piece moves
// towards the start of the strip.
func (r *receiver) gather(strip []byte, length int) {
	at, rest := headroom+r.shape.header+r.shape.size, length-r.shape.header-r.shape.size
	for j := 1; j < r.pieces && rest > 0; j++ {
		n := min(rest, r.shape.size)
		copy(strip[at:at+n], strip[j*r.stride+headroom+r.shape.header:])
		at, rest = at+n, rest-n
	}
	if rest > 0 {
		copy(strip[at:at+rest], strip[r.pieces*r.stride:])
	}
}

// spread moves the segments' payloads of a whole super-frame apart. Every piece
// moves away from the start, so the last goes first.
func (c *cutter) spread(b []byte, stride int) {
	for j := c.count - 1; j > 0; j-- {
		from := c.payload + j*c.size
		copy(b[j*stride+c.payload:], b[from:from+min(c.size, c.content-j*c.size)])
	}
}

// controlLen is the room for one control message with a struct tpacket_auxdata.
const (
	controlLen = unix.SizeofCmsghdr + 24
	auxdata    = unix.SizeofCmsghdr // where that struct begins
)

// untag puts a VLAN tag back that the kernel has taken out of the frame at
// strip[headroom:], and says where the frame now begins.
func untag(m *message, control, strip []byte) (from int, ok bool) {
	if int(m.Controllen) < auxdata+20 {
		return headroom, false // PACKET_AUXDATA is on: every frame brings it
	}
	status := binary.NativeEndian.Uint32(control[auxdata:])
	if status&unix.TP_STATUS_VLAN_VALID == 0 {
		return headroom, true
	}
	kind := uint16(etherVLAN)
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		kind = binary.NativeEndian.Uint16(control[auxdata+18:])
	}
	from = headroom - tagLen
	copy(strip[from:], strip[headroom:headroom+12])
	binary.BigEndian.PutUint16(strip[from+12:], kind)
	binary.BigEndian.PutUint16(strip[from+14:], binary.NativeEndian.Uint16(control[auxdata+16:]))
	return from, true
}

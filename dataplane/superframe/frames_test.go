package superframe

import (
	"encoding/binary"
	"testing"
)

// segment describes a frame with TCP or UDP in it. bytes builds it the plain
// way, field by field, and so is what the package's own work is compared with.
type segment struct {
	tags       []uint16 // EtherTypes of VLAN tags, outermost first
	v6         bool
	udp        bool
	host       byte // the last byte of the source's address
	port       uint16
	tos, ttl   byte
	id, flagsV uint16 // IPv4 identification, flags and offset
	ipOptions  []byte // or IPv6 extension headers, the first of which is of type extension
	extension  byte
	seq, ack   uint32
	flags      byte
	window     uint16
	urgent     uint16
	options    []byte // TCP
	payload    []byte
	padding    int // behind the packet
}

// plain is a segment of a bulk transfer in the middle.
func plain(size int) segment {
	s := segment{
		host: 1, port: 40000, ttl: 64, id: 0xfff0, flagsV: flagDontFragment, seq: 0xffff_f000, ack: 7, flags: flagACK, window: 500,
		options: []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, payload: make([]byte, size),
	}
	for i := range s.payload {
		s.payload[i] = byte(i*7 + i>>8)
	}
	return s
}

// slowSum is RFC 1071 word by word.
func slowSum(total uint32, b []byte) uint32 {
	for i, v := range b {
		if i%2 == 0 {
			total += uint32(v) << 8
		} else {
			total += uint32(v)
		}
		total = total&0xffff + total>>16
	}
	return total
}

func (s segment) bytes() []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, s.host}
	for i, tag := range s.tags {
		b = binary.BigEndian.AppendUint16(b, tag)
		b = binary.BigEndian.AppendUint16(b, uint16(100+i))
	}
	transport := s.transport()
	if s.v6 {
		b = binary.BigEndian.AppendUint16(b, etherIPv6)
		b = append(b, 0x60|s.tos>>4, s.tos<<4, 1, 2)
		b = binary.BigEndian.AppendUint16(b, uint16(len(s.ipOptions)+len(transport)))
		next := s.protocol()
		if len(s.ipOptions) > 0 {
			next = s.extension
		}
		b = append(b, next, s.ttl)
		b = append(b, s.addresses()...)
	} else {
		b = binary.BigEndian.AppendUint16(b, etherIPv4)
		ip := []byte{0x45 + byte(len(s.ipOptions)/4), s.tos}
		ip = binary.BigEndian.AppendUint16(ip, uint16(20+len(s.ipOptions)+len(transport)))
		ip = binary.BigEndian.AppendUint16(ip, s.id)
		ip = binary.BigEndian.AppendUint16(ip, s.flagsV)
		ip = append(ip, s.ttl, s.protocol(), 0, 0)
		ip = append(append(ip, s.addresses()...), s.ipOptions...)
		binary.BigEndian.PutUint16(ip[10:], ^uint16(slowSum(0, ip)))
		b = append(b, ip...)
	}
	if s.v6 {
		b = append(b, s.ipOptions...)
	}
	return append(append(b, transport...), make([]byte, s.padding)...)
}

func (s segment) protocol() byte {
	if s.udp {
		return protocolUDP
	}
	return protocolTCP
}

func (s segment) addresses() []byte {
	if s.v6 {
		b := append([]byte{0xfd, 0, 0, 1}, make([]byte, 11)...)
		b = append(append(b, s.host), 0xfd, 0, 0, 2)
		return append(append(b, make([]byte, 11)...), 2)
	}
	return []byte{10, 1, 0, s.host, 10, 2, 0, 2}
}

func (s segment) transport() []byte {
	var b []byte
	b = binary.BigEndian.AppendUint16(b, s.port)
	b = binary.BigEndian.AppendUint16(b, 5555)
	at := 6
	if s.udp {
		b = binary.BigEndian.AppendUint16(b, uint16(8+len(s.payload)))
		b = append(b, 0, 0)
	} else {
		at = 16
		b = binary.BigEndian.AppendUint32(b, s.seq)
		b = binary.BigEndian.AppendUint32(b, s.ack)
		b = append(b, byte(5+len(s.options)/4)<<4, s.flags)
		b = binary.BigEndian.AppendUint16(b, s.window)
		b = append(b, 0, 0)
		b = binary.BigEndian.AppendUint16(b, s.urgent)
		b = append(b, s.options...)
	}
	b = append(b, s.payload...)
	total := slowSum(0, s.addresses())
	total = slowSum(total, []byte{0, s.protocol(), byte(len(b) >> 8), byte(len(b))})
	checksum := ^uint16(slowSum(total, b))
	if s.udp && checksum == 0 {
		checksum = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], checksum)
	return b
}

// cutPlainly is what a cutter should make of a super-frame.
func (s segment) cutPlainly(size int) (frames [][]byte) {
	for at, i := 0, 0; at < len(s.payload); at, i = at+size, i+1 {
		one := s
		one.payload = s.payload[at:min(at+size, len(s.payload))]
		one.seq += uint32(at)
		one.id += uint16(i)
		if at > 0 {
			one.flags &^= flagCWR
		}
		if at+size < len(s.payload) {
			one.flags &^= flagFIN | flagPSH
		}
		frames = append(frames, one.bytes())
	}
	return frames
}

// super is the frame as the kernel hands it over: one piece, its checksum only
// begun, and what the virtio-net header says.
func (s segment) super(size int) (frame []byte, v vnet) {
	frame = s.bytes()
	l, ok := read(frame, len(frame))
	if !ok {
		panic("the test built what is no frame")
	}
	v = vnet{flags: needsChecksum, size: uint16(size), headerLen: uint16(l.payload), start: uint16(l.transport), inStart: uint16(l.checksumAt() - l.transport)}
	switch {
	case s.udp:
		v.gso = gsoUDP
	case s.v6:
		v.gso = gsoTCP6
	default:
		v.gso = gsoTCP4
	}
	if s.flags&flagCWR != 0 {
		v.gso |= gsoECN
	}
	begin(frame, &l)
	return frame, v
}

// begin makes the checksum that of the pseudo-header only, as a sender does that
// leaves the rest to its network card.
func begin(frame []byte, l *layout) {
	length := l.end - l.transport
	at, n := l.ip+12, 8
	if l.v6 {
		at, n = l.ip+8, 32
	}
	total := slowSum(slowSum(0, frame[at:at+n]), []byte{0, l.protocol, byte(length >> 8), byte(length)})
	binary.BigEndian.PutUint16(frame[l.checksumAt():], uint16(total))
}

func TestSum(t *testing.T) {
	b := make([]byte, 3000)
	for i := range b {
		b[i] = byte(i*31 + i>>7)
	}
	for length := range 300 {
		for _, from := range []int{0, 1, 7} {
			part := b[from : from+length*9]
			if got, want := sum(0).add(part).fold(), uint16(slowSum(0, part)); got != want {
				t.Fatalf("%d bytes from %d: %#x, want %#x", len(part), from, got, want)
			}
		}
	}
	ones := make([]byte, 1<<16)
	for i := range ones {
		ones[i] = 0xff
	}
	for length := range len(ones) {
		if got := sum(0).word(0xffff).add(ones[:length]).word(0xffff).fold(); length%2 == 0 && got != 0xffff {
			t.Fatalf("%d ones: %#x", length, got)
		}
	}
}

package superframe

import "encoding/binary"

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	etherQinQ = 0x88a8

	ethernetLen = 14
	tagLen      = 4
	maxTags     = 2
	ipv4Len     = 20
	ipv6Len     = 40
	tcpLen      = 20
	udpLen      = 8

	protocolHopByHop = 0
	protocolTCP      = 6
	protocolUDP      = 17
	protocolOptions  = 60
	protocolSCTP     = 132

	maxIPLen = 65535

	flagDontFragment = 0x4000
	fragmentMask     = 0x3fff // more fragments, or an offset

	flagFIN = 0x01
	flagPSH = 0x08
	flagACK = 0x10
	flagECE = 0x40
	flagCWR = 0x80
)

// layout is where the parts of a frame with TCP or UDP in it stand, as offsets
// from the start of the frame.
type layout struct {
	ip        int  // the IP header, behind up to two VLAN tags
	transport int  // the TCP or UDP header
	payload   int  // what follows that
	end       int  // of the IP packet; behind it there may be padding
	protocol  byte // protocolTCP or protocolUDP
	v6        bool
}

// read finds the headers at the start of a frame of that length, of which head
// holds the beginning, all headers included. ok is false for anything but a
// whole TCP segment or UDP datagram, in one piece, that does not contradict
// itself. IPv6 options for the hops or the destination are stepped over; a
// routing header is not, since behind it the checksum covers another address
// than the one that the header shows.
func read(head []byte, length int) (l layout, ok bool) {
	l.ip = ethernetLen
	for tags := 0; ; tags++ {
		if len(head) < l.ip {
			return l, false
		}
		switch binary.BigEndian.Uint16(head[l.ip-2:]) {
		case etherIPv4:
			return l, l.readIPv4(head, length)
		case etherIPv6:
			return l, l.readIPv6(head, length)
		case etherVLAN, etherQinQ:
			if tags == maxTags {
				return l, false
			}
			l.ip += tagLen
		default:
			return l, false
		}
	}
}

func (l *layout) readIPv4(head []byte, length int) bool {
	if len(head) < l.ip+ipv4Len || head[l.ip]>>4 != 4 {
		return false
	}
	header, total := int(head[l.ip]&15)*4, int(binary.BigEndian.Uint16(head[l.ip+2:]))
	if header < ipv4Len || total < header || l.ip+total > length ||
		binary.BigEndian.Uint16(head[l.ip+6:])&fragmentMask != 0 {
		return false
	}
	l.transport, l.end, l.protocol = l.ip+header, l.ip+total, head[l.ip+9]
	return l.readTransport(head)
}

func (l *layout) readIPv6(head []byte, length int) bool {
	if len(head) < l.ip+ipv6Len || head[l.ip]>>4 != 6 {
		return false
	}
	l.v6, l.transport, l.protocol = true, l.ip+ipv6Len, head[l.ip+6]
	l.end = l.transport + int(binary.BigEndian.Uint16(head[l.ip+4:]))
	if l.end > length {
		return false
	}
	for l.protocol == protocolHopByHop || l.protocol == protocolOptions {
		if len(head) < l.transport+8 {
			return false
		}
		l.protocol, l.transport = head[l.transport], l.transport+8+8*int(head[l.transport+1])
	}
	return l.readTransport(head)
}

func (l *layout) readTransport(head []byte) bool {
	switch l.protocol {
	case protocolTCP:
		if len(head) < l.transport+tcpLen {
			return false
		}
		header := int(head[l.transport+12]>>4) * 4
		l.payload = l.transport + header
		return header >= tcpLen && l.payload <= l.end && l.payload <= len(head)
	case protocolUDP:
		l.payload = l.transport + udpLen
		return l.payload <= l.end && l.payload <= len(head)
	}
	return false
}

// checksumAt is where the checksum of the transport stands.
func (l *layout) checksumAt() int {
	if l.protocol == protocolTCP {
		return l.transport + 16
	}
	return l.transport + 6
}

// pseudo is the sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200
// section 8.1) without the length.
func (l *layout) pseudo(head []byte) sum {
	at, n := l.ip+12, 8
	if l.v6 {
		at, n = l.ip+8, 32
	}
	return sum(0).add(head[at : at+n]).word(uint16(l.protocol))
}

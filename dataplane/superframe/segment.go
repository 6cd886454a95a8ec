package superframe

import (
	"encoding/binary"
	"hash/crc32"
)

// maxHeaderLen bounds the headers of a super-frame: Ethernet with two tags, IP
// and TCP with all their options, and more IPv6 options than anybody sends.
const maxHeaderLen = 256

// cutter makes the segments of one super-frame: the work that a network card
// does under the name of TCP segmentation offload.
type cutter struct {
	layout
	header  [maxHeaderLen]byte // of the super-frame; each segment's is made from it
	size    int                // bytes of payload of each segment but the last
	content int                // bytes of payload of all
	count   int                // segments
	addr    sum                // of the pseudo-header but the length
}

// prepare reads the headers of a super-frame of length bytes, of which head
// holds the beginning. It is false for what the virtio-net header does not
// describe truly, tunnels included: there the header speaks of what is inside.
func (c *cutter) prepare(v *vnet, head []byte, length int) bool {
	l, ok := read(head, length)
	if !ok || l.payload > maxHeaderLen || v.flags&needsChecksum == 0 ||
		int(v.start) != l.transport || l.transport+int(v.inStart) != l.checksumAt() {
		return false
	}
	switch v.gso &^ gsoECN {
	case gsoTCP4:
		ok = l.protocol == protocolTCP && !l.v6
	case gsoTCP6:
		ok = l.protocol == protocolTCP && l.v6
	case gsoUDP:
		ok = l.protocol == protocolUDP
	default:
		ok = false
	}
	c.layout, c.size, c.content = l, int(v.size), l.end-l.payload
	if !ok || c.size == 0 || c.content == 0 {
		return false
	}
	c.count = (c.content + c.size - 1) / c.size
	c.addr = l.pseudo(head)
	copy(c.header[:l.payload], head)
	return true
}

// length is the number of bytes of segment i.
func (c *cutter) length(i int) int { return c.payload + min(c.size, c.content-i*c.size) }

// cut writes the headers of segment i in front of its payload, and its checksums
// unless nobody wants that of the transport.
func (c *cutter) cut(i int, frame []byte, summed bool) {
	copy(frame, c.header[:c.payload])
	if c.v6 {
		binary.BigEndian.PutUint16(frame[c.ip+4:], uint16(len(frame)-c.ip-ipv6Len))
	} else {
		ip := frame[c.ip:c.transport]
		binary.BigEndian.PutUint16(ip[2:], uint16(len(frame)-c.ip))
		binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(i))
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], sum(0).add(ip).checksum())
	}
	transport := frame[c.transport:]
	if c.protocol == protocolTCP {
		binary.BigEndian.PutUint32(transport[4:], binary.BigEndian.Uint32(transport[4:])+uint32(i*c.size))
		if i > 0 {
			transport[13] &^= flagCWR // said once, on the first segment: RFC 3168 section 6.1.2
		}
		if i < c.count-1 {
			transport[13] &^= flagFIN | flagPSH
		}
	} else {
		binary.BigEndian.PutUint16(transport[4:], uint16(len(transport)))
	}
	if !summed {
		return
	}
	at := c.checksumAt() - c.transport
	transport[at], transport[at+1] = 0, 0
	put(transport, at, c.addr.word(uint16(len(transport))).add(transport).checksum())
}

// put writes a checksum at its place in a transport's header. Where that is the
// one of UDP's, zero would say that there is no checksum; the other zero does
// not (RFC 768).
func put(transport []byte, at int, checksum uint16) {
	if checksum == 0 && at == 6 {
		checksum = 0xffff
	}
	binary.BigEndian.PutUint16(transport[at:], checksum)
}

// complete computes the checksum that the sender left to its network card, in a
// frame that is no super-frame. It is false when the virtio-net header points
// outside the frame.
func complete(v *vnet, frame []byte, castagnoli *crc32.Table) bool {
	start, at := int(v.start), int(v.start)+int(v.inStart)
	if at+2 > len(frame) {
		return false
	}
	if v.inStart == 8 && transportOf(frame) == protocolSCTP {
		// The one transport whose checksum is another: RFC 9260 appendix A.
		if at+4 > len(frame) {
			return false
		}
		clear(frame[at : at+4])
		binary.LittleEndian.PutUint32(frame[at:], crc32.Checksum(frame[start:], castagnoli))
		return true
	}
	// The pseudo-header's sum is in the field already, and so gets in.
	put(frame[start:], int(v.inStart), sum(0).add(frame[start:]).checksum())
	return true
}

// transportOf is the protocol number in the IP header, or 0.
func transportOf(frame []byte) byte {
	for at, tags := ethernetLen, 0; at+ipv4Len <= len(frame) && tags <= maxTags; at, tags = at+tagLen, tags+1 {
		switch binary.BigEndian.Uint16(frame[at-2:]) {
		case etherIPv4:
			return frame[at+9]
		case etherIPv6:
			return frame[at+6]
		}
	}
	return 0
}

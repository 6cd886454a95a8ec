package dataplane

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd

	ethernetLen = 14
	ipv4Len     = 20
	ipv6Len     = 40
	udpLen      = 8

	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58

	ecnMask             = 3
	ecnNotCapable       = 0
	ecnCapable1         = 1 // ECT(1)
	ecnCapable0         = 2 // ECT(0)
	ecnCongestion       = 3
	flagDontFragment    = 0x4000
	flagMoreFragments   = 0x2000
	fragmentOffsetMask  = 0x1fff
	maxExtensionHeaders = 8
)

// linkHeaderLen gives the length of a frame's link-layer header and its
// EtherType, past up to two VLAN tags. ok is false for a frame that ends first.
func linkHeaderLen(frame []byte) (n int, etherType uint16, ok bool) {
	n = ethernetLen
	for tags := 0; len(frame) >= n; tags++ {
		etherType = binary.BigEndian.Uint16(frame[n-2:])
		if etherType != 0x8100 && etherType != 0x88a8 || tags == 2 {
			return n, etherType, true
		}
		n += 4
	}
	return 0, 0, false
}

// packet is a view of an IP packet in somebody else's memory.
type packet struct {
	b  []byte // from the IP header to the end of the packet, no further
	v6 bool
}

// address is an IP address as it stands in a header: quick to take out, to
// compare and to mix.
type address struct {
	high, low uint64 // of the 16 bytes; an IPv4 address is the low half of low
	v6        bool
}

func (p *packet) source() address {
	if p.v6 {
		return address{binary.BigEndian.Uint64(p.b[8:]), binary.BigEndian.Uint64(p.b[16:]), true}
	}
	return address{low: uint64(binary.BigEndian.Uint32(p.b[12:]))}
}

func (p *packet) destination() address {
	if p.v6 {
		return address{binary.BigEndian.Uint64(p.b[24:]), binary.BigEndian.Uint64(p.b[32:]), true}
	}
	return address{low: uint64(binary.BigEndian.Uint32(p.b[16:]))}
}

// addr is a as everybody else writes it.
func (a address) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], a.high)
	binary.BigEndian.PutUint64(b[8:], a.low)
	if a.v6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}

// parse reads the IP header at the start of b. Bytes after the packet, such as
// the padding of a short Ethernet frame, are left out of p.b.
func (p *packet) parse(b []byte) bool {
	if len(b) < ipv4Len {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if header < ipv4Len || total < header || total > len(b) {
			return false
		}
		p.b, p.v6 = b[:total], false
		return true
	case 6:
		if len(b) < ipv6Len {
			return false
		}
		total := ipv6Len + int(binary.BigEndian.Uint16(b[4:]))
		if total > len(b) {
			return false
		}
		p.b, p.v6 = b[:total], true
		return true
	}
	return false
}

func (p *packet) etherType() uint16 {
	if p.v6 {
		return etherIPv6
	}
	return etherIPv4
}

// dontFragment says whether a router may not split the packet. IPv6 routers
// never may.
func (p *packet) dontFragment() bool {
	return p.v6 || binary.BigEndian.Uint16(p.b[6:])&flagDontFragment != 0
}

// decrementTTL does what a router does, and is false when the packet has no
// hop left.
func (p *packet) decrementTTL() bool {
	if p.v6 {
		if p.b[7] <= 1 {
			return false
		}
		p.b[7]--
		return true
	}
	if p.b[8] <= 1 {
		return false
	}
	p.setIPv4Word(8, binary.BigEndian.Uint16(p.b[8:])-0x100)
	return true
}

// setIPv4Word changes one 16-bit word of the IPv4 header and its checksum with
// it (RFC 1624, equation 3).
func (p *packet) setIPv4Word(at int, word uint16) {
	old := binary.BigEndian.Uint16(p.b[at:])
	binary.BigEndian.PutUint16(p.b[at:], word)
	sum := binary.BigEndian.Uint16(p.b[10:])
	binary.BigEndian.PutUint16(p.b[10:], adjustChecksum(sum, old, word))
}

func (p *packet) ecn() byte {
	if p.v6 {
		return p.b[1] >> 4 & ecnMask
	}
	return p.b[1] & ecnMask
}

func (p *packet) setECN(ecn byte) {
	if p.v6 {
		p.b[1] = p.b[1]&^(ecnMask<<4) | ecn<<4
		return
	}
	p.setIPv4Word(0, binary.BigEndian.Uint16(p.b[0:])&^ecnMask|uint16(ecn))
}

// transport finds the upper-layer header. ok is false in a non-first fragment,
// and where the header is missing or behind more extension headers than any
// honest packet has.
func (p *packet) transport() (protocol byte, at int, ok bool) {
	if !p.v6 {
		at = int(p.b[0]&15) * 4
		first := binary.BigEndian.Uint16(p.b[6:])&fragmentOffsetMask == 0
		return p.b[9], at, first
	}
	protocol, at = p.b[6], ipv6Len
	for range maxExtensionHeaders {
		switch protocol {
		case 0, 43, 60: // hop-by-hop, routing, destination options
			if len(p.b) < at+8 {
				return 0, 0, false
			}
			protocol, at = p.b[at], at+8+8*int(p.b[at+1])
		case 44: // fragment
			if len(p.b) < at+8 || binary.BigEndian.Uint16(p.b[at+2:])&^7 != 0 {
				return 0, 0, false
			}
			protocol, at = p.b[at], at+8
		default:
			return protocol, at, at <= len(p.b)
		}
	}
	return 0, 0, false
}

// adjustChecksum is RFC 1624, equation 3: the checksum after one 16-bit word
// that it covers changed.
func adjustChecksum(sum, old, word uint16) uint16 {
	return ^fold(uint32(^sum) + uint32(^old) + uint32(word))
}

// addBytes adds b to a ones' complement sum (RFC 1071), eight bytes at a time
// with the carry brought round: a sum of wider words is the same sum. The result
// leaves room to add small numbers to it.
func addBytes(sum uint64, b []byte) uint64 {
	var carry uint64
	for ; len(b) >= 32; b = b[32:] {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[8:]), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[16:]), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[24:]), carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
	}
	sum = sum>>32 + sum&0xffffffff + carry
	for ; len(b) >= 2; b = b[2:] {
		sum += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

// checksum finishes a sum of addBytes.
func checksum(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>32 + sum&0xffffffff
	return ^fold(uint32(sum>>16) + uint32(sum&0xffff))
}

func fold(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum)
}

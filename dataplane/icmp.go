package dataplane

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// icmpError is what a router tells the sender of a packet that it cannot
// forward.
type icmpError uint8

const (
	icmpTooBig       icmpError = iota // with the MTU that would fit
	icmpTimeExceeded                  // the hop limit is used up
)

const (
	icmpHeaderLen = 8
	icmpv4Most    = 576  // RFC 1812 section 4.3.2.3
	icmpv6Most    = 1280 // RFC 4443 section 2.4 (c)

	icmpPerSecond = 1000 // answers per worker; RFC 4443 section 2.4 (f) asks for a limit
	icmpBurst     = 100
)

// errorRoom is the longest ICMP error, without link-layer header.
const errorRoom = icmpv6Most

// putICMP writes the error about p into b, which has errorRoom bytes or more,
// and gives its length; 0 when p must not be answered (RFC 1122 section 3.2.2,
// RFC 4443 section 2.4 (e)) or the gateway has no address to answer from.
func putICMP(b []byte, p *packet, from netip.Addr, kind icmpError, mtu int) int {
	if !from.IsValid() || from.Is6() != p.v6 || !answerable(p) {
		return 0
	}
	if p.v6 {
		return putICMPv6(b, p, from, kind, mtu)
	}
	quote := min(len(p.b), icmpv4Most-ipv4Len-icmpHeaderLen)
	total := ipv4Len + icmpHeaderLen + quote
	b = b[:total]
	clear(b[:ipv4Len+icmpHeaderLen])
	b[0], b[1], b[8], b[9] = 0x45, 0xc0, 64, protocolICMP // precedence 6: RFC 1812 section 4.3.2.5
	binary.BigEndian.PutUint16(b[2:], uint16(total))
	put4(b[12:], from)
	put4(b[16:], p.source().addr())
	binary.BigEndian.PutUint16(b[10:], checksum(addBytes(0, b[:ipv4Len])))

	icmp := b[ipv4Len:]
	if kind == icmpTooBig {
		icmp[0], icmp[1] = 3, 4
		binary.BigEndian.PutUint16(icmp[6:], uint16(mtu)) // RFC 1191 section 4
	} else {
		icmp[0] = 11
	}
	copy(icmp[icmpHeaderLen:], p.b[:quote])
	binary.BigEndian.PutUint16(icmp[2:], checksum(addBytes(0, icmp)))
	return total
}

func putICMPv6(b []byte, p *packet, from netip.Addr, kind icmpError, mtu int) int {
	quote := min(len(p.b), icmpv6Most-ipv6Len-icmpHeaderLen)
	total := ipv6Len + icmpHeaderLen + quote
	b = b[:total]
	clear(b[:ipv6Len+icmpHeaderLen])
	b[0], b[6], b[7] = 0x60, protocolICMPv6, 64
	binary.BigEndian.PutUint16(b[4:], uint16(icmpHeaderLen+quote))
	put16(b[8:], from)
	put16(b[24:], p.source().addr())

	icmp := b[ipv6Len:]
	if kind == icmpTooBig {
		icmp[0] = 2
		binary.BigEndian.PutUint32(icmp[4:], uint32(mtu))
	} else {
		icmp[0] = 3
	}
	copy(icmp[icmpHeaderLen:], p.b[:quote])
	binary.BigEndian.PutUint16(icmp[2:], checksum(addBytes(pseudoSum(b, protocolICMPv6, len(icmp)), icmp)))
	return total
}

// pseudoSum is the sum of the IPv6 pseudo-header (RFC 8200 section 8.1).
func pseudoSum(ip []byte, protocol byte, length int) uint64 {
	return addBytes(uint64(protocol)+uint64(length), ip[8:40])
}

// answerable says whether an ICMP error about p may be sent: never about ICMP
// errors, later fragments, or packets from or to more than one host.
func answerable(p *packet) bool {
	src, dst := p.source().addr(), p.destination().addr()
	if src.IsMulticast() || src.IsUnspecified() || src.IsLoopback() || dst.IsMulticast() ||
		src == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	protocol, at, ok := p.transport()
	if !ok {
		return false
	}
	switch {
	case protocol == protocolICMP && !p.v6:
		return at < len(p.b) && (p.b[at] == 8 || p.b[at] == 0 || p.b[at] == 13 || p.b[at] == 14)
	case protocol == protocolICMPv6 && p.v6:
		return at < len(p.b) && p.b[at] >= 128
	}
	return true
}

func put4(b []byte, a netip.Addr) { v := a.As4(); copy(b, v[:]) }

func put16(b []byte, a netip.Addr) { v := a.As16(); copy(b, v[:]) }

// bucket is a token bucket. It belongs to one goroutine.
type bucket struct {
	tokens float64
	last   time.Time
}

func (t *bucket) take(now time.Time, perSecond, burst float64) bool {
	t.tokens = min(burst, t.tokens+perSecond*now.Sub(t.last).Seconds())
	t.last = now
	if t.tokens < 1 {
		return false
	}
	t.tokens--
	return true
}

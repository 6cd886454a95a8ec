package dataplane

import (
	"encoding/binary"
	"net/netip"

	"github.com/qzmq/gateway/qzmq/record"
)

// Path is what sealing for a link takes: where the peer is, how large a packet
// may be, and one stream for each worker.
type Path struct {
	Local   netip.Addr     // outer source address
	Peer    netip.AddrPort // outer destination address and UDP port
	WireMTU int            // bytes of outer IP packet that the outside carries
	Shares  bool           // the peer takes several packets in one record
	Sums    bool           // outer UDP checksums on IPv4 too, which does without them
	Sealers []*record.Sealer
}

// firstSourcePort is the UDP source port of the first worker's stream, to begin
// with. Ports lie above Linux's range for programs; each stream has its own, so
// that receive-side scaling keeps a stream on one of the peer's queues. On which
// one is a matter of the peer's hash: Engine.Reroute gives a stream another port
// when the peer says that its streams crowd.
const firstSourcePort = 61000

// Overhead is what a record adds to an inner packet on the wire, in bytes of IP:
// 60, or 80 when the outside speaks IPv6 as outer does.
func Overhead(outer netip.Addr) int {
	if outer.Is6() {
		return ipv6Len + udpLen + record.Overhead
	}
	return ipv4Len + udpLen + record.Overhead
}

// innerMTU is the largest inner packet, in bytes.
func (p *Path) innerMTU() int { return p.WireMTU - Overhead(p.Peer.Addr()) }

// path is a Path made ready for the workers, with one lane for each: immutable,
// but for what a lane keeps for its worker.
type path struct {
	mtu   int
	lanes []lane
}

// lane is one worker's way to the peer: the outer headers but for what differs
// from packet to packet, and the stream's sealer.
type lane struct {
	header [maxLinkHeader + ipv6Len + udpLen]byte
	n      int    // length of header; 0 while the next hop is unknown
	ip     int    // where the outer IP header starts
	v6     bool   //
	sums   bool   // UDP checksums are computed
	sum    uint64 // IPv4: the header's sum with length and ECN left out
	sealer *record.Sealer
	shares bool // packets may share records

	// The worker's alone.
	open   openRecord
	listed bool // among the worker's lanes that may have an open record
}

func newPath(p *Path, hop Hop, ports []uint16) *path {
	out := &path{mtu: p.innerMTU(), lanes: make([]lane, len(p.Sealers))}
	for i := range out.lanes {
		l := &out.lanes[i]
		l.sealer, l.shares = p.Sealers[i], p.Shares
		if hop.Len() > 0 {
			l.fill(p, hop, ports[i])
		}
	}
	return out
}

func (l *lane) fill(p *Path, hop Hop, sourcePort uint16) {
	l.ip = hop.Len()
	l.v6 = p.Peer.Addr().Is6()
	l.sums = l.v6 || p.Sums
	ip := l.header[l.ip:]
	udp := ip[ipv4Len:]
	if l.v6 {
		hop.put(l.header[:], etherIPv6)
		ip[0], ip[6], ip[7] = 0x60, protocolUDP, 64
		put16(ip[8:], p.Local)
		put16(ip[24:], p.Peer.Addr())
		udp = ip[ipv6Len:]
		l.n = l.ip + ipv6Len + udpLen
	} else {
		hop.put(l.header[:], etherIPv4)
		ip[0], ip[8], ip[9] = 0x45, 64, protocolUDP
		binary.BigEndian.PutUint16(ip[6:], flagDontFragment) // and so ID 0 is enough: RFC 6864 section 4.1
		put4(ip[12:], p.Local)
		put4(ip[16:], p.Peer.Addr())
		l.sum = addBytes(0, ip[:ipv4Len])
		l.n = l.ip + ipv4Len + udpLen
	}
	binary.BigEndian.PutUint16(udp[0:], sourcePort)
	binary.BigEndian.PutUint16(udp[2:], p.Peer.Port())
}

// put writes the outer headers of a record of n bytes into frame. The inner
// packet's ECN bits are copied outside (RFC 6040 section 4.1). The UDP checksum
// stays 0, which is none, unless finishUDP sets it.
func (l *lane) put(frame []byte, n int, ecn byte) {
	copy(frame, l.header[:l.n])
	ip := frame[l.ip:]
	udp := ip[ipv4Len:]
	if l.v6 {
		ip[1] |= ecn << 4
		binary.BigEndian.PutUint16(ip[4:], uint16(udpLen+n))
		udp = ip[ipv6Len:]
	} else {
		ip[1] = ecn
		total := ipv4Len + udpLen + n
		binary.BigEndian.PutUint16(ip[2:], uint16(total))
		binary.BigEndian.PutUint16(ip[10:], checksum(l.sum+uint64(total)+uint64(ecn)))
	}
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen+n))
}

// finishUDP computes the UDP checksum, once the record in the frame is sealed.
// IPv6 demands it; on IPv4 the tag does all that it could, and it is there for
// networks that drop datagrams without one.
func (l *lane) finishUDP(frame []byte) {
	addresses := frame[l.ip+12 : l.ip+ipv4Len]
	udp := frame[l.ip+ipv4Len:]
	if l.v6 {
		addresses = frame[l.ip+8 : l.ip+ipv6Len]
		udp = frame[l.ip+ipv6Len:]
	}
	sum := checksum(addBytes(addBytes(uint64(protocolUDP)+uint64(len(udp)), addresses), udp))
	if sum == 0 {
		sum = 0xffff // 0 would mean none: RFC 768
	}
	binary.BigEndian.PutUint16(udp[6:], sum)
}

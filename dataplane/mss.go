package dataplane

import "encoding/binary"

const (
	tcpLen         = 20
	flagSYN        = 0x02
	optionEnd      = 0
	optionNop      = 1
	optionMSS      = 2
	optionMSSLen   = 4
	ipv4MinimumTCP = ipv4Len + tcpLen
	ipv6MinimumTCP = ipv6Len + tcpLen
)

// clampMSS lowers the maximum segment size that a TCP SYN announces to what a
// link of this MTU (bytes of inner IP packet) carries whole. Path MTU discovery
// would find it too, one lost segment later, and not at all where a firewall
// eats ICMP.
func (p *packet) clampMSS(mtu int) {
	protocol, at, ok := p.transport()
	if !ok || protocol != protocolTCP || len(p.b) < at+tcpLen {
		return
	}
	tcp := p.b[at:]
	header := int(tcp[12]>>4) * 4
	if tcp[13]&flagSYN == 0 || header < tcpLen || header > len(tcp) {
		return
	}
	most := mtu - ipv4MinimumTCP
	if p.v6 {
		most = mtu - ipv6MinimumTCP
	}
	for i := tcpLen; i < header; {
		switch tcp[i] {
		case optionEnd:
			return
		case optionNop:
			i++
			continue
		}
		if i+2 > header || tcp[i+1] < 2 || i+int(tcp[i+1]) > header {
			return
		}
		if tcp[i] == optionMSS && tcp[i+1] == optionMSSLen {
			lowerMSS(tcp, i+2, most)
			return
		}
		i += int(tcp[i+1])
	}
}

// lowerMSS rewrites the size at tcp[i:], which may lie at an odd offset: the
// checksum sees bytes in pairs counted from the start of the header.
func lowerMSS(tcp []byte, i, most int) {
	old := binary.BigEndian.Uint16(tcp[i:])
	if int(old) <= most || most < 0 {
		return
	}
	word := uint16(most)
	sum := binary.BigEndian.Uint16(tcp[16:])
	binary.BigEndian.PutUint16(tcp[i:], word)
	if i%2 == 1 {
		old, word = old>>8|old<<8, word>>8|word<<8
	}
	binary.BigEndian.PutUint16(tcp[16:], adjustChecksum(sum, old, word))
}

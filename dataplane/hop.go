package dataplane

import "encoding/binary"

// maxLinkHeader is the longest link-layer header a Hop can hold: two MAC
// addresses, two VLAN tags and the EtherType.
const maxLinkHeader = 6 + 6 + 4 + 4 + 2

// Hop is how a packet reaches its next hop on one interface: the link-layer
// header to put before the IP packet. It is a value; copies share nothing.
type Hop struct {
	header [maxLinkHeader]byte
	n      uint8 // length of the header, 0 in a Hop that leads nowhere
}

// NewHop makes the header of frames from src to dst, with the VLAN tags from
// the outermost to the innermost (tag protocol 0x8100, or 0x88a8 before it when
// there are two).
func NewHop(dst, src [6]byte, vlans ...uint16) Hop {
	if len(vlans) > 2 {
		panic("dataplane: a frame carries at most two VLAN tags")
	}
	var h Hop
	copy(h.header[0:], dst[:])
	copy(h.header[6:], src[:])
	h.n = 12
	for i, id := range vlans {
		protocol := uint16(0x8100)
		if i == 0 && len(vlans) == 2 {
			protocol = 0x88a8
		}
		binary.BigEndian.PutUint16(h.header[h.n:], protocol)
		binary.BigEndian.PutUint16(h.header[h.n+2:], id)
		h.n += 4
	}
	h.n += 2 // the EtherType is the packet's, written by put
	return h
}

// Len is the header's length in bytes, 0 when the hop leads nowhere.
func (h *Hop) Len() int { return int(h.n) }

// put writes the header before an IPv4 or IPv6 packet.
func (h *Hop) put(frame []byte, etherType uint16) {
	copy(frame, h.header[:h.n])
	binary.BigEndian.PutUint16(frame[h.n-2:], etherType)
}

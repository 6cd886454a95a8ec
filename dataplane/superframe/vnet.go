package superframe

import "encoding/binary"

// vnetLen is the length of a virtio-net header (struct virtio_net_hdr), which
// stands in front of each frame on the socket.
const vnetLen = 10

const (
	needsChecksum = 1 // the transport's checksum covers only the pseudo-header so far

	gsoNone = 0
	gsoTCP4 = 1
	gsoTCP6 = 4
	gsoUDP  = 5    // UDP_L4: datagrams of one size
	gsoECN  = 0x80 // beside one of TCP: the first segment has CWR
)

// vnet is a virtio-net header: what a frame's bytes do not say about it.
type vnet struct {
	flags, gso     byte
	headerLen      uint16
	size           uint16 // bytes of payload of each segment but the last
	start, inStart uint16 // where the checksum begins to cover, and where it stands behind that
}

// Between this machine's kernel and us the header is in this machine's order.
func (v *vnet) read(b *[vnetLen]byte) {
	v.flags, v.gso = b[0], b[1]
	v.headerLen = binary.NativeEndian.Uint16(b[2:])
	v.size = binary.NativeEndian.Uint16(b[4:])
	v.start = binary.NativeEndian.Uint16(b[6:])
	v.inStart = binary.NativeEndian.Uint16(b[8:])
}

func (v *vnet) write(b *[vnetLen]byte) {
	b[0], b[1] = v.flags, v.gso
	binary.NativeEndian.PutUint16(b[2:], v.headerLen)
	binary.NativeEndian.PutUint16(b[4:], v.size)
	binary.NativeEndian.PutUint16(b[6:], v.start)
	binary.NativeEndian.PutUint16(b[8:], v.inStart)
}

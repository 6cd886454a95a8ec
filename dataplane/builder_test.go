package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// ip says what stands in an IP header; the family is the addresses'.
type ip struct {
	src, dst netip.Addr
	ttl      byte // 64 unless told
	ecn      byte
	protocol byte
	id       uint16
	frag     uint16 // IPv4: flags and offset
	options  []byte // IPv4 options, or IPv6 extension headers whose first type is protocol
}

// around builds the packet with all checksums but the transport's.
func (h ip) around(body []byte) []byte {
	if h.ttl == 0 {
		h.ttl = 64
	}
	if h.src.Is4() {
		b := make([]byte, 20, 20+len(h.options)+len(body))
		b = append(append(b, h.options...), body...)
		b[0], b[1], b[8], b[9] = 0x40|byte((20+len(h.options))/4), h.ecn, h.ttl, h.protocol
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[4:], h.id)
		binary.BigEndian.PutUint16(b[6:], h.frag)
		copy(b[12:], h.src.AsSlice())
		copy(b[16:], h.dst.AsSlice())
		binary.BigEndian.PutUint16(b[10:], plainSum(b[:20+len(h.options)]))
		return b
	}
	b := make([]byte, 40, 40+len(h.options)+len(body))
	b = append(append(b, h.options...), body...)
	b[0], b[1], b[6], b[7] = 0x60, h.ecn<<4, h.protocol, h.ttl
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	copy(b[8:], h.src.AsSlice())
	copy(b[24:], h.dst.AsSlice())
	return b
}

// plainSum is RFC 1071 as plainly as it can be written: the judge of all
// checksums in these tests.
func plainSum(parts ...[]byte) uint16 {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	if len(all)%2 == 1 {
		all = append(all, 0)
	}
	sum := 0
	for i := 0; i < len(all); i += 2 {
		sum += int(all[i])<<8 | int(all[i+1])
		if sum > 0xffff {
			sum -= 0xffff
		}
	}
	return ^uint16(sum)
}

// pseudo is the pseudo-header of either family.
func pseudo(src, dst netip.Addr, protocol byte, length int) []byte {
	b := append(src.AsSlice(), dst.AsSlice()...)
	if src.Is4() {
		return append(b, 0, protocol, byte(length>>8), byte(length))
	}
	return append(b, 0, 0, byte(length>>8), byte(length), 0, 0, 0, protocol)
}

func udp(src, dst netip.Addr, payload []byte) []byte {
	b := append([]byte{0x12, 0x34, 0x15, 0xb3, 0, 0, 0, 0}, payload...)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	sum := plainSum(pseudo(src, dst, 17, len(b)), b)
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b[6:], sum)
	return b
}

// udpPacket is a whole UDP packet of either family.
func udpPacket(src, dst netip.Addr, payload []byte) []byte {
	return ip{src: src, dst: dst, protocol: 17}.around(udp(src, dst, payload))
}

// tcp is a segment with these flags and options; options are padded by the
// caller to a multiple of four.
func tcp(src, dst netip.Addr, flags byte, options, payload []byte) []byte {
	b := make([]byte, 20, 20+len(options)+len(payload))
	b = append(append(b, options...), payload...)
	copy(b, []byte{0xc0, 0x01, 0x15, 0xb3, 1, 2, 3, 4, 5, 6, 7, 8, byte((20 + len(options)) / 4 << 4), flags, 0xff, 0xff})
	binary.BigEndian.PutUint16(b[16:], plainSum(pseudo(src, dst, 6, len(b)), b))
	return b
}

func tcpPacket(src, dst netip.Addr, flags byte, options, payload []byte) []byte {
	return ip{src: src, dst: dst, protocol: 6}.around(tcp(src, dst, flags, options, payload))
}

// frameOf puts a link-layer header before an IP packet.
func frameOf(dst, src [6]byte, tags []uint16, packet []byte) []byte {
	b := append(bytes.Clone(dst[:]), src[:]...)
	for i, tag := range tags {
		protocol := uint16(0x8100)
		if i == 0 && len(tags) == 2 {
			protocol = 0x88a8
		}
		b = binary.BigEndian.AppendUint16(b, protocol)
		b = binary.BigEndian.AppendUint16(b, tag)
	}
	etherType := uint16(0x0800)
	if len(packet) > 0 && packet[0]>>4 == 6 {
		etherType = 0x86dd
	}
	return append(binary.BigEndian.AppendUint16(b, etherType), packet...)
}

// packetOf takes the link-layer header off, having checked all of it.
func packetOf(t testing.TB, frame []byte, dst, src [6]byte, tags []uint16) []byte {
	t.Helper()
	n := 14 + 4*len(tags)
	if len(frame) < n+20 {
		t.Fatalf("frame of %d bytes: %x", len(frame), frame)
	}
	if want := frameOf(dst, src, tags, frame[n:])[:n]; !bytes.Equal(frame[:n], want) {
		t.Fatalf("link-layer header %x, want %x", frame[:n], want)
	}
	return frame[n:]
}

// upper finds the transport header of packets without IPv6 extension headers.
func upper(b []byte) (protocol byte, src, dst netip.Addr, body []byte) {
	if b[0]>>4 == 4 {
		src, _ = netip.AddrFromSlice(b[12:16])
		dst, _ = netip.AddrFromSlice(b[16:20])
		return b[9], src, dst, b[int(b[0]&15)*4:]
	}
	src, _ = netip.AddrFromSlice(b[8:24])
	dst, _ = netip.AddrFromSlice(b[24:40])
	return b[6], src, dst, b[40:]
}

// sound fails the test unless lengths and all checksums of a packet are right.
// UDP over IPv4 may go without.
func sound(t testing.TB, b []byte) {
	t.Helper()
	if b[0]>>4 == 4 {
		if n := int(binary.BigEndian.Uint16(b[2:])); n != len(b) {
			t.Fatalf("IPv4 total length %d in a packet of %d bytes", n, len(b))
		}
		if s := plainSum(b[:int(b[0]&15)*4]); s != 0 {
			t.Fatalf("IPv4 header checksum is off by %#x: %x", s, b)
		}
		if binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
			return // a fragment holds no whole segment
		}
	} else if n := int(binary.BigEndian.Uint16(b[4:])); n != len(b)-40 {
		t.Fatalf("IPv6 payload length %d in a packet of %d bytes", n, len(b))
	}
	protocol, src, dst, body := upper(b)
	switch protocol {
	case 6, 17, 58:
		if protocol == 17 {
			if n := int(binary.BigEndian.Uint16(body[4:])); n != len(body) {
				t.Fatalf("UDP length %d of %d bytes", n, len(body))
			}
			if src.Is4() && body[6] == 0 && body[7] == 0 {
				return
			}
		}
		if s := plainSum(pseudo(src, dst, protocol, len(body)), body); s != 0 {
			t.Fatalf("transport checksum of protocol %d is off by %#x", protocol, s)
		}
	case 1:
		if s := plainSum(body); s != 0 {
			t.Fatalf("ICMP checksum is off by %#x", s)
		}
	}
}

// same fails the test unless got is what was sent, after so many routers.
func same(t testing.TB, got, sent []byte, routers byte) {
	t.Helper()
	if want := routed(sent, routers); !bytes.Equal(got, want) {
		t.Fatalf("the packet was changed on its way:\n got %x\nwant %x", got, want)
	}
}

// routed is a packet after so many routers, its header checksum computed anew.
func routed(sent []byte, routers byte) []byte {
	b := bytes.Clone(sent)
	if b[0]>>4 == 6 {
		b[7] -= routers
		return b
	}
	b[8] -= routers
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], plainSum(b[:int(b[0]&15)*4]))
	return b
}

// padded is a payload of n bytes in which every position can be told.
func padded(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*31 + i>>8)
	}
	return b
}

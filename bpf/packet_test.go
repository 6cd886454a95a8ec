package bpf

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
)

// Protocol numbers of the packets that the tests build.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoNone     = 59
	protoDstOpts  = 60
	protoSCTP     = 132
)

const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeIPv6 = 0x86dd
	typeVLAN = 0x8100
	typeQinQ = 0x88a8
)

// What XDP programs answer.
const (
	xdpDrop     = 1
	xdpPass     = 2
	xdpRedirect = 4
)

// ethernet puts a payload in a frame; tags are the EtherTypes of the VLAN tags,
// outermost first.
func ethernet(payload []byte, etherType uint16, tags ...uint16) []byte {
	frame := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for i, tag := range tags {
		frame = binary.BigEndian.AppendUint16(frame, tag)
		frame = binary.BigEndian.AppendUint16(frame, uint16(100+i))
	}
	frame = binary.BigEndian.AppendUint16(frame, etherType)
	return append(frame, payload...)
}

// ipv4 is a header, its options and a payload.
type ipv4 struct {
	src, dst string
	protocol uint8
	options  []byte
	fragment uint16 // flags and offset as they stand in the header
	payload  []byte
}

func (h ipv4) bytes() []byte {
	length := 20 + len(h.options)
	b := []byte{0x40 | uint8(length/4), 0}
	b = binary.BigEndian.AppendUint16(b, uint16(length+len(h.payload)))
	b = append(b, 0, 1)
	b = binary.BigEndian.AppendUint16(b, h.fragment)
	b = append(b, 64, h.protocol, 0, 0)
	b = append(b, netip.MustParseAddr(h.src).AsSlice()...)
	b = append(b, netip.MustParseAddr(h.dst).AsSlice()...)
	b = append(b, h.options...)
	return append(b, h.payload...)
}

// ipv6 is a header and a payload; next is the protocol of the payload.
type ipv6 struct {
	src, dst string
	next     uint8
	payload  []byte
}

func (h ipv6) bytes() []byte {
	b := []byte{0x60, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.payload)))
	b = append(b, h.next, 64)
	b = append(b, netip.MustParseAddr(h.src).AsSlice()...)
	b = append(b, netip.MustParseAddr(h.dst).AsSlice()...)
	return append(b, h.payload...)
}

// extension is an IPv6 extension header of 8 bytes and eights times 8 more.
func extension(next uint8, eights int, payload []byte) []byte {
	return append(append([]byte{next, uint8(eights)}, make([]byte, 6+8*eights)...), payload...)
}

// fragment is an IPv6 fragment header; offset includes the flag for more.
func fragment(next uint8, offset uint16, payload []byte) []byte {
	b := []byte{next, 0}
	b = binary.BigEndian.AppendUint16(b, offset)
	return append(append(b, 0, 0, 0, 1), payload...)
}

func udp(src, dst uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

const (
	tcpSYN = 0x02
	tcpACK = 0x10
)

func tcp(src, dst uint16, flags uint8) []byte {
	b := binary.BigEndian.AppendUint16(nil, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	b = append(b, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags)
	return append(b, 0xff, 0xff, 0, 0, 0, 0)
}

// sctp is the common header alone.
func sctp(src, dst uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	return append(b, make([]byte, 8)...)
}

// record is a QZMQ data record with a payload of so many bytes.
func record(kind uint8, session uint32, payload int) []byte {
	b := []byte{kind, 0, 0, 1}
	b = binary.BigEndian.AppendUint32(b, session)
	b = binary.BigEndian.AppendUint64(b, 1)
	return append(b, make([]byte, payload+16)...)
}

// run sends a frame through the program and demands that it leaves by this
// exit, that the verdict is what the exit says, and that no other counter moves.
func run(t *testing.T, s *steering, name string, frame []byte, exit string) {
	t.Helper()
	before, err := s.Counters()
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := s.program.Run(&ebpf.RunOptions{Data: frame})
	if err != nil {
		t.Fatalf("%s: run program: %v", name, err)
	}
	after, err := s.Counters()
	if err != nil {
		t.Fatal(err)
	}

	i := slices.IndexFunc(before, func(c Counter) bool { return c.Name == exit })
	if i < 0 {
		t.Fatalf("%s: the program has no exit %q", name, exit)
	}
	before[i].Packets++
	before[i].Bytes += uint64(len(frame))
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("%s: counter is %+v, want %+v", name, after[i], before[i])
		}
	}

	want := uint32(xdpPass)
	switch {
	case exit == "redirected":
		want = xdpRedirect
	case before[i].Drop:
		want = xdpDrop
	}
	if verdict != want {
		t.Errorf("%s: verdict is %d, want %d for %s", name, verdict, want, exit)
	}
}

// checkExits demands that the names and the verdicts of the exits are exactly
// these: dashboards and alerts are written against them.
func checkExits(t *testing.T, s *steering, passed, dropped []string) {
	t.Helper()
	counters, err := s.Counters()
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(passed, []string{"redirected"}, dropped)
	if len(counters) != len(want) {
		t.Fatalf("there are %d exits, want %d", len(counters), len(want))
	}
	for i, counter := range counters {
		if want := (Counter{Name: want[i], Drop: i > len(passed)}); counter != want {
			t.Errorf("exit %d is %+v, want %+v", i, counter, want)
		}
	}
}

// setLength writes a length into the IP header of an untagged frame.
func setLength(frame []byte, length int) []byte {
	frame = slices.Clone(frame)
	if binary.BigEndian.Uint16(frame[12:]) == typeIPv4 {
		binary.BigEndian.PutUint16(frame[16:], uint16(length))
	} else {
		binary.BigEndian.PutUint16(frame[18:], uint16(length-40))
	}
	return frame
}

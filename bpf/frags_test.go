package bpf

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// A frame in several buffers is read in its first one only. Whatever lies
// behind that is unknown, and the unknown is treated as protected inside and
// dropped outside.

// firstBuffer is how much of a frame the kernel's test run puts into the first
// buffer: a page less headroom and the list of buffers. Real drivers put less.
const firstBuffer = 4096 - 256 - 320

// behind returns an IPv6 payload with a chain of options of so many bytes, a
// multiple of 8, in front of next.
func behind(bytes int, next uint8, payload []byte) []byte {
	for {
		eights := min(bytes/8, 256)
		payload = extension(next, eights-1, payload)
		if bytes -= eights * 8; bytes == 0 {
			return payload
		}
		next = protoDstOpts
	}
}

func TestInsidePortsBehindTheFirstBuffer(t *testing.T) {
	in := newInside(t, insideRoutes()...)
	const options = (firstBuffer - 14 - 40) &^ 7 // ends 2 bytes before the buffer does
	for _, c := range []struct {
		name  string
		bytes int
		exit  string
	}{
		{"in front of the end", options - 8, "other_dropped"},
		{"across the end", options, "no_socket"},
		{"behind the end", options + 8, "no_socket"},
		{"chain across the end", options + 2048, "no_socket"},
	} {
		other := behind(c.bytes, protoUDP, udp(40000, 80, make([]byte, 5000)))
		run(t, &in.steering, "ports of no service "+c.name, to6(drop6, protoHopByHop, other), c.exit)
	}
}

func TestOutsideTransportBehindTheFirstBuffer(t *testing.T) {
	out := newOutside(t, outsideBoth())
	if err := out.AddSession(session); err != nil {
		t.Fatal(err)
	}
	const options = (firstBuffer - 14 - 40) &^ 7
	for _, c := range []struct {
		name  string
		bytes int
		exit  string
	}{
		{"in front of the end", options - 32, "no_socket"},
		{"record across the end", options - 16, "short_record"},
		{"ports across the end", options, "malformed"},
		{"behind the end", options + 8, "malformed"},
		{"chain across the end", options + 2048, "unreadable"},
	} {
		good := behind(c.bytes, protoUDP, udp(9999, ourPort, record(0x10, session, 5000)))
		run(t, &out.steering, c.name, from6(peer6, protoHopByHop, good), c.exit)
	}
}

// First buffers that end in the middle of any header. Only kernels since 6.18
// run a program on such a frame at our wish; on older ones the tests above, which
// no kernel refuses, have to do.
func TestShortFirstBuffer(t *testing.T) {
	in := newInside(t, insideRoutes()...)
	out := newOutside(t, outsideBoth())
	if err := out.AddSession(session); err != nil {
		t.Fatal(err)
	}
	other := udp(40000, 80, make([]byte, 5000))
	good := udp(9999, ourPort, record(0x10, session, 5000))
	syn := append(tcp(40000, ourPort, tcpSYN), make([]byte, 5000)...)
	for _, c := range []struct {
		name     string
		s        *steering
		frame    []byte
		exits    []string // in the order they come in as the first buffer grows
		readable int      // bytes from which the last of them is right
	}{
		{"inside v4", &in.steering, to4(drop4, protoUDP, other), []string{"malformed", "no_socket", "other_dropped"}, 38},
		{"inside v6", &in.steering, to6(drop6, protoUDP, other), []string{"malformed", "no_socket", "other_dropped"}, 58},
		{"inside v6 chain", &in.steering, to6(drop6, protoHopByHop, behind(16, protoUDP, other)), []string{"malformed", "no_socket", "other_dropped"}, 74},
		{"inside two tags", &in.steering, ethernet(to4(drop4, protoUDP, other)[14:], typeIPv4, typeQinQ, typeVLAN),
			[]string{"malformed", "no_socket", "other_dropped"}, 46},
		{"inside all v4", &in.steering, to4(all4, protoUDP, other), []string{"malformed", "no_socket"}, 34},
		{"outside v4", &out.steering, from4(peer4, protoUDP, good), []string{"malformed", "short_record", "no_socket"}, 58},
		{"outside v6 chain", &out.steering, from6(peer6, protoHopByHop, behind(16, protoUDP, good)),
			[]string{"malformed", "unreadable", "malformed", "short_record", "no_socket"}, 94},
		{"outside SYN", &out.steering, from4(peer4, protoTCP, syn), []string{"malformed", "control_syn"}, 54},
	} {
		stage := 0
		for first := range 110 {
			got, err := exitOf(c.s, c.frame, first)
			if errors.Is(err, unix.EINVAL) {
				t.Log("this kernel has no test run with a short first buffer")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for stage < len(c.exits)-1 && got != c.exits[stage] {
				stage++
			}
			if got != c.exits[stage] || (got == c.exits[len(c.exits)-1] && stage == len(c.exits)-1) != (first >= c.readable) {
				t.Errorf("%s with %d bytes in the first buffer: exit %s", c.name, first, got)
			}
		}
		if stage != len(c.exits)-1 {
			t.Errorf("%s came only as far as %s", c.name, c.exits[stage])
		}
	}
}

// exitOf runs the program on a frame with so many bytes in its first buffer.
func exitOf(s *steering, frame []byte, first int) (string, error) {
	before, err := s.Counters()
	if err != nil {
		return "", err
	}
	context := struct{ Data, DataEnd, DataMeta, Ifindex, Queue, Egress uint32 }{DataEnd: uint32(first)}
	verdict, err := s.program.Run(&ebpf.RunOptions{Data: frame, Context: context})
	if err != nil {
		return "", err
	}
	after, err := s.Counters()
	if err != nil {
		return "", err
	}
	for i := range after {
		if after[i].Packets == before[i].Packets+1 {
			if dropped := verdict == xdpDrop; dropped != after[i].Drop {
				return "", fmt.Errorf("verdict is %d for %s", verdict, after[i].Name)
			}
			return after[i].Name, nil
		}
	}
	return "", errors.New("no exit counted the packet")
}

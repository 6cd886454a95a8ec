package bpf

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

const (
	host4, host6 = "10.1.0.5", "fd00:1::5"

	// One destination for each kind of route below.
	all4, all6     = "10.2.0.9", "fd00:2::9"
	local4, local6 = "10.2.0.1", "fd00:2::1"
	pass4, pass6   = "10.3.0.9", "fd00:3::9"
	drop4, drop6   = "10.4.0.9", "fd00:4::9"
	clear4, clear6 = "192.0.2.9", "2001:db8::9"
)

func insideRoutes() []Route {
	services := []Range{{5555, 5560}, {65535, 65535}, {0, 0}, {7000, 7000}}
	return []Route{
		{Prefix: netip.MustParsePrefix("10.2.0.0/16")},
		{Prefix: netip.MustParsePrefix("fd00:2::/32")},
		{Prefix: netip.MustParsePrefix(local4 + "/32"), Local: true},
		{Prefix: netip.MustParsePrefix(local6 + "/128"), Local: true},
		{Prefix: netip.MustParsePrefix("10.3.0.0/24"), Services: services},
		{Prefix: netip.MustParsePrefix("fd00:3::/64"), Services: services},
		{Prefix: netip.MustParsePrefix("10.4.0.0/24"), Services: services, OtherDrop: true},
		{Prefix: netip.MustParsePrefix("fd00:4::/64"), Services: services, OtherDrop: true},
	}
}

func newInside(t *testing.T, routes ...Route) *Inside {
	t.Helper()
	in, err := LoadInside()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := in.SetRoutes(routes); err != nil {
		t.Fatal(err)
	}
	return in
}

func to4(dst string, protocol uint8, payload []byte) []byte {
	return ethernet(ipv4{src: host4, dst: dst, protocol: protocol, payload: payload}.bytes(), typeIPv4)
}

func to6(dst string, next uint8, payload []byte) []byte {
	return ethernet(ipv6{src: host6, dst: dst, next: next, payload: payload}.bytes(), typeIPv6)
}

func TestInsideExits(t *testing.T) {
	checkExits(t, &newInside(t).steering,
		[]string{"not_ip", "no_route", "local", "other_passed"},
		[]string{"no_socket", "other_dropped", "malformed", "tags_too_deep"})
}

// decision is a frame and the exit that it leaves steer_inside by, while no
// socket is registered: what is protected shows as no_socket, and is dropped.
type decision struct {
	name  string
	frame []byte
	exit  string
}

// insideDecisions are those with the routes of insideRoutes.
func insideDecisions() []decision {
	service, other := udp(40000, 5556, nil), udp(40000, 80, nil)
	options := []byte{1, 1, 1, 1, 1, 1, 1, 0}

	four := func(h ipv4) []byte { h.src = host4; return ethernet(h.bytes(), typeIPv4) }
	patch := func(frame []byte, at int, value byte) []byte {
		frame = slices.Clone(frame)
		frame[at] = value
		return frame
	}
	nested := func(depth int) []byte {
		payload := other
		next := uint8(protoUDP)
		for range depth {
			payload, next = extension(next, 0, payload), protoDstOpts
		}
		return to6(pass6, next, payload)
	}

	return []decision{
		{"arp", ethernet(make([]byte, 28), typeARP), "not_ip"},
		{"nothing but ethernet", ethernet(nil, 0x1234), "not_ip"},

		{"v4 without route", to4(clear4, protoUDP, service), "no_route"},
		{"v6 without route", to6(clear6, protoUDP, service), "no_route"},
		{"v4 local inside protected", to4(local4, protoUDP, service), "local"},
		{"v6 local inside protected", to6(local6, protoUDP, service), "local"},
		{"v4 beside local", to4("10.2.0.2", protoUDP, other), "no_socket"},
		{"v6 beside local", to6("fd00:2::2", protoUDP, other), "no_socket"},
		{"v4 all, without ports", to4(all4, protoICMP, make([]byte, 8)), "no_socket"},
		{"v6 all, without ports", to6(all6, protoNone, nil), "no_socket"},
		{"v4 all, empty", to4(all4, protoUDP, nil), "no_socket"},

		{"v4 service, UDP", to4(pass4, protoUDP, service), "no_socket"},
		{"v4 service, TCP", to4(pass4, protoTCP, tcp(40000, 5556, tcpSYN)), "no_socket"},
		{"v4 service, SCTP", to4(pass4, protoSCTP, sctp(40000, 5556)), "no_socket"},
		{"v4 service answers", to4(pass4, protoTCP, tcp(5556, 40000, tcpACK)), "no_socket"},
		{"v6 service, TCP", to6(pass6, protoTCP, tcp(40000, 5556, tcpSYN)), "no_socket"},
		{"v6 service answers", to6(pass6, protoUDP, udp(5556, 40000, nil)), "no_socket"},
		{"v4 other passes", to4(pass4, protoUDP, other), "other_passed"},
		{"v6 other passes", to6(pass6, protoUDP, other), "other_passed"},
		{"v4 other drops", to4(drop4, protoUDP, other), "other_dropped"},
		{"v6 other drops", to6(drop6, protoUDP, other), "other_dropped"},
		{"v4 service where others drop", to4(drop4, protoUDP, service), "no_socket"},
		{"v4 without ports passes", to4(pass4, protoICMP, service), "other_passed"},
		{"v4 without ports drops", to4(drop4, protoICMP, service), "other_dropped"},
		{"v6 without ports passes", to6(pass6, protoNone, nil), "other_passed"},

		{"one tag", ethernet(four(ipv4{dst: pass4, protocol: protoUDP, payload: service})[14:], typeIPv4, typeVLAN), "no_socket"},
		{"one tag, other", ethernet(to4(pass4, protoUDP, other)[14:], typeIPv4, typeVLAN), "other_passed"},
		{"provider tag", ethernet(to4(pass4, protoUDP, service)[14:], typeIPv4, typeQinQ), "no_socket"},
		{"two tags", ethernet(to4(pass4, protoUDP, service)[14:], typeIPv4, typeQinQ, typeVLAN), "no_socket"},
		{"two tags v6", ethernet(to6(pass6, protoUDP, service)[14:], typeIPv6, typeVLAN, typeVLAN), "no_socket"},
		{"two tags v6, other", ethernet(to6(pass6, protoUDP, other)[14:], typeIPv6, typeVLAN, typeVLAN), "other_passed"},
		{"two tags, not IP", ethernet(make([]byte, 28), typeARP, typeQinQ, typeVLAN), "not_ip"},
		{"three tags", ethernet(to4(all4, protoUDP, service)[14:], typeIPv4, typeQinQ, typeVLAN, typeVLAN), "tags_too_deep"},

		{"options, service", four(ipv4{dst: pass4, protocol: protoUDP, options: options, payload: service}), "no_socket"},
		{"options, other", four(ipv4{dst: pass4, protocol: protoUDP, options: options, payload: other}), "other_passed"},
		{"most options, other", four(ipv4{dst: pass4, protocol: protoUDP, options: make([]byte, 40), payload: other}), "other_passed"},
		{"header shorter than a header", patch(to4(pass4, protoUDP, other), 14, 0x44), "malformed"},
		{"header longer than the packet", patch(to4(pass4, protoUDP, nil), 14, 0x46), "malformed"},
		{"version 5 in an IPv4 frame", patch(to4(pass4, protoUDP, other), 14, 0x55), "malformed"},
		{"version 4 in an IPv6 frame", patch(to6(pass6, protoUDP, other), 14, 0x40), "malformed"},
		{"v4 longer than the frame", setLength(to4(clear4, protoUDP, other), 29), "malformed"},
		{"v6 longer than the frame", setLength(to6(clear6, protoUDP, other), 49), "malformed"},
		{"v4 of no length", setLength(to4(all4, protoUDP, other), 0), "malformed"},

		{"v4 first fragment, service", four(ipv4{dst: pass4, protocol: protoUDP, fragment: 0x2000, payload: service}), "no_socket"},
		{"v4 first fragment, other", four(ipv4{dst: pass4, protocol: protoUDP, fragment: 0x2000, payload: other}), "other_passed"},
		{"v4 later fragment", four(ipv4{dst: drop4, protocol: protoUDP, fragment: 0x0001, payload: other}), "no_socket"},
		{"v4 later fragment without ports", four(ipv4{dst: drop4, protocol: protoICMP, fragment: 0x3fff, payload: other}), "no_socket"},
		{"v4 later fragment, no route", four(ipv4{dst: clear4, protocol: protoUDP, fragment: 0x0001, payload: service}), "no_route"},
		{"v4 do not fragment", four(ipv4{dst: pass4, protocol: protoUDP, fragment: 0x4000, payload: other}), "other_passed"},

		{"v6 first fragment, service", to6(pass6, protoFragment, fragment(protoUDP, 1, service)), "no_socket"},
		{"v6 first fragment, other", to6(pass6, protoFragment, fragment(protoUDP, 1, other)), "other_passed"},
		{"v6 atomic fragment, other", to6(pass6, protoFragment, fragment(protoUDP, 0, other)), "other_passed"},
		{"v6 later fragment", to6(drop6, protoFragment, fragment(protoUDP, 8, other)), "no_socket"},
		{"v6 hop by hop, service", to6(pass6, protoHopByHop, extension(protoUDP, 0, service)), "no_socket"},
		{"v6 hop by hop, other", to6(pass6, protoHopByHop, extension(protoUDP, 0, other)), "other_passed"},
		{"v6 routing, other", to6(pass6, protoRouting, extension(protoTCP, 2, tcp(1, 2, 0))), "other_passed"},
		{"v6 routing, service", to6(pass6, protoRouting, extension(protoTCP, 2, tcp(1, 5555, 0))), "no_socket"},
		{"v6 longest extension, other", to6(pass6, protoDstOpts, extension(protoUDP, 255, other)), "other_passed"},
		{"v6 longest extension, service", to6(pass6, protoDstOpts, extension(protoUDP, 255, service)), "no_socket"},
		{"v6 extension longer than the packet", to6(pass6, protoDstOpts, extension(protoUDP, 0, nil)[:7]), "no_socket"},
		{"v6 extension says more than there is", to6(pass6, protoDstOpts, patch(extension(protoUDP, 0, other), 1, 9)), "no_socket"},
		{"v6 all the extensions there are", to6(pass6, protoHopByHop, extension(protoDstOpts, 0, extension(protoRouting, 1,
			extension(protoFragment, 0, fragment(protoDstOpts, 1, extension(protoUDP, 0, other)))))), "other_passed"},
		{"v6 as deep as is read", nested(8), "other_passed"},
		{"v6 too deep", nested(9), "no_socket"},
		{"v4 authentication header", to4(drop4, protoAH, other), "no_socket"},
		{"v6 authentication header", to6(drop6, protoDstOpts, extension(protoAH, 0, other)), "no_socket"},
	}
}

func TestInsideDecision(t *testing.T) {
	in := newInside(t, insideRoutes()...)
	for _, test := range insideDecisions() {
		run(t, &in.steering, test.name, test.frame, test.exit)
	}
}

func TestInsideServiceEdges(t *testing.T) {
	in := newInside(t, insideRoutes()...)
	served := map[uint16]bool{0: true, 5555: true, 5556: true, 5560: true, 7000: true, 65535: true}

	for _, port := range []uint16{0, 1, 63, 64, 5554, 5555, 5556, 5560, 5561, 6999, 7000, 7001, 65534, 65535} {
		exit := "other_passed"
		if served[port] {
			exit = "no_socket"
		}
		run(t, &in.steering, fmt.Sprintf("to port %d", port), to4(pass4, protoTCP, tcp(40000, port, 0)), exit)
		run(t, &in.steering, fmt.Sprintf("from port %d", port), to6(pass6, protoTCP, tcp(port, 40000, 0)), exit)
	}
}

// A frame that ends before the IP packet does is malformed, wherever it ends.
func TestInsideTruncatedFrame(t *testing.T) {
	in := newInside(t, insideRoutes()...)
	payload := udp(40000, 5556, make([]byte, 20))
	frames := map[string][]byte{
		"v4":          to4(pass4, protoUDP, payload),
		"v4 no route": to4(clear4, protoUDP, payload),
		"v4 options":  ethernet(ipv4{src: host4, dst: all4, protocol: protoUDP, options: make([]byte, 12), payload: payload}.bytes(), typeIPv4),
		"v6":          to6(pass6, protoUDP, payload),
		"v6 chain":    to6(all6, protoHopByHop, extension(protoFragment, 1, fragment(protoUDP, 1, payload))),
		"two tags v4": ethernet(to4(pass4, protoUDP, payload)[14:], typeIPv4, typeQinQ, typeVLAN),
		"two tags v6": ethernet(to6(pass6, protoUDP, payload)[14:], typeIPv6, typeVLAN, typeVLAN),
	}
	for name, frame := range frames {
		for length := 14; length < len(frame); length++ {
			run(t, &in.steering, fmt.Sprintf("%s cut to %d", name, length), frame[:length], "malformed")
		}
	}
}

// A packet that says truthfully that it ends early has no ports to read from
// some length on, and then may belong to a service. Padding behind it, here with
// the ports of no service, is not part of it.
func TestInsideShortPacket(t *testing.T) {
	in := newInside(t, insideRoutes()...)
	other := udp(40000, 80, make([]byte, 4))
	tests := []struct {
		name     string
		frame    []byte
		header   int // bytes of IP header
		readable int // bytes of IP packet from which the ports can be read
	}{
		{"v4", to4(drop4, protoUDP, other), 20, 24},
		{"v4 options", ethernet(ipv4{src: host4, dst: drop4, protocol: protoTCP, options: make([]byte, 12), payload: other}.bytes(), typeIPv4), 32, 36},
		{"v6", to6(drop6, protoUDP, other), 40, 44},
		{"v6 chain", to6(drop6, protoHopByHop, extension(protoFragment, 1, fragment(protoUDP, 1, other))), 40, 40 + 16 + 8 + 4},
	}
	for _, test := range tests {
		for length := test.header; length <= len(test.frame)-14; length++ {
			exit := "other_dropped"
			if length < test.readable {
				exit = "no_socket"
			}
			frame := setLength(test.frame, length)
			run(t, &in.steering, fmt.Sprintf("%s of %d, padded", test.name, length), frame, exit)
			run(t, &in.steering, fmt.Sprintf("%s of %d", test.name, length), frame[:14+length], exit)
		}
	}
}

// A jumbo frame arrives in several buffers; its length is still known.
func TestInsideJumboFrame(t *testing.T) {
	in := newInside(t, insideRoutes()...)
	frame := to4(pass4, protoUDP, udp(40000, 80, make([]byte, 8900)))

	run(t, &in.steering, "jumbo, other", frame, "other_passed")
	run(t, &in.steering, "jumbo, service", to6(pass6, protoUDP, udp(40000, 5555, make([]byte, 8900))), "no_socket")
	run(t, &in.steering, "jumbo, cut", frame[:len(frame)-1], "malformed")
}

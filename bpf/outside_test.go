package bpf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const (
	peer4, peer6 = "192.0.2.2", "2001:db8::2"
	our4, our6   = "192.0.2.1", "2001:db8::1"
	ourPort      = 5580
	session      = 0x01020304
)

func newOutside(t *testing.T, cfg OutsideConfig) *Outside {
	t.Helper()
	config, err := cfg.compile()
	if err != nil {
		t.Fatal(err)
	}
	return newSlowOutside(t, config)
}

// newSlowOutside takes a compiled configuration, whose tokens can come back as
// slowly as a test on a busy machine needs it.
func newSlowOutside(t *testing.T, config outsideConfig) *Outside {
	t.Helper()
	out, err := loadSteerOutside(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	})
	return out
}

func outsideBoth() OutsideConfig {
	return OutsideConfig{
		Addresses: []netip.Addr{netip.MustParseAddr(our4), netip.MustParseAddr(our6)},
		Port:      ourPort,
	}
}

func from4(src string, protocol uint8, payload []byte) []byte {
	return ethernet(ipv4{src: src, dst: our4, protocol: protocol, payload: payload}.bytes(), typeIPv4)
}

func from6(src string, next uint8, payload []byte) []byte {
	return ethernet(ipv6{src: src, dst: our6, next: next, payload: payload}.bytes(), typeIPv6)
}

func TestOutsideExits(t *testing.T) {
	checkExits(t, &newOutside(t, outsideBoth()).steering,
		[]string{"not_ip", "not_ours", "later_fragment", "control", "control_syn"},
		[]string{"no_socket", "malformed", "tags_too_deep", "unreadable", "fragment", "bad_length",
			"short_record", "bad_type", "unknown_session", "syn_rate_limited"})
}

func TestOutsideDecision(t *testing.T) {
	out := newOutside(t, outsideBoth())
	if err := out.AddSession(session); err != nil {
		t.Fatal(err)
	}
	for _, test := range outsideDecisions() {
		run(t, &out.steering, test.name, test.frame, test.exit)
	}
}

// outsideDecisions are those of outsideBoth with one session.
func outsideDecisions() []decision {
	good := udp(9999, ourPort, record(0x10, session, 100))
	syn := tcp(40000, ourPort, tcpSYN)
	patch := func(data []byte, at int, value byte) []byte {
		data = slices.Clone(data)
		data[at] = value
		return data
	}
	nested := func(depth int) []byte {
		payload := good
		next := uint8(protoUDP)
		for range depth {
			payload, next = extension(next, 0, payload), protoDstOpts
		}
		return from6(peer6, next, payload)
	}
	four := func(h ipv4) []byte { h.src, h.dst = peer4, our4; return ethernet(h.bytes(), typeIPv4) }

	return []decision{
		{"arp", ethernet(make([]byte, 28), typeARP), "not_ip"},
		{"three tags", ethernet(from4(peer4, protoUDP, good)[14:], typeIPv4, typeVLAN, typeVLAN, typeVLAN), "tags_too_deep"},
		{"v4 version", patch(from4(peer4, protoUDP, good), 14, 0x65), "malformed"},

		{"v4 record", from4(peer4, protoUDP, good), "no_socket"},
		{"v6 record", from6(peer6, protoUDP, good), "no_socket"},
		{"one tag", ethernet(from4(peer4, protoUDP, good)[14:], typeIPv4, typeVLAN), "no_socket"},
		{"two tags", ethernet(from6(peer6, protoUDP, good)[14:], typeIPv6, typeQinQ, typeVLAN), "no_socket"},
		{"options", four(ipv4{protocol: protoUDP, options: make([]byte, 8), payload: good}), "no_socket"},
		{"jumbo record", from4(peer4, protoUDP, udp(9999, ourPort, record(0x10, session, 8900))), "no_socket"},
		{"smallest record", from4(peer4, protoUDP, udp(9999, ourPort, record(0x10, session, 0))), "no_socket"},
		{"extension headers", nested(8), "no_socket"},
		{"too many extension headers", nested(9), "unreadable"},

		{"v4 other address", ethernet(ipv4{src: peer4, dst: "192.0.2.3", protocol: protoUDP, payload: good}.bytes(), typeIPv4), "not_ours"},
		{"v6 other address", ethernet(ipv6{src: peer6, dst: "2001:db8::3", next: protoUDP, payload: good}.bytes(), typeIPv6), "not_ours"},
		{"v6 other network", ethernet(ipv6{src: peer6, dst: "2001:db9::1", next: protoUDP, payload: good}.bytes(), typeIPv6), "not_ours"},
		{"other protocol", from4(peer4, protoICMP, good), "not_ours"},
		{"authentication header", from6(peer6, protoAH, good), "not_ours"},
		{"other UDP port", from4(peer4, protoUDP, udp(ourPort, 53, record(0x10, session, 0))), "not_ours"},
		{"other TCP port", from4(peer4, protoTCP, tcp(ourPort, 22, tcpSYN)), "not_ours"},
		{"fragment to another port", four(ipv4{protocol: protoUDP, fragment: 0x2000, payload: udp(1, 53, nil)}), "not_ours"},

		{"v4 first fragment", four(ipv4{protocol: protoUDP, fragment: 0x2000, payload: good}), "fragment"},
		{"v4 later fragment", four(ipv4{protocol: protoUDP, fragment: 0x0007, payload: good}), "later_fragment"},
		{"v4 do not fragment", four(ipv4{protocol: protoUDP, fragment: 0x4000, payload: good}), "no_socket"},
		{"v6 first fragment", from6(peer6, protoFragment, fragment(protoUDP, 1, good)), "fragment"},
		{"v6 later fragment", from6(peer6, protoFragment, fragment(protoUDP, 8, good)), "later_fragment"},
		{"v6 last fragment", from6(peer6, protoFragment, fragment(protoTCP, 8, syn)), "later_fragment"},
		{"v6 atomic fragment", from6(peer6, protoFragment, fragment(protoUDP, 0, good)), "no_socket"},

		{"UDP length too long", from4(peer4, protoUDP, patch(good, 5, byte(len(good)+1))), "bad_length"},
		{"UDP length shorter than the packet", from4(peer4, protoUDP, patch(good, 5, 40)), "no_socket"},
		{"UDP length one too short", from4(peer4, protoUDP, patch(good, 5, 39)), "short_record"},
		{"UDP length of no header", from4(peer4, protoUDP, patch(good, 5, 7)), "short_record"},
		{"UDP length zero", from6(peer6, protoUDP, patch(good, 5, 0)), "short_record"},
		{"empty datagram", from4(peer4, protoUDP, udp(9999, ourPort, nil)), "short_record"},
		{"other record type", from4(peer4, protoUDP, udp(9999, ourPort, record(0x11, session, 0))), "bad_type"},
		{"no record type", from6(peer6, protoUDP, udp(9999, ourPort, record(0, session, 0))), "bad_type"},
		{"unknown session", from4(peer4, protoUDP, udp(9999, ourPort, record(0x10, session+1, 0))), "unknown_session"},
		{"session the other way round", from6(peer6, protoUDP, udp(9999, ourPort, record(0x10, 0x04030201, 0))), "unknown_session"},

		{"v4 SYN", from4(peer4, protoTCP, syn), "control_syn"},
		{"v6 SYN", from6(peer6, protoTCP, syn), "control_syn"},
		{"v6 SYN behind an extension header", from6(peer6, protoDstOpts, extension(protoTCP, 0, syn)), "control_syn"},
		{"v4 SYN in a first fragment", four(ipv4{protocol: protoTCP, fragment: 0x2000, payload: syn}), "control_syn"},
		{"v4 SYN torn by fragments", four(ipv4{protocol: protoTCP, fragment: 0x2000, payload: syn[:8]}), "malformed"},
		{"SYN and ACK", from4(peer4, protoTCP, tcp(40000, ourPort, tcpSYN|tcpACK)), "control"},
		{"ACK", from6(peer6, protoTCP, tcp(40000, ourPort, tcpACK)), "control"},
		{"no flag", from4(peer4, protoTCP, tcp(40000, ourPort, 0)), "control"},
		{"SCTP to our port", from4(peer4, protoSCTP, sctp(40000, ourPort)), "not_ours"},
	}
}

// An address of one family says nothing about the other, not even about the
// address that is all zeros.
func TestOutsideOneFamily(t *testing.T) {
	record := udp(9999, ourPort, record(0x10, session, 0))
	unspecified4 := ethernet(ipv4{src: peer4, dst: "0.0.0.0", protocol: protoUDP, payload: record}.bytes(), typeIPv4)
	unspecified6 := ethernet(ipv6{src: peer6, dst: "::", next: protoUDP, payload: record}.bytes(), typeIPv6)

	cfg := OutsideConfig{Addresses: []netip.Addr{netip.MustParseAddr("::ffff:" + our4)}, Port: ourPort}
	four := newOutside(t, cfg)
	run(t, &four.steering, "v4", from4(peer4, protoUDP, record), "unknown_session")
	run(t, &four.steering, "v6", from6(peer6, protoUDP, record), "not_ours")
	run(t, &four.steering, "v6 unspecified", unspecified6, "not_ours")

	cfg.Addresses = []netip.Addr{netip.MustParseAddr(our6)}
	six := newOutside(t, cfg)
	run(t, &six.steering, "v4", from4(peer4, protoUDP, record), "not_ours")
	run(t, &six.steering, "v6", from6(peer6, protoUDP, record), "unknown_session")
	run(t, &six.steering, "v4 unspecified", unspecified4, "not_ours")
}

func TestOutsideSessions(t *testing.T) {
	out := newOutside(t, outsideBoth())
	check := func(step string, id uint32, exit string) {
		t.Helper()
		run(t, &out.steering, step, from4(peer4, protoUDP, udp(9999, ourPort, record(0x10, id, 0))), exit)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	for _, id := range []uint32{0, 1, session, 0xffffffff} {
		check("before", id, "unknown_session")
		do(out.AddSession(id))
		do(out.AddSession(id))
		check("added", id, "no_socket")
		do(out.RemoveSession(id))
		check("removed", id, "unknown_session")
		do(out.RemoveSession(id))
	}

	room := out.sessions.table.MaxEntries()
	if room != 65536 {
		t.Errorf("there is room for %d sessions, want 65536", room)
	}
	for id := range room {
		do(out.AddSession(id))
	}
	check("the last of all", room-1, "no_socket")
	if err := out.AddSession(room); err == nil {
		t.Error("a session more than there is room for was accepted")
	}
}

// A frame that ends before the IP packet does is malformed, wherever it ends.
func TestOutsideTruncatedFrame(t *testing.T) {
	out := newOutside(t, outsideBoth())
	good := udp(9999, ourPort, record(0x10, session, 10))
	syn := tcp(40000, ourPort, tcpSYN)
	frames := map[string][]byte{
		"v4 record": from4(peer4, protoUDP, good),
		"v6 record": from6(peer6, protoUDP, good),
		"v6 chain":  from6(peer6, protoHopByHop, extension(protoUDP, 1, good)),
		"v4 SYN":    from4(peer4, protoTCP, syn),
		"two tags":  ethernet(from6(peer6, protoTCP, syn)[14:], typeIPv6, typeQinQ, typeVLAN),
	}
	for name, frame := range frames {
		for length := 14; length < len(frame); length++ {
			run(t, &out.steering, fmt.Sprintf("%s cut to %d", name, length), frame[:length], "malformed")
		}
	}
}

// A packet that says truthfully that it ends early, with padding behind it and
// without, never gets as far as a whole one does.
func TestOutsideShortPacket(t *testing.T) {
	out := newOutside(t, outsideBoth())
	good := udp(9999, ourPort, record(0x10, session, 10))
	tests := []struct {
		name   string
		frame  []byte
		header int // bytes of IP packet before the transport
		chain  int // of which extension headers
		whole  int // bytes of transport header
		exit   string
	}{
		{"v4 UDP", from4(peer4, protoUDP, good), 20, 0, 8, "bad_length"},
		{"v6 UDP", from6(peer6, protoUDP, good), 40, 0, 8, "bad_length"},
		{"v6 UDP chain", from6(peer6, protoHopByHop, extension(protoUDP, 1, good)), 56, 16, 8, "bad_length"},
		{"v4 TCP", from4(peer4, protoTCP, append(tcp(40000, ourPort, tcpACK), 1, 2, 3)), 20, 0, 20, "control"},
		{"v6 TCP", from6(peer6, protoTCP, append(tcp(40000, ourPort, tcpACK), 1, 2, 3)), 40, 0, 20, "control"},
	}
	for _, test := range tests {
		for length := test.header - test.chain; length < len(test.frame)-14; length++ {
			exit := test.exit
			if length < test.header+test.whole {
				exit = "malformed"
			}
			if length < test.header {
				exit = "unreadable"
			}
			frame := setLength(test.frame, length)
			run(t, &out.steering, fmt.Sprintf("%s of %d, padded", test.name, length), frame, exit)
			run(t, &out.steering, fmt.Sprintf("%s of %d", test.name, length), frame[:14+length], exit)
		}
	}
}

func TestOutsideRefuses(t *testing.T) {
	one := netip.MustParseAddr(our4)
	tests := map[string]OutsideConfig{
		"no port":                {Addresses: []netip.Addr{one}},
		"no address":             {Port: 1},
		"more than one IPv4":     {Port: 1, Addresses: []netip.Addr{one, one}},
		"more than one IPv6":     {Port: 1, Addresses: []netip.Addr{netip.MustParseAddr(our6), netip.MustParseAddr(peer6)}},
		"zone":                   {Port: 1, Addresses: []netip.Addr{netip.MustParseAddr("fe80::1%eth0")}},
		"invalid IP is not":      {Port: 1, Addresses: []netip.Addr{{}}},
		"0.0.0.0 is not an addr": {Port: 1, Addresses: []netip.Addr{netip.IPv4Unspecified()}},
		"ff02::1 is not an addr": {Port: 1, Addresses: []netip.Addr{netip.MustParseAddr("ff02::1")}},
	}
	for want, cfg := range tests {
		out, err := LoadOutside(cfg)
		if err == nil {
			out.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
}

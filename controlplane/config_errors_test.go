package controlplane

import (
	"errors"
	"strings"
	"testing"
)

// validLines is what the broken files of the table below are made from. Its lines
// are numbered in their errors.
func validLines() []string {
	return []string{
		/*  1 */ "gateway:",
		/*  2 */ "  name: site-a",
		/*  3 */ "  identity: a.key",
		/*  4 */ "  inside: { interface: eth1, io: auto }",
		/*  5 */ "  outside: { interface: eth2, address: 192.0.2.1, port: 5580 }",
		/*  6 */ "  workers: auto",
		/*  7 */ "  attach: auto",
		/*  8 */ "  zero_copy: auto",
		/*  9 */ "  busy_poll_us: 0",
		/* 10 */ "  admin: { listen: \"127.0.0.1:9580\" }",
		/* 11 */ "qzmq:",
		/* 12 */ "  enabled: true",
		/* 13 */ "  mode: hybrid",
		/* 14 */ "  default_suite: { kem: x25519+mlkem768, sig: mldsa44, aead: aes256gcm, hash: sha256 }",
		/* 15 */ "  key_rotation: { max_messages: 4294967296, max_bytes: 1099511627776, max_age_s: 600 }",
		/* 16 */ "links:",
		/* 17 */ "  - name: site-b",
		/* 18 */ "    peer: PEER1",
		/* 19 */ "    endpoint: 192.0.2.2:5580",
		/* 20 */ "    routes: [10.2.0.0/24, \"fd00:2::/64\"]",
		/* 21 */ "    services:",
		/* 22 */ "      - { name: orders, ports: [5555-5560] }",
		/* 23 */ "    other: pass",
		/* 24 */ "    phase: enforce",
		/* 25 */ "  - name: site-c",
		/* 26 */ "    peer: PEER2",
		/* 27 */ "    routes: [10.3.0.0/24]",
	}
}

// edit replaces lines of the valid file by their number; a line may become
// several, and "-" takes it out.
func edit(changes map[int]string) []byte {
	var lines []string
	for i, line := range validLines() {
		if c, ok := changes[i+1]; ok {
			line = c
		}
		if line != "-" {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "\n") + "\n"
	return []byte(strings.NewReplacer("PEER1", peerText(1), "PEER2", peerText(2)).Replace(text))
}

func TestBrokenFiles(t *testing.T) {
	if _, err := Parse("a.yaml", edit(nil), env{}.get); err != nil {
		t.Fatalf("the file that the others are made from is broken: %v", err)
	}
	type lines = map[int]string
	for _, tc := range []struct {
		name    string
		changes lines
		want    string // the lines of the error, each without a.yaml:
	}{
		// What holds for every section.
		{"unknown key at the top", lines{11: "qzmg:", 12: "-", 13: "-", 14: "-", 15: "-"}, "11: qzmg: unknown key"},
		{"unknown key", lines{2: "  name: site-a\n  nmae: x"}, "3: gateway.nmae: unknown key"},
		{"unknown key in a link", lines{24: "    fase: enforce"}, "24: links[0].fase: unknown key"},
		{"unknown key in a service", lines{22: "      - { name: orders, ports: [5555], port: 1 }"}, "22: links[0].services[0].port: unknown key"},
		{"merge key", lines{2: "  name: site-a\n  <<: { a: b }"}, "3: gateway: a key must be text, not a value tagged !!merge"},
		{"duplicate key", lines{6: "  name: site-x"}, "6: gateway.name: duplicate key, the first is on line 2"},
		{"duplicate section", lines{16: "gateway:\n  name: b\nlinks:"}, "16: gateway: duplicate key, the first is on line 1"},
		{"key that is a number", lines{24: "    5: enforce"}, "24: links[0]: a key must be text, not a number"},
		{"key that is a list", lines{24: "    ? [a]\n    : enforce"}, "24: links[0]: a key must be text, not a list"},
		{"missing key", lines{2: "-"}, "1: gateway.name: missing"},
		{"missing key in a link", lines{18: "-"}, "17: links[0].peer: missing"},
		{"name without anybody to say it", lines{18: "    peer_name: site-b"}, `18: links[0].peer_name: "site-b" is a name that nobody can bear: there are neither qzmq.authorities nor qzmq.authorised_keys`},
		{"name that is none", lines{12: "  authorised_keys: keys", 18: "    peer_name: Site"}, `18: links[0].peer_name: "Site" is not a name: want 1 to 63 of a-z, 0-9 and -`},
		{"name of two links", lines{12: "  authorities: [ca]", 18: "    peer_name: x", 26: "    peer_name: x"}, `26: links[1].peer_name: "x" is links[0].peer_name already`},
		{"empty list of authorities", lines{12: "  authorities: []"}, "12: qzmq.authorities: the list is empty"},
		{"authority twice", lines{12: "  authorities: [a, b, a]"}, `12: qzmq.authorities[2]: "a" is qzmq.authorities[0] already`},
		{"too many authorities", lines{12: "  authorities: [a, b, c, d, e, f, g]"}, "12: qzmq.authorities[6]: there are more than 6 authorities"},
		{"authority that is no path", lines{12: "  authorities: [7]"}, "12: qzmq.authorities[0]: want text, got a number"},
		{"empty certificate", lines{3: "  identity: a.key\n  certificate: \"\""}, `4: gateway.certificate: "" is not a path`},
		{"empty authorised keys", lines{12: "  authorised_keys: \"\""}, `12: qzmq.authorised_keys: "" is not a path`},
		{"missing key in a service", lines{22: "      - { name: orders }"}, "22: links[0].services[0].ports: missing"},
		{"section that is text", lines{4: "  inside: eth1"}, "4: gateway.inside: want a mapping, got text"},
		{"section that is empty", lines{4: "  inside:"}, "4: gateway.inside: want a mapping, got nothing"},
		{"list that is a mapping", lines{20: "    routes: { a: b }"}, "20: links[0].routes: want a list, got a mapping"},
		{"list that is empty", lines{20: "    routes: []"}, "20: links[0].routes: the list is empty"},
		{"item that is a list", lines{20: "    routes: [[10.2.0.0/24]]"}, "20: links[0].routes[0]: want text, got a list"},
		{"link that is text", lines{25: "  - site-c", 26: "-", 27: "-"}, "25: links[1]: want a mapping, got text"},
		{"alias", lines{2: "  name: &a site-a", 17: "  - name: *a"}, "17: links[0].name: want text, got an alias (write the value out)"},
		{"text that is a number", lines{2: "  name: 12"}, "2: gateway.name: want text, got a number"},
		{"text that is a date", lines{2: "  name: 2026-01-01"}, "2: gateway.name: want text, got a date"},
		{"text that is true", lines{8: "  zero_copy: true"}, "8: gateway.zero_copy: want text, got true or false"},
		{"text that is a mapping", lines{2: "  name: { a: b }"}, "2: gateway.name: want text, got a mapping"},
		{"text that is nothing", lines{2: "  name:"}, "2: gateway.name: want text, got nothing"},
		{"text with a tag", lines{2: "  name: !!binary aGk="}, "2: gateway.name: want text, got a value tagged !!binary"},
		{"number that is text", lines{9: "  busy_poll_us: \"5\""}, "9: gateway.busy_poll_us: want a number, got text"},
		{"number that is a fraction", lines{9: "  busy_poll_us: 0.5"}, "9: gateway.busy_poll_us: want a number, got a number with a fraction or too large"},
		{"number in octal", lines{9: "  busy_poll_us: 017"}, `9: gateway.busy_poll_us: "017" is not a whole number from 0 to 1000000`},
		{"true or false that is text", lines{12: "  enabled: \"true\""}, "12: qzmq.enabled: want true or false, got text"},

		// gateway
		{"no gateway", lines{1: "-", 2: "-", 3: "-", 4: "-", 5: "-", 6: "-", 7: "-", 8: "-", 9: "-", 10: "-"},
			"1: gateway.name: missing\n1: gateway.identity: missing\n1: gateway.inside.interface: missing\n1: gateway.outside.interface: missing\n1: gateway.outside.address: missing"},
		{"name", lines{2: "  name: Site A"}, `2: gateway.name: "Site A" is not a name: want 1 to 63 of a-z, 0-9 and -`},
		{"identity", lines{3: "  identity: \"\""}, `3: gateway.identity: "" is not a path`},
		{"interface", lines{4: "  inside: { interface: averylongethernet }"}, `4: gateway.inside.interface: "averylongethernet" is not the name of an interface`},
		{"one interface for both", lines{5: "  outside: { interface: eth1, address: 192.0.2.1 }"}, `5: gateway.outside.interface: "eth1" is the inside interface too`},
		{"io", lines{4: "  inside: { interface: eth1, io: fast }"}, `4: gateway.inside.io: "fast" is not one of auto, xdp, superframe`},
		{"io outside", lines{5: "  outside: { interface: eth2, address: 192.0.2.1, io: gso }"}, `5: gateway.outside.io: "gso" is not one of auto, xdp, superframe`},
		{"address", lines{5: "  outside: { interface: eth2, address: gw.example }"}, `5: gateway.outside.address: "gw.example" is not an IP address`},
		{"address with a zone", lines{5: "  outside: { interface: eth2, address: \"fe80::1%eth2\" }"}, `5: gateway.outside.address: "fe80::1%eth2" is not an IP address`},
		{"address of all", lines{5: "  outside: { interface: eth2, address: 0.0.0.0 }"}, `5: gateway.outside.address: "0.0.0.0" is not the address of one host`},
		{"address of many", lines{5: "  outside: { interface: eth2, address: \"ff02::1\" }"}, `5: gateway.outside.address: "ff02::1" is not the address of one host`},
		{"port 0", lines{5: "  outside: { interface: eth2, address: 192.0.2.1, port: 0 }"}, `5: gateway.outside.port: "0" is not a whole number from 1 to 65535`},
		{"port too large", lines{5: "  outside: { interface: eth2, address: 192.0.2.1, port: 65536 }"}, `5: gateway.outside.port: "65536" is not a whole number from 1 to 65535`},
		{"no workers", lines{6: "  workers: 0"}, `6: gateway.workers: "0" is not auto or a number from 1 to 1024`},
		{"workers", lines{6: "  workers: many"}, `6: gateway.workers: "many" is not auto or a number from 1 to 1024`},
		{"attach", lines{7: "  attach: offload"}, `7: gateway.attach: "offload" is not one of auto, native, generic`},
		{"zero_copy", lines{8: "  zero_copy: maybe"}, `8: gateway.zero_copy: "maybe" is not one of auto, on, off`},
		{"pin", lines{8: "  pin: 3"}, `8: gateway.pin: want text, got a number`},
		{"rss", lines{8: "  rss: on"}, `8: gateway.rss: "on" is not one of auto, off`},
		{"busy_poll_us", lines{9: "  busy_poll_us: -1"}, `9: gateway.busy_poll_us: "-1" is not a whole number from 0 to 1000000`},
		{"admin name", lines{10: "  admin: { listen: \"localhost:9580\" }"}, `10: gateway.admin.listen: "localhost:9580" is not an IP address and a port`},
		{"admin socket", lines{10: "  admin: { socket: gateway.sock }"}, `10: gateway.admin.socket: "gateway.sock" is not an absolute path of at most 107 bytes`},
		{"long admin socket", lines{10: "  admin: { socket: /" + strings.Repeat("s", 107) + " }"}, `10: gateway.admin.socket: "/` + strings.Repeat("s", 107) + `" is not an absolute path of at most 107 bytes`},

		// qzmq
		{"not enabled", lines{12: "  enabled: false"}, "12: qzmq.enabled: false is not in this version: a gateway that runs protects what it carries"},
		{"mode", lines{13: "  mode: none"}, `13: qzmq.mode: mode "none" is not hybrid, pq-only or classical`},
		{"unknown KEM", lines{14: "  default_suite:\n    kem: kyber"}, `15: qzmq.default_suite.kem: "kyber" is not in the registry of suites`},
		{"KEM that the mode forbids", lines{14: "  default_suite: { kem: x25519 }"}, `14: qzmq.default_suite.kem: "x25519" is not allowed in mode hybrid`},
		{"KEM without a classical half", lines{14: "  default_suite: { kem: mlkem768 }"}, `14: qzmq.default_suite.kem: "mlkem768" is not allowed in mode hybrid`},
		{"signature that the mode forbids", lines{14: "  default_suite: { sig: ed25519 }"}, `14: qzmq.default_suite.sig: "ed25519" is not allowed in mode hybrid`},
		{"AEAD", lines{14: "  default_suite: { aead: rc4 }"}, `14: qzmq.default_suite.aead: "rc4" is not in the registry of suites`},
		{"hash of no registry", lines{14: "  default_suite: { hash: md5 }"}, `14: qzmq.default_suite.hash: "md5" is not in the registry of suites`},
		{"max_messages", lines{15: "  key_rotation: { max_messages: 0 }"}, `15: qzmq.key_rotation.max_messages: "0" is not a whole number from 1 to 17179869184`},
		{"max_bytes", lines{15: "  key_rotation: { max_bytes: 99999999999999999999 }"}, "15: qzmq.key_rotation.max_bytes: want a number, got a number with a fraction or too large"},
		{"max_bytes past the epochs", lines{15: "  key_rotation: { max_bytes: 35184372088833 }"}, `15: qzmq.key_rotation.max_bytes: "35184372088833" is not a whole number from 1 to 35184372088832`},
		{"max_age_s", lines{15: "  key_rotation: { max_age_s: 86401 }"}, `15: qzmq.key_rotation.max_age_s: "86401" is not a whole number from 1 to 86400`},
		{"anti_dos", lines{15: "  anti_dos: { cookie: never }"}, `15: qzmq.anti_dos.cookie: "never" is not one of auto, on, off`},
		{"resumption", lines{15: "  resumption: { zero_rtt: true }"}, "15: qzmq.resumption.zero_rtt: true is not in this version: a link has nothing to say early"},

		// links
		{"link name", lines{17: "  - name: site_b"}, `17: links[0].name: "site_b" is not a name: want 1 to 63 of a-z, 0-9 and -`},
		{"two links of one name", lines{25: "  - name: site-b"}, `25: links[1].name: "site-b" is links[0].name already`},
		{"peer that is cut", lines{18: "    peer: qz1qqqq"}, "18: links[0].peer: not a fingerprint, or one with a mistyped character: want the qz1... that qzmqctl fingerprint prints"},
		{"peer with a wrong letter", lines{18: "    peer: " + strings.Replace(peerText(1), "qqqq", "qqpq", 1)},
			"18: links[0].peer: not a fingerprint, or one with a mistyped character: want the qz1... that qzmqctl fingerprint prints"},
		{"two links to one peer", lines{26: "    peer: PEER1"}, `26: links[1].peer: "PEER1" is links[0].peer already`},
		{"endpoint that is a name", lines{19: "    endpoint: b.example:5580"}, `19: links[0].endpoint: "b.example:5580" is not an IP address and a port`},
		{"endpoint without a port", lines{19: "    endpoint: 192.0.2.2"}, `19: links[0].endpoint: "192.0.2.2" is not an IP address and a port`},
		{"endpoint with port 0", lines{19: "    endpoint: 192.0.2.2:0"}, `19: links[0].endpoint: "192.0.2.2:0" has no port`},
		{"endpoint of nobody", lines{19: "    endpoint: 0.0.0.0:5580"}, `19: links[0].endpoint: "0.0.0.0" is not the address of one host`},
		{"endpoint of another family", lines{19: "    endpoint: \"[2001:db8::2]:5580\""}, `19: links[0].endpoint: "[2001:db8::2]:5580" and gateway.outside.address "192.0.2.1" are not of one family`},
		{"endpoint that is here", lines{19: "    endpoint: 192.0.2.1:5580"}, `19: links[0].endpoint: "192.0.2.1:5580" is this gateway itself`},
		{"no routes", lines{20: "-"}, "17: links[0].routes: missing"},
		{"route", lines{20: "    routes:\n      - 10.2.0.0/24\n      - \"10.2.0.0/33\""}, `22: links[0].routes[1]: "10.2.0.0/33" is not a prefix`},
		{"route without a length", lines{20: "    routes: [10.2.0.1]"}, `20: links[0].routes[0]: "10.2.0.1" is not a prefix`},
		{"route with host bits", lines{20: "    routes: [10.2.0.1/24]"}, `20: links[0].routes[0]: "10.2.0.1/24" has bits behind the prefix: write "10.2.0.0/24"`},
		{"IPv4 route in IPv6", lines{20: "    routes: [\"::ffff:10.2.0.0/120\"]"}, `20: links[0].routes[0]: "::ffff:10.2.0.0/120" is not a prefix`},
		{"route twice", lines{20: "    routes: [10.2.0.0/24, 10.2.0.0/24]"}, `20: links[0].routes[1]: "10.2.0.0/24" is links[0].routes[0] already`},
		{"route of two links", lines{27: "    routes: [\"fd00:2:0::/64\"]"}, `27: links[1].routes[0]: "fd00:2:0::/64" is links[0].routes[1] already`},
		{"no services", lines{21: "    services: []", 22: "-"}, "21: links[0].services: the list is empty"},
		{"services that are text", lines{21: "    services: all", 22: "-"}, "21: links[0].services: want a list, got text"},
		{"two services of one name", lines{22: "      - { name: a, ports: [1] }\n      - { name: a, ports: [2] }"}, `23: links[0].services[1].name: "a" is links[0].services[0].name already`},
		{"service without ports", lines{22: "      - { name: a, ports: [] }"}, "22: links[0].services[0].ports: the list is empty"},
		{"port range", lines{22: "      - { name: a, ports: [1, 2-, http, 70000] }"},
			`22: links[0].services[0].ports[1]: "2-" is not a port or a range of ports such as 5555-5560` + "\n" +
				`22: links[0].services[0].ports[2]: "http" is not a port or a range of ports such as 5555-5560` + "\n" +
				`22: links[0].services[0].ports[3]: "70000" is not a port or a range of ports such as 5555-5560`},
		{"port range backwards", lines{22: "      - { name: a, ports: [5560-5555] }"}, `22: links[0].services[0].ports[0]: "5560-5555" ends before it starts`},
		{"other", lines{23: "    other: encrypt"}, `23: links[0].other: "encrypt" is not one of pass, drop`},
		{"other without services", lines{27: "    routes: [10.3.0.0/24]\n    other: drop"}, "28: links[1].other: there are no services, so all traffic to the routes is protected and none is other"},
		{"phase of a later version", lines{24: "    phase: observe"}, `24: links[0].phase: "observe" is not in this version`},
		{"phase canary", lines{24: "    phase: canary"}, `24: links[0].phase: "canary" is not in this version`},
		{"phase", lines{24: "    phase: now"}, `24: links[0].phase: "now" is not one of enforce`},
		{"suite of a link", lines{24: "    default_suite: { kem: x25519 }"}, `24: links[0].default_suite.kem: "x25519" is not allowed in mode hybrid`},
		{"mode of a link against the own key", lines{13: "  mode: classical", 14: "  default_suite: { sig: ed25519 }", 24: "    mode: hybrid\n    default_suite: { sig: mldsa65 }"},
			"24: links[0].mode: hybrid does not allow this gateway's own key, which is for ed25519 as qzmq.default_suite.sig says"},
		{"empty knock", lines{3: "  identity: a.key\n  knock: \"\""}, `4: gateway.knock: "" is not a path`},
		{"knock that is no path", lines{24: "    knock: 7"}, "24: links[0].knock: want text, got a number"},
		{"mode of a link that its suite does not meet", lines{13: "  mode: classical", 14: "  default_suite: { kem: x25519 }", 24: "    mode: hybrid"}, "24: links[0].default_suite: x25519/mldsa44/aes256gcm/sha256 is not allowed in mode hybrid"},

		// All mistakes are reported, in the order of the lines and not in that
		// of the checks.
		{"several", lines{2: "  nmae: site-a", 7: "  attach: x", 20: "    routes: [1, x]", 11: "zmq: {}\nqzmq:"},
			"1: gateway.name: missing\n2: gateway.nmae: unknown key\n" + `7: gateway.attach: "x" is not one of auto, native, generic` +
				"\n11: zmq: unknown key\n21: links[0].routes[0]: want text, got a number\n" + `21: links[0].routes[1]: "x" is not a prefix`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := strings.ReplaceAll(tc.want, "PEER1", peerText(1))
			checkErrors(t, edit(tc.changes), env{}, want)
		})
	}
}

func TestNotYAML(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "1: gateway.name: missing"},
		{"only a comment", "# nothing yet\n", "1: gateway.name: missing"},
		{"a list", "- a\n", "1: want a mapping, got a list"},
		{"null", "---\n", "2: want a mapping, got nothing"},
		{"two documents", minimal + "---\na: b\n", "6: a second document starts here; the file must hold one"},
		{"broken second document", minimal + "---\n{\n", "7: not YAML near here: did not find expected node content"},
		{"no colon", "gateway:\n  name site-a\n  identity: a.key\n", "3: not YAML near here: mapping values are not allowed in this context"},
		{"tab", "gateway:\n\tname: site-a\n", "2: not YAML near here: found character that cannot start any token"},
		{"first line", "gateway: [\n", "1: not YAML near here: did not find expected node content"},
		{"unknown anchor", "gateway: *x\n", "1: not YAML near here: unknown anchor 'x' referenced"},
		{"not UTF-8", "gateway:\n  name: \xff\n", "2: this line is not plain UTF-8 text"},
		{"control character", "gateway:\n\n  name: \x01\n", "3: this line is not plain UTF-8 text"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("a.yaml", []byte(tc.text), env{}.get)
			if err == nil {
				t.Fatal("no error")
			}
			first, _, _ := strings.Cut(err.Error(), "\n")
			if first != "a.yaml:"+tc.want {
				t.Errorf("got  %s\nwant a.yaml:%s", first, tc.want)
			}
		})
	}
}

// checkErrors parses a broken file and compares all that is said of it.
func checkErrors(t *testing.T, text []byte, e env, want string) {
	t.Helper()
	c, err := Parse("a.yaml", text, e.get)
	if err == nil || c != nil {
		t.Fatalf("got %v, %v, want an error and nothing else", c, err)
	}
	want = "a.yaml:" + strings.ReplaceAll(want, "\n", "\na.yaml:")
	if err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var one *ConfigError
	if !errors.As(err, &one) || one.File != "a.yaml" || one.Line < 1 {
		t.Errorf("the first mistake is %+v", one)
	}
}

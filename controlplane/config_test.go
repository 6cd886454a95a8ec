package controlplane

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// env stands for the environment of a test.
type env map[string]string

func (e env) get(name string) string { return e[name] }

// peerText is a fingerprint that belongs to nobody: the n-th of them.
func peerText(n byte) string { return handshake.Fingerprint{n}.String() }

// minimal has every required key and nothing else.
const minimal = `gateway:
  name: site-a
  identity: /etc/qzmq/a.key
  inside: { interface: eth1 }
  outside: { interface: eth2, address: 192.0.2.1 }
`

func TestParseDefaults(t *testing.T) {
	c, err := Parse("a.yaml", []byte(minimal), env{}.get)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Gateway: GatewayConfig{
			Name:     "site-a",
			Identity: "/etc/qzmq/a.key",
			Inside:   InsideConfig{Interface: "eth1", IO: "auto"},
			Outside:  OutsideConfig{Interface: "eth2", IO: IOAuto, Address: netip.MustParseAddr("192.0.2.1"), Port: 5580},
			Workers:  0,
			Attach:   "auto",
			ZeroCopy: "auto",
			BusyPoll: 0, ShareRecords: true,
			Pin: "auto", RSS: "auto",
			Admin: AdminConfig{Listen: netip.MustParseAddrPort("127.0.0.1:9580"), Socket: "/run/qzmq/gateway.sock"},
		},
		QZMQ: QZMQConfig{
			Mode:         handshake.ModeHybrid,
			DefaultSuite: handshake.DefaultSuite(),
			KeyRotation:  RotationConfig{MaxMessages: 4294967296, MaxBytes: 1099511627776, MaxAge: 600 * time.Second},
			AntiDoS:      AntiDoSConfig{CookieTimeout: time.Minute, MaxConcurrent: 10000, Cookie: "auto"},
			Resumption:   ResumptionConfig{Enabled: true, TicketLifetime: 24 * time.Hour},
		},
		file: "a.yaml", identityLine: 3, suiteLine: 1,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestParseEverything(t *testing.T) {
	file := `
gateway:
  name: site-a
  identity: a.key
  certificate: a.cert
  knock: own.knock
  inside:  { interface: eth1, io: xdp }
  outside: { interface: eth2.7, io: superframe, address: "2001:db8::1", port: 5581, udp_checksum: true }
  workers: 4
  attach: native
  zero_copy: on
  busy_poll_us: 50
  pin: on
  rss: off
  share_records: false
  admin: { listen: "[::1]:0", socket: /run/a.sock }
qzmq:
  enabled: true
  mode: hybrid
  default_suite: { kem: x25519+mlkem1024, sig: mldsa65, aead: chacha20poly1305, hash: sha256 }
  key_rotation: { max_messages: 1000, max_bytes: 1000000, max_age_s: 30 }
  anti_dos: { cookie_timeout_s: 30, max_concurrent: 100, cookie: on }
  resumption: { enabled: false, ticket_lifetime_s: 60, zero_rtt: false }
  authorities: [ca.pub, old-ca.pub]
  authorised_keys: keys
links:
  - name: site-b
    peer: ` + peerText(1) + `
    endpoint: "[2001:db8::2]:5580"
    knock: b.knock
    routes: [10.2.0.0/24, "fd00:2::/64"]
    services:
      - { name: orders, ports: [5555-5560, 6000] }
      - { name: md, ports: ["7000"] }
    other: drop
    phase: enforce
    mode: pq-only
    default_suite: { kem: mlkem1024, sig: ed25519+mldsa44, hash: sha384 }
  - name: site-c
    peer: ` + peerText(2) + `
    routes: [10.2.0.128/25]
  - name: site-d
    routes: [10.4.0.0/24]
    peer_name: site-d
  - name: site-e
    peer: ` + peerText(3) + `
    peer_name: site-e
    routes: [10.5.0.0/24]
`
	c, err := Parse("a.yaml", []byte(file), env{}.get)
	if err != nil {
		t.Fatal(err)
	}
	suite, err := handshake.ParseSuite("x25519+mlkem1024", "mldsa65", "chacha20poly1305", "sha256")
	if err != nil {
		t.Fatal(err)
	}
	stricter, err := handshake.ParseSuite("mlkem1024", "ed25519+mldsa44", "chacha20poly1305", "sha384")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Gateway: GatewayConfig{
			Name:        "site-a",
			Identity:    "a.key",
			Certificate: "a.cert",
			Knock:       "own.knock",
			Inside:      InsideConfig{Interface: "eth1", IO: IOXDP},
			Outside:     OutsideConfig{Interface: "eth2.7", IO: IOSuperframe, Address: netip.MustParseAddr("2001:db8::1"), Port: 5581, UDPChecksum: true},
			Workers:     4,
			Attach:      AttachNative,
			ZeroCopy:    ZeroCopyOn,
			BusyPoll:    50 * time.Microsecond,
			Pin:         PinOn,
			RSS:         RSSOff,
			Admin:       AdminConfig{Listen: netip.MustParseAddrPort("[::1]:0"), Socket: "/run/a.sock"},
		},
		QZMQ: QZMQConfig{
			Mode:         handshake.ModeHybrid,
			DefaultSuite: suite,
			KeyRotation:  RotationConfig{MaxMessages: 1000, MaxBytes: 1000000, MaxAge: 30 * time.Second},
			AntiDoS:      AntiDoSConfig{CookieTimeout: 30 * time.Second, MaxConcurrent: 100, Cookie: CookieOn},
			Resumption:   ResumptionConfig{TicketLifetime: time.Minute},

			Authorities:    []string{"ca.pub", "old-ca.pub"},
			AuthorisedKeys: "keys",
		},
		Links: []LinkConfig{{
			Name:     "site-b",
			Peer:     handshake.Fingerprint{1},
			Endpoint: netip.MustParseAddrPort("[2001:db8::2]:5580"),
			Knock:    "b.knock",
			Routes:   []netip.Prefix{netip.MustParsePrefix("10.2.0.0/24"), netip.MustParsePrefix("fd00:2::/64")},
			Services: []ServiceConfig{
				{Name: "orders", Ports: []PortRange{{5555, 5560}, {6000, 6000}}},
				{Name: "md", Ports: []PortRange{{7000, 7000}}},
			},
			Other: OtherDrop,
			Mode:  handshake.ModePQOnly,
			Suite: stricter,
			Phase: PhaseEnforce,
		}, {
			Name:   "site-c",
			Peer:   handshake.Fingerprint{2},
			Routes: []netip.Prefix{netip.MustParsePrefix("10.2.0.128/25")},
			Other:  OtherPass,
			Suite:  suite,
			Phase:  PhaseEnforce,
		}, {
			Name:     "site-d",
			PeerName: "site-d",
			Routes:   []netip.Prefix{netip.MustParsePrefix("10.4.0.0/24")},
			Other:    OtherPass,
			Suite:    suite,
			Phase:    PhaseEnforce,
		}, {
			Name:     "site-e",
			Peer:     handshake.Fingerprint{3},
			PeerName: "site-e",
			Routes:   []netip.Prefix{netip.MustParsePrefix("10.5.0.0/24")},
			Other:    OtherPass,
			Suite:    suite,
			Phase:    PhaseEnforce,
		}},
		file: "a.yaml", identityLine: 4, suiteLine: 20, peerLines: []int{28, 40, 44, 46},
		certificateLine: 5, keysLine: 25, authorityLines: []int{24, 24},
		knockLine: 6, knockLines: []int{30, 39, 42, 45},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestPortRangeString(t *testing.T) {
	for want, r := range map[string]PortRange{"5555": {5555, 5555}, "5555-5560": {5555, 5560}} {
		if got := r.String(); got != want {
			t.Errorf("ports %d to %d are written %s", r.First, r.Last, got)
		}
	}
}

func TestExamplesLoad(t *testing.T) {
	e := env{"QZMQ_IDENTITY": "/etc/qzmq/site.key", "QZMQ_PEER": peerText(1)}
	for _, name := range []string{"site-a", "site-b"} {
		c, err := Load(filepath.Join("..", "configs", name+".yaml"), e.get)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if c.Gateway.Name != name || c.Gateway.Identity != e["QZMQ_IDENTITY"] || len(c.Links) == 0 || c.Links[0].Peer != (handshake.Fingerprint{1}) {
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

func TestLoadWithoutFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := Load(path, env{}.get); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestReadIdentityOfConfig(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "a.key")
	own, err := CreateIdentity(key, handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(identity, peer string) *Config {
		t.Helper()
		text := strings.ReplaceAll(minimal, "/etc/qzmq/a.key", identity) +
			"links:\n- { name: x, peer: " + peerText(1) + ", routes: [10.3.0.0/24] }\n" +
			"- name: b\n  routes: [10.2.0.0/24]\n  peer: " + peer + "\n"
		c, err := Parse("a.yaml", []byte(text), env{}.get)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	id, err := parse(key, peerText(2)).ReadIdentity()
	if err != nil || id.Fingerprint() != own.Fingerprint() {
		t.Errorf("got %v, %v", id, err)
	}

	_, err = parse(key, own.Fingerprint().String()).ReadIdentity()
	want := "a.yaml:10: links[1].peer: is the fingerprint of this gateway's own identity"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}

	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = parse(key, peerText(2)).ReadIdentity()
	want = "a.yaml:3: gateway.identity: " + key + " has mode 0644, which lets others than its owner at the key; it must be 0600"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}

	_, err = parse(filepath.Join(dir, "none"), peerText(2)).ReadIdentity()
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "a.yaml:3: gateway.identity: ") {
		t.Errorf("got %v", err)
	}
}

package controlplane

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/relay"
)

// withRelays is the valid file with more lines, from 28 on.
func withRelays(more string) []byte {
	return append(edit(nil), strings.NewReplacer("PEER1", peerText(1), "PEER2", peerText(2)).Replace(more)...)
}

func TestRelaysInConfig(t *testing.T) {
	c, err := Parse("a.yaml", withRelays(`relays:
  - { name: md, listen: "qzmq+tcp://*:5556", connect: "tcp://10.1.0.9:5556", allow: [PEER1, PEER2], rules: [{ peer: PEER2, socket_types: [SUB], topics: ["eu.", "us."] }, { peer: PEER1, identities: [a] }] }
  - name: cl
    listen: ipc://@orders
    connect: qzmq+tcp://192.0.2.1:5556
    peer: PEER1
    service: orders
    identities: [cl.key]
    knock: b.knock
  - name: both
    listen: qzmq+ipc:///run/both
    connect: ipc:///run/plain
    identities:
      - old.key
      - new.key
    certificate: old.cert
    allow_file: keys
    rules: [{ peer: trader, identities: [t] }, { peer: PEER2, topics: [x] }, { peer: "*", socket_types: [SUB] }]
`), env{}.get)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := func(s string) relay.Endpoint {
		e, err := relay.ParseEndpoint(s)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	peer := func(n byte) handshake.Fingerprint {
		f, err := handshake.ParseFingerprint(peerText(n))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	want := []RelayConfig{
		{Name: "md", Listen: endpoint("qzmq+tcp://*:5556"), Connect: endpoint("tcp://10.1.0.9:5556"),
			Allow: []handshake.Fingerprint{peer(1), peer(2)}, lines: relayLines{item: 29},
			Rules: []RelayRules{{Peer: peer(2), Rules: relay.Rules{SocketTypes: []string{"SUB"}, Topics: []string{"eu.", "us."}}},
				{Peer: peer(1), Rules: relay.Rules{Identities: []string{"a"}}}}},
		{Name: "cl", Listen: endpoint("ipc://@orders"), Connect: endpoint("qzmq+tcp://192.0.2.1:5556"),
			Peer: peer(1), Service: "orders", Identities: []string{"cl.key"}, Knock: "b.knock",
			lines: relayLines{item: 30, identities: []int{35}, knock: 36}},
		{Name: "both", Listen: endpoint("qzmq+ipc:///run/both"), Connect: endpoint("ipc:///run/plain"),
			Identities: []string{"old.key", "new.key"}, Certificate: "old.cert", AllowFile: "keys",
			Rules: []RelayRules{{PeerName: "trader", Rules: relay.Rules{Identities: []string{"t"}}},
				{Peer: peer(2), Rules: relay.Rules{Topics: []string{"x"}}}, {PeerName: "*", Rules: relay.Rules{SocketTypes: []string{"SUB"}}}},
			lines: relayLines{item: 37, identities: []int{41, 42}, certificate: 43, allowFile: 44}},
	}
	if !reflect.DeepEqual(c.Relays, want) {
		t.Errorf("%+v\nwant\n%+v", c.Relays, want)
	}
	trader, anybody := c.Relays[2].rulesOf(peer(1), "trader"), c.Relays[2].rulesOf(peer(1), "")
	if r := c.Relays[2].rulesOf(peer(2), "trader"); trader.Identities == nil || anybody.SocketTypes == nil || r.Topics == nil {
		t.Errorf("the rules are %v, %v and %v", trader, anybody, r)
	}
}

func TestBrokenRelays(t *testing.T) {
	for _, tc := range []struct{ name, relay, want string }{
		{"nothing", "{}", "28: relays[0].name: missing\n28: relays[0].listen: missing\n28: relays[0].connect: missing"},
		{"unknown key", `{ name: a, listen: "tcp://*:1", connect: "qzmq+tcp://b:2", peer: PEER1, allows: [] }`, "28: relays[0].allows: unknown key"},
		{"both plain", `{ name: a, listen: "tcp://*:1", connect: "tcp://b:2" }`, "28: relays[0].connect: one of listen and connect is plain and the other one sealed, qzmq+tcp:// or qzmq+ipc://"},
		{"both sealed", `{ name: a, listen: "qzmq+tcp://*:1", connect: "qzmq+tcp://b:2", allow: [PEER1], peer: PEER2 }`, "28: relays[0].connect: one of listen and connect is plain and the other one sealed, qzmq+tcp:// or qzmq+ipc://"},
		{"no URL", `{ name: a, listen: "5556", connect: "qzmq+tcp://b:2", peer: PEER1 }`, `28: relays[0].listen: "5556" is no URL such as tcp://127.0.0.1:5555`},
		{"UDP", `{ name: a, listen: "udp://*:1", connect: "qzmq+tcp://b:2", peer: PEER1 }`, `28: relays[0].listen: "udp://*:1" is neither tcp:// nor ipc://, nor one of them after qzmq+`},
		{"nobody called", `{ name: a, listen: "tcp://*:1", connect: "qzmq+tcp://b:2" }`, "28: relays[0].peer: missing"},
		{"nobody allowed", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2" }`, "28: relays[0].allow: missing"},
		{"an empty list", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", allow: [] }`, "28: relays[0].allow: the list is empty"},
		{"allowed in plain", `{ name: a, listen: "tcp://*:1", connect: "qzmq+tcp://b:2", peer: PEER1, allow: [PEER1] }`, "28: relays[0].allow: nobody has to be allowed who calls at tcp://*:1"},
		{"called in plain", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", peer: PEER1, allow: [PEER1] }`, "28: relays[0].peer: nobody is called at tcp://b:2; callers stand in allow"},
		{"a name of nobody", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", allow: [trader] }`, `28: relays[0].allow[0]: "trader" is a name that nobody can bear: there are neither qzmq.authorities nor qzmq.authorised_keys, and it is no fingerprint`},
		{"all of nobody", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", allow: ["*"] }`, `28: relays[0].allow[0]: "*" is a name that nobody can bear: there are neither qzmq.authorities nor qzmq.authorised_keys, and it is no fingerprint`},
		{"a file in plain", `{ name: a, listen: "tcp://*:1", connect: "qzmq+tcp://b:2", peer: PEER1, allow_file: keys }`, "28: relays[0].allow_file: nobody has to be allowed who calls at tcp://*:1"},
		{"two keys to call with", `{ name: a, listen: "tcp://*:1", connect: "qzmq+tcp://b:2", peer: PEER1, identities: [a, b] }`, "28: relays[0].identities[1]: whoever calls has one identity"},
		{"a key twice", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", allow: [PEER1], identities: [a, a] }`, `28: relays[0].identities[1]: "a" is relays[0].identities[0] already`},
		{"no path of a knock", `{ name: a, listen: "tcp://*:1", connect: "qzmq+tcp://b:2", peer: PEER1, knock: "" }`, `28: relays[0].knock: "" is not a path`},
		{"somebody twice", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", allow: [PEER1, PEER1] }`, `28: relays[0].allow[1]: "PEER1" is relays[0].allow[0] already`},
		{"rules of nobody", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", allow: [PEER1], rules: [{ peer: PEER2 }] }`, `28: relays[0].rules[0].peer: "PEER2" is not in allow`},
		{"rules twice", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", allow: [PEER1], rules: [{ peer: PEER1 }, { peer: PEER1 }] }`, `28: relays[0].rules[1].peer: "PEER1" is relays[0].rules[0].peer already`},
		{"rules without a peer", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", allow: [PEER1], rules: [{ topics: [a] }] }`, "28: relays[0].rules[0].peer: missing"},
		{"an empty list of topics", `{ name: a, listen: "qzmq+tcp://*:1", connect: "tcp://b:2", allow: [PEER1], rules: [{ peer: PEER1, topics: [] }] }`, "28: relays[0].rules[0].topics: the list is empty"},
		{"an empty service", `{ name: a, listen: "tcp://*:1", connect: "qzmq+tcp://b:2", peer: PEER1, service: "" }`, "28: relays[0].service: the name of a service has 1 to 255 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkErrors(t, bytes.Replace(withRelays("relays: [RELAY]\n"), []byte("RELAY"), []byte(strings.NewReplacer("PEER1", peerText(1), "PEER2", peerText(2)).Replace(tc.relay)), 1),
				env{}, strings.NewReplacer("PEER1", peerText(1), "PEER2", peerText(2)).Replace(tc.want))
		})
	}
}

// logged collects what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// gateRelays runs the relays of a configuration, without the rest of a gateway.
func gateRelays(t *testing.T, id *handshake.Identity, qzmq QZMQConfig, list ...RelayConfig) (*relays, *logged) {
	t.Helper()
	log := new(logged)
	cfg, a := relayConfig(t, id, qzmq, list...)
	p := &peering{identity: id, log: slog.New(slog.NewTextHandler(log, nil))}
	if err := p.protect(AntiDoSConfig{CookieTimeout: time.Minute, MaxConcurrent: 10}, ResumptionConfig{Enabled: true, TicketLifetime: time.Hour}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	rs := p.newRelays(a)
	if err := rs.open(cfg); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { rs.run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return rs, log
}

func relayConfig(t *testing.T, id *handshake.Identity, qzmq QZMQConfig, list ...RelayConfig) (*Config, *authority) {
	t.Helper()
	qzmq.Mode, qzmq.DefaultSuite = handshake.ModeHybrid, handshake.DefaultSuite()
	cfg := &Config{file: "a.yaml", QZMQ: qzmq, Relays: list}
	a, err := cfg.readAuthority(id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return cfg, a
}

// reload gives running relays another configuration, as gateway.replace does.
func (rs *relays) reload(t *testing.T, id *handshake.Identity, qzmq QZMQConfig, list ...RelayConfig) error {
	t.Helper()
	next, err := rs.prepare(relayConfig(t, id, qzmq, list...))
	if err == nil {
		next.commit()
	}
	return err
}

// plainServer is a program that is ready for whoever connects, and says no more.
func plainServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				nc.Write(plainOpening)
				io.Copy(io.Discard, nc)
			}()
		}
	}()
	return "tcp://" + l.Addr().String()
}

// plainOpening is a greeting for NULL and READY of a PAIR.
var plainOpening = append([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL"+strings.Repeat("\x00", 48)),
	"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PAIR"...)

// through connects in plain and says whether the other side became ready.
func through(t *testing.T, at relay.Endpoint) (net.Conn, bool) {
	t.Helper()
	nc, err := net.Dial(at.Network, at.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.Write(plainOpening)
	nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, len(plainOpening))
	_, err = io.ReadFull(nc, b)
	return nc, err == nil
}

func mustParse(t *testing.T, url string) relay.Endpoint {
	t.Helper()
	e, err := relay.ParseEndpoint(url)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A key that is taken out of the file of authorised keys loses the connections that it
// has within a second of a reload, and gets no other.
func TestRevokedRelayPeer(t *testing.T) {
	caller, server, other := newTestIdentity(t), newTestIdentity(t), newTestIdentity(t)
	keys := filepath.Join(t.TempDir(), "keys")
	write := func(lines ...string) {
		if err := os.WriteFile(keys, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trader, guest := caller.Fingerprint().String()+" trader", other.Fingerprint().String()+" guest"
	write(trader, guest)
	known := QZMQConfig{AuthorisedKeys: keys}
	config := RelayConfig{
		Name: "far", Listen: mustParse(t, "qzmq+tcp://127.0.0.1:0"), Connect: mustParse(t, plainServer(t)),
		AllowNames: []string{"trader"}, Service: "orders",
	}
	far, log := gateRelays(t, server, known, config)
	endpoint := far.list()[0].Endpoint()
	reload := func() {
		t.Helper()
		if err := far.reload(t, server, known, config); err != nil {
			t.Fatal(err)
		}
	}
	call := func(id *handshake.Identity, service string) *relays {
		near, _ := gateRelays(t, id, QZMQConfig{}, RelayConfig{
			Name: "near", Listen: mustParse(t, "tcp://127.0.0.1:0"), Connect: endpoint,
			Peer: server.Fingerprint(), Service: service,
		})
		return near
	}
	near := call(caller, "orders")
	nc, ok := through(t, near.list()[0].Endpoint())
	if !ok {
		t.Fatalf("an authorised key gets nothing: %s", log.String())
	}
	if _, ok := through(t, call(other, "orders").list()[0].Endpoint()); ok {
		t.Error("a key of another name is let in")
	}
	if _, ok := through(t, call(caller, "other").list()[0].Endpoint()); ok {
		t.Error("another service is served")
	}

	write(guest)
	began := time.Now()
	reload()
	nc.SetReadDeadline(began.Add(5 * time.Second))
	if _, err := io.Copy(io.Discard, nc); err != nil {
		t.Fatalf("a revoked key keeps its connection: %v", err)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("it was cut after %v", d)
	}
	if _, ok := through(t, near.list()[0].Endpoint()); ok {
		t.Error("a revoked key is let in again")
	}
	write(trader)
	reload()
	nc, ok = through(t, near.list()[0].Endpoint())
	if !ok {
		t.Fatal("a key that was authorised again gets nothing")
	}
	reload() // and notices nothing of this one
	nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := io.Copy(io.Discard, nc); err == nil {
		t.Error("a connection ended in a reload that changed nothing")
	}
	s := far.list()[0].Stats()
	for end := time.Now().Add(5 * time.Second); s.Handshakes["ok"] < 2 && time.Now().Before(end); { // READY comes first
		time.Sleep(time.Millisecond)
		s = far.list()[0].Stats()
	}
	if s.Ended["denied"] != 1 || s.Handshakes["denied"] < 2 || s.Handshakes["wrong_purpose"] == 0 || s.Handshakes["ok"] != 2 {
		t.Errorf("the figures are %+v", s)
	}
	if strings.Count(log.String(), "not authorised") != 1 {
		t.Errorf("the log says\n%s", log.String())
	}
}

// Relays come, go and change with the configuration; one that stays notices nothing.
func TestReloadRelays(t *testing.T) {
	id, peer := newTestIdentity(t), newTestIdentity(t).Fingerprint()
	dir := t.TempDir()
	at := func(name string) relay.Endpoint { return mustParse(t, "ipc://"+filepath.Join(dir, name)) }
	one := func(name, listen string) RelayConfig {
		return RelayConfig{Name: name, Listen: at(listen), Connect: mustParse(t, "qzmq+tcp://127.0.0.1:1"), Peer: peer}
	}
	listens := func(name string) bool {
		nc, err := net.Dial("unix", filepath.Join(dir, name))
		if err != nil {
			return false
		}
		nc.Close()
		return true
	}
	rs, _ := gateRelays(t, id, QZMQConfig{}, one("a", "a"), one("b", "b"))
	kept := rs.list()[0]
	// b changes where it was, c is new.
	changed := one("b", "b")
	changed.Service = "orders"
	if err := rs.reload(t, id, QZMQConfig{}, one("a", "a"), changed, one("c", "c")); err != nil {
		t.Fatal(err)
	}
	if !listens("a") || !listens("b") || !listens("c") || len(rs.list()) != 3 || rs.list()[0] != kept || rs.list()[1].cfg.Service != "orders" {
		t.Errorf("there are %v", rs.show())
	}
	// A mistake changes nothing.
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rs.reload(t, id, QZMQConfig{}, one("d", "d"), one("e", "file")); err == nil || !strings.Contains(err.Error(), "relays[1]") {
		t.Errorf("a relay that cannot listen: %v", err)
	}
	if !listens("a") || listens("d") || len(rs.list()) != 3 {
		t.Errorf("there are %v", rs.show())
	}
	// All go but one.
	if err := rs.reload(t, id, QZMQConfig{}, one("a", "a")); err != nil {
		t.Fatal(err)
	}
	if !listens("a") || listens("b") || listens("c") || len(rs.list()) != 1 || rs.list()[0] != kept {
		t.Errorf("there are %v", rs.show())
	}
}

// Strangers who fill the sealed doors of relays make the gateway ask for cookies, at
// relays and links alike, and callers who can show one are served meanwhile.
func TestRelayCookies(t *testing.T) {
	caller, server := newTestIdentity(t), newTestIdentity(t)
	far, _ := gateRelays(t, server, QZMQConfig{}, RelayConfig{
		Name: "far", Listen: mustParse(t, "qzmq+tcp://127.0.0.1:0"), Connect: mustParse(t, plainServer(t)),
		Allow: []handshake.Fingerprint{caller.Fingerprint()},
	})
	far.peering.callers.limits.Cookie = CookieAuto
	near, _ := gateRelays(t, caller, QZMQConfig{}, RelayConfig{
		Name: "near", Listen: mustParse(t, "tcp://127.0.0.1:0"), Connect: far.list()[0].Endpoint(), Peer: server.Fingerprint(),
	})
	demanded := func(want bool) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); far.peering.callers.cookieDemanded() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("cookies are demanded: %v, with %d on their way", !want, far.peering.callers.relayed.Load())
			}
		}
	}
	demanded(false)
	var held []net.Conn
	for range cookiesFrom + 1 {
		nc, err := net.Dial("tcp", far.list()[0].Endpoint().Address)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, nc)
	}
	demanded(true)
	if near.peering.callers.relayed.Load() != 0 {
		t.Error("plain connections are counted")
	}
	if _, ok := through(t, near.list()[0].Endpoint()); !ok {
		t.Error("who shows a cookie is not served")
	}
	for _, nc := range held {
		nc.Close()
	}
	demanded(false)
}

package controlplane

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// A relay with keys of its own, a knock, and a file of callers, inside a gateway whose
// identity it does not use; the near one calls by a name that several keys bear.
func TestRelayKeys(t *testing.T) {
	gateway, server, next, caller := newTestIdentity(t), newTestIdentity(t), newTestIdentity(t), newTestIdentity(t)
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	knock, err := handshake.GenerateKnock()
	if err != nil {
		t.Fatal(err)
	}
	line := func(id *handshake.Identity, name string) string { return id.Fingerprint().String() + " " + name + "\n" }
	farConfig := RelayConfig{
		Name: "far", Listen: mustParse(t, "qzmq+tcp://127.0.0.1:0"), Connect: mustParse(t, plainServer(t)),
		Identities: []string{file("server.key", server.MarshalKeyFile())},
		Knock:      file("knock", knock.MarshalFile()),
		AllowFile:  file("callers", []byte(line(caller, "trader"))),
	}
	far, farLog := gateRelays(t, gateway, QZMQConfig{}, farConfig)
	// The gateway's own key bears the name too; and so does one that nobody has.
	known := QZMQConfig{AuthorisedKeys: file("servers", []byte(line(gateway, "server")+line(next, "server")+line(server, "server")))}
	nearConfig := RelayConfig{
		Name: "near", Listen: mustParse(t, "tcp://127.0.0.1:0"), Connect: far.list()[0].Endpoint(),
		Identities: []string{file("caller.key", caller.MarshalKeyFile())}, Knock: farConfig.Knock, PeerName: "server",
	}
	near, nearLog := gateRelays(t, gateway, known, nearConfig)
	nc, ok := through(t, near.list()[0].Endpoint())
	if !ok {
		t.Fatalf("nothing is served:\n%s%s", nearLog, farLog)
	}
	// What is served first is counted a moment later.
	for end := time.Now().Add(5 * time.Second); len(far.list()[0].Stats().Peers) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := far.list()[0].Stats().Peers; len(n) != 1 || n[0].Peer != caller.Fingerprint() || far.show()[0].Peers[0].Name != "trader" {
		t.Errorf("the caller is %+v", far.show())
	}

	// Without the knock there is no answer.
	unaware := nearConfig
	unaware.Name, unaware.Knock = "unaware", ""
	blind, _ := gateRelays(t, gateway, known, unaware)
	if _, ok := through(t, blind.list()[0].Endpoint()); ok {
		t.Error("who has not the knock is answered")
	}

	// Another key in the same file: the relay is the same one, its connection stays, and
	// new ones meet the new key.
	file("server.key", next.MarshalKeyFile())
	if err := far.reload(t, gateway, QZMQConfig{}, farConfig); err != nil {
		t.Fatal(err)
	}
	nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := io.Copy(io.Discard, nc); err == nil {
		t.Error("a connection ended when the key was replaced")
	}
	if _, ok := through(t, near.list()[0].Endpoint()); !ok {
		t.Errorf("the next key is not called:\n%s%s", nearLog, farLog)
	}

	// What is wrong with the files is known before anything changes.
	for _, tc := range []struct {
		change func(*RelayConfig)
		want   string
	}{
		{func(c *RelayConfig) { c.Identities = append(c.Identities, c.Identities[0]) }, "named twice"},
		{func(c *RelayConfig) { c.Identities = []string{filepath.Join(dir, "none")} }, "relays[0].identities[0]"},
		{func(c *RelayConfig) { c.Knock = c.Identities[0] }, "relays[0].knock"},
		{func(c *RelayConfig) { c.AllowFile = c.Identities[0] }, "relays[0].allow_file"},
		{func(c *RelayConfig) { c.Certificate = c.Identities[0] }, "relays[0].certificate"},
		{func(c *RelayConfig) { c.Allow = []handshake.Fingerprint{next.Fingerprint()} }, errOwnKey.Error()},
	} {
		c := farConfig
		tc.change(&c)
		cfg := &Config{file: "a.yaml", QZMQ: QZMQConfig{Mode: handshake.ModeHybrid, DefaultSuite: handshake.DefaultSuite()}, Relays: []RelayConfig{c}}
		if _, err := cfg.readAuthority(gateway, time.Now()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %q", err, tc.want)
		}
	}
}

// Of a certificate the part that it is shown for must be allowed, and a gateway's own
// is not shown with another key.
func TestRelayCertificates(t *testing.T) {
	ca, gateway, own := newTestAuthority(t), newTestIdentity(t), newTestIdentity(t)
	dir := t.TempDir()
	issue := func(name string, id *handshake.Identity, roles handshake.Roles) string {
		t.Helper()
		q, err := handshake.NewRequest(id)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ca.Issue(q, handshake.Grant{Name: name, Roles: roles, NotBefore: authNow(), NotAfter: authNow().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.MarshalFile(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := filepath.Join(dir, "own.key")
	if err := os.WriteFile(key, own.MarshalKeyFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	gatewayCertificate := issue("gateway", gateway, handshake.LinkRoles|handshake.ZMTPRoles)
	for _, tc := range []struct {
		certificate string
		identities  []string
		shown       string // the name in what is shown; empty for nothing
		wrong       string
	}{
		{"", nil, "gateway", ""},
		{"", []string{key}, "", ""},
		{issue("own", own, handshake.ZMTPResponder), []string{key}, "own", ""},
		{issue("caller", own, handshake.ZMTPInitiator), []string{key}, "", "not for zmtp-responder"},
		{gatewayCertificate, []string{key}, "", "is for another key"},
	} {
		cfg := &Config{file: "a.yaml", QZMQ: QZMQConfig{Mode: handshake.ModeHybrid, DefaultSuite: handshake.DefaultSuite()},
			Gateway: GatewayConfig{Certificate: gatewayCertificate},
			Relays: []RelayConfig{{Name: "far", Listen: mustParse(t, "qzmq+tcp://*:1"), Connect: mustParse(t, "tcp://b:2"),
				Identities: tc.identities, Certificate: tc.certificate, Allow: []handshake.Fingerprint{{1}}}},
		}
		a, err := cfg.readAuthority(gateway, authNow())
		switch {
		case tc.wrong != "":
			if err == nil || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%s: %v, want %q", tc.certificate, err, tc.wrong)
			}
		case err != nil:
			t.Error(err)
		default:
			shown := a.relays["far"].certificate
			if (shown == nil) != (tc.shown == "") || shown != nil && shown.Name != tc.shown {
				t.Errorf("%q of %v shows %v", tc.certificate, tc.identities, shown)
			}
		}
	}
}

package zmq4transport

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// What is wrong with a config is said by New, not when the first peer comes. That a
// transport carries is tested in interop/, with zmq4 itself.
func TestConfigs(t *testing.T) {
	id, err := handshake.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := handshake.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	anybody := func(handshake.Fingerprint) bool { return true }
	for _, tc := range []struct {
		name string
		cfg  Config
		says string // empty for no error
	}{
		{"one that dials", Config{Handshake: handshake.Config{Identity: id, Peer: other.Fingerprint()}}, ""},
		{"one that listens", Config{Network: "unix", Handshake: handshake.Config{Identity: id, Authorize: anybody}}, ""},
		{"nobody", Config{Handshake: handshake.Config{Identity: id}}, "nobody is named"},
		{"no identity", Config{Handshake: handshake.Config{Peer: other.Fingerprint()}}, "identity"},
		{"itself", Config{Handshake: handshake.Config{Identity: id, Peer: id.Fingerprint()}}, "this identity itself"},
		{"a network", Config{Network: "udp", Handshake: handshake.Config{Identity: id, Authorize: anybody}}, "udp"},
		{"a limit", Config{MaxParts: -1, Handshake: handshake.Config{Identity: id, Authorize: anybody}}, "negative"},
		{"an age", Config{Lifetime: zmtp.Lifetime{MaxAge: -time.Second}, Handshake: handshake.Config{Identity: id, Authorize: anybody}}, "negative"},
	} {
		_, err := New[*net.Dialer](tc.cfg)
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	tcp, unix := Transport[*net.Dialer]{cfg: Config{Network: "tcp"}}, Transport[*net.Dialer]{cfg: Config{Network: "unix"}}
	for endpoint, want := range map[string]string{
		"127.0.0.1:5555": "127.0.0.1:5555", "*:*": "0.0.0.0:0", ":5555": "0.0.0.0:5555", "[::1]:*": "[::1]:0", "host:": "host:0",
	} {
		if got, err := tcp.Addr(endpoint); err != nil || got != want {
			t.Errorf("%s is %s, %v", endpoint, got, err)
		}
	}
	if got, err := tcp.Addr("127.0.0.1"); err == nil {
		t.Errorf("an address without a port is %s", got)
	}
	if got, err := unix.Addr("/run/s"); err != nil || got != "/run/s" {
		t.Errorf("%s, %v", got, err)
	}
}

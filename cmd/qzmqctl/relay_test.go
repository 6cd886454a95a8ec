package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// What a relay is told and cannot do, in words. That it carries is tested in
// qzmq/relay, which runs this command.
func TestRelayRefusals(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "a.key")
	_, own, _ := ctl("keygen", key)
	_, peer, _ := ctl("keygen", filepath.Join(dir, "b.key"))
	own, peer = strings.TrimSpace(own), strings.TrimSpace(peer)
	for _, tc := range []struct {
		flags string
		code  int
		says  string
	}{
		{"", 2, "usage:"},
		{"--identity KEY --listen tcp://127.0.0.1:0", 2, "usage:"},
		{"--identity KEY --listen tcp://127.0.0.1:0 --connect qzmq+tcp://127.0.0.1:1 --peer PEER more", 2, "usage:"},
		{"--identity KEY --listen 127.0.0.1:0 --connect qzmq+tcp://127.0.0.1:1 --peer PEER", 1, "is no URL"},
		{"--identity KEY --listen tcp://127.0.0.1:0 --connect tcp://127.0.0.1:1", 1, "one is plain and one is sealed"},
		{"--identity KEY --listen tcp://127.0.0.1:0 --connect qzmq+tcp://127.0.0.1:1", 1, "--peer names it"},
		{"--identity KEY --listen tcp://127.0.0.1:0 --connect qzmq+tcp://127.0.0.1:1 --peer PEER --allow PEER", 1, "--peer names it"},
		{"--identity KEY --listen qzmq+tcp://127.0.0.1:0 --connect tcp://127.0.0.1:1", 1, "--allow names them"},
		{"--identity KEY --listen qzmq+tcp://127.0.0.1:0 --connect tcp://127.0.0.1:1 --allow PEER,qz1x", 1, "--allow qz1x"},
		{"--identity KEY --listen tcp://127.0.0.1:0 --connect qzmq+tcp://127.0.0.1:1 --peer OWN", 1, "own key"},
		{"--identity KEY --identity KEY --listen tcp://127.0.0.1:0 --connect qzmq+tcp://127.0.0.1:1 --peer PEER", 1, "has one --identity"},
		{"--identity KEY --identity KEY --listen qzmq+tcp://127.0.0.1:0 --connect tcp://127.0.0.1:1 --allow PEER", 1, "named twice"},
		{"--identity KEY.not --listen tcp://127.0.0.1:0 --connect qzmq+tcp://127.0.0.1:1 --peer PEER", 1, "no such file"},
		{"--identity KEY --listen ipc://DIR --connect qzmq+tcp://127.0.0.1:1 --peer PEER", 1, "is no socket"},
		{"--identity KEY --listen tcp://192.0.2.1:1 --connect qzmq+tcp://127.0.0.1:1 --peer PEER", 1, "listen at tcp://192.0.2.1:1"},
	} {
		flags := strings.NewReplacer("KEY", key, "PEER", peer, "OWN", own, "DIR", dir).Replace(tc.flags)
		code, _, says := ctl(append([]string{"relay"}, strings.Fields(flags)...)...)
		if code != tc.code || !strings.Contains(says, tc.says) {
			t.Errorf("%s: %d, %s", tc.flags, code, says)
		}
	}
}

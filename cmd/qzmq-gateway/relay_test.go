package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRelays: programs that are told to connect to their gateway talk through the
// relays of two gateways, beside a link; the figures show who, and a peer that is
// taken out of the configuration is cut.
func TestRelays(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "-relay")
	const front, middle, back = insideA4 + ":5600", outsideB4 + ":5601", hostB4 + ":5602"
	far := func(allowed string) {
		b.configure(siteB, "relays:",
			fmt.Sprintf(`  - { name: orders, listen: "qzmq+tcp://%s", connect: "tcp://%s", allow: [%s], service: orders }`, middle, back, allowed))
	}
	far(b.peers["a"])
	b.configure(siteA, "relays:",
		fmt.Sprintf(`  - { name: orders, listen: "tcp://%s", connect: "qzmq+tcp://%s", peer: %s, service: orders }`, front, middle, b.peers["b"]))
	a, z := b.linked()

	bound := b.spawn(siteB.host, messages, "rep", "bind", "tcp://"+back, "--count", "120", "--timeout", "10")
	connected := b.spawn(siteA.host, messages, "req", "connect", "tcp://"+front, "--count", "120", "--timeout", "10")
	var ends [2]ledger
	for i, p := range []*process{connected, bound} {
		if err := json.Unmarshal([]byte(p.wait(40*time.Second)), &ends[i]); err != nil {
			t.Fatalf("%v: %v; it printed:\n%s", p.cmd.Args, err, &p.out)
		}
	}
	if ends[0].SHA256 != ends[1].SHA256 || ends[0].Messages != 120 {
		t.Errorf("the programs disagree: %+v", ends)
	}
	for d, peer := range map[*daemon]string{a: b.peers["b"], z: b.peers["a"]} {
		m := d.metrics()
		for _, direction := range []string{"in", "out"} {
			if n := m.sum("qzmq_relay_frames_total", `relay="orders"`, `peer="`+peer+`"`, `direction="`+direction+`"`); n < 120 {
				t.Errorf("%s: %v frames %s", d.at.name, n, direction)
			}
		}
		if n := m.sum("qzmq_relay_handshakes_total", `relay="orders"`, `result="ok"`); n == 0 {
			t.Errorf("%s: no connection came up, it says", d.at.name)
		}
		s := d.status()
		if len(s.Relays) != 1 || len(s.Relays[0].Peers) != 1 || s.Relays[0].Peers[0].Peer != peer {
			t.Errorf("%s shows %+v", d.at.name, s.Relays)
		}
	}

	// A program that stays, and loses its connection when its gateway may not any more.
	b.spawn(siteB.host, messages, "rep", "bind", "tcp://"+back, "--count", "1000000", "--timeout", "30")
	b.spawn(siteA.host, messages, "req", "connect", "tcp://"+front, "--count", "1000000", "--timeout", "30")
	b.within(10*time.Second, "a connection is up", func() bool { return open(z) == 1 })
	far(b.peers["c"])
	began := time.Now()
	z.reloaded("configuration reloaded")
	b.within(time.Second, "the revoked gateway has no connection", func() bool { return open(z) == 0 })
	t.Logf("cut %v after the reload began", time.Since(began).Round(time.Millisecond))
	b.within(10*time.Second, "it is told why", func() bool { return strings.Contains(a.out.String(), "access_denied") })
}

// open is how many connections the relays of a gateway have.
func open(d *daemon) (n int) {
	for _, r := range d.status().Relays {
		n += r.Open
	}
	return n
}

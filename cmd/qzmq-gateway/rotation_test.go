package main_test

import (
	"encoding/binary"
	"strconv"
	"testing"
	"time"
)

// TestRotation: sessions are replaced while packets flow, and not one is lost;
// what was replaced opens nothing any more.
func TestRotation(t *testing.T) {
	t.Parallel()
	const (
		maxAge   = 5
		traffic  = 20 * time.Second
		sessions = 3 // at least so many new ones in this time

		// The side that decides keeps both channels for 2.5 s, and late records
		// of a replaced session are taken for 5 s more.
		removal = 7500 * time.Millisecond
	)
	b := newTestbed(t, "-rotation")
	a, z := b.linked("QZMQ_QZMQ_KEY_ROTATION_MAX_AGE_S=" + strconv.Itoa(maxAge))
	before := [2]metrics{a.metrics(), z.metrics()}
	wire := b.onWire(isFrom(siteA))

	flow := b.flow(siteA, siteB, 100)
	b.during(traffic)
	sent, lost, doubled := flow.finish()
	t.Logf("%d packets sent, %d lost, %d doubled", sent, lost, doubled)
	if lost != 0 || doubled != 0 || sent < 500 {
		t.Errorf("%d packets sent, %d lost, %d doubled", sent, lost, doubled)
	}
	for i, d := range []*daemon{a, z} {
		n := d.metrics().handshakes() - before[i].handshakes()
		t.Logf("gateway %s has made %.0f handshakes", d.at.name, n)
		if n < sessions {
			t.Errorf("gateway %s has made %.0f handshakes, not %d", d.at.name, n, sessions)
		}
	}

	// The sessions in the order in which they came, each by its latest record.
	var latest []*frame
	for _, f := range wire.all() {
		if n := len(latest); n > 0 && session(latest[n-1]) == session(f) {
			latest[n-1] = f
			continue
		}
		latest = append(latest, f)
	}
	if len(latest) < sessions {
		t.Fatalf("the wire has seen %d sessions, not %d", len(latest), sessions)
	}
	seen := map[uint32]bool{}
	var gone [][]byte
	for i, f := range latest {
		if seen[session(f)] {
			t.Errorf("session %#x came back after another one", session(f))
		}
		seen[session(f)] = true
		if i+1 < len(latest) && time.Since(f.at) > removal+time.Second {
			gone = append(gone, f.b)
		}
	}
	t.Logf("%d sessions on the wire, %d of them long replaced", len(latest), len(gone))
	if len(gone) == 0 {
		t.Fatal("no session was replaced long ago")
	}
	attacker := b.attacker(z)
	attacker.send(t, "records of replaced sessions", map[string]int{"xdp unknown_session": len(gone)}, gone...)
	if !b.ping("host-b", hostA4) {
		t.Error("no ping any more")
	}
}

// session is the session id of a record.
func session(f *frame) uint32 { return binary.BigEndian.Uint32(f.record()[4:]) }

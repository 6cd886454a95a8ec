package main_test

import (
	"strings"
	"testing"
	"time"
)

// retries is over how many attempts a refusal may be told only once.
const retries = 4

// complaints are what a gateway has logged about links that are not made, after
// so many bytes of its log, without the times.
func (d *daemon) complaints(after int) (lines []string) {
	for line := range strings.Lines(d.out.String()[after:]) {
		if strings.Contains(line, "link cannot be made") || strings.Contains(line, "a caller was refused") {
			_, line, _ = strings.Cut(line, " ")
			lines = append(lines, line)
		}
	}
	return lines
}

// once fails the test unless the log of d says this exactly once.
func (d *daemon) once(words ...string) {
	d.t.Helper()
	if found := d.out.lines(words...); len(found) != 1 {
		d.t.Errorf("gateway %s has logged %q %d times, not once", d.at.name, words, len(found))
	}
}

// nothingTwice fails the test if d has complained of one thing twice, or of more
// than a few things.
func (d *daemon) nothingTwice(after int) {
	d.t.Helper()
	seen := map[string]bool{}
	all := d.complaints(after)
	for _, line := range all {
		if seen[line] {
			d.t.Errorf("gateway %s has logged this more than once: %s", d.at.name, line)
		}
		seen[line] = true
	}
	if len(all) > 3 { // being refused, refusing, and the peer that is down
		d.t.Errorf("gateway %s has logged %d complaints:\n%s", d.at.name, len(all), strings.Join(all, ""))
	}
}

// TestWrongIdentity: who has not the key that the configuration names gets no
// link, and the log says so once.
func TestWrongIdentity(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "-identity")
	b.configure(siteA)
	b.configure(siteB)

	// A believes that B has the key of C. So A is not answered when it calls, and
	// refuses B when B calls.
	a := b.gateway(siteA, "QZMQ_PEER="+b.peers["c"])
	z := b.gateway(siteB)
	records := b.onWire(func(f *frame) bool { return f.isRecord() || f.inClear() })
	b.within(30*time.Second, "both have failed several times", func() bool {
		a.running()
		z.running()
		for _, d := range []*daemon{a, z} {
			if status, _, err := d.get("/healthz"); err != nil || status != 200 {
				return false // it has only just started
			}
		}
		return a.metrics().sum("qzmq_handshakes_total", `role="initiator"`) >= retries &&
			z.metrics().sum("qzmq_handshakes_total", `role="initiator"`) >= retries
	})
	if b.ping("host-a", hostB4) || b.ping("host-b", hostA6) {
		t.Error("hosts reach each other without a link")
	}
	for _, d := range []*daemon{a, z} {
		if d.ready() || d.metrics().handshakes() != 0 {
			t.Errorf("gateway %s has a link with the wrong peer", d.at.name)
		}
		d.running()
		d.nothingTwice(0)
	}
	a.once("link cannot be made", "gave no answer", b.peers["c"])
	z.once("link cannot be made", "access_denied", b.peers["a"])
	a.once("a caller was refused")
	if n := len(records.all()); n > 0 {
		t.Errorf("%d frames with data on the wire", n)
	}

	a.kill()
	a = b.gateway(siteA)
	a.awaitReady()
	z.awaitReady()
	if !b.ping("host-a", hostB4) {
		t.Error("no ping with the right identities")
	}

	// Now somebody calls who is nobody's peer, from A's address.
	a.kill()
	read := len(z.out.String())
	failed := z.metrics().failedHandshakes()
	c := b.gateway(siteA, "QZMQ_IDENTITY="+b.key("c"))
	b.within(30*time.Second, "the unknown caller was refused several times", func() bool {
		c.running()
		return z.metrics().failedHandshakes() >= failed+retries
	})
	said := 0
	for _, line := range z.complaints(read) {
		if strings.Contains(line, "a caller was refused") {
			said++
		}
	}
	if said != 1 {
		t.Errorf("the refusal of an unknown caller was logged %d times, not once", said)
	}
	if b.ping("host-a", hostB4) {
		t.Error("an unknown caller has got through")
	}
	z.nothingTwice(read)
	c.nothingTwice(0)
	z.running()
}

package main_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qzmq/gateway/controlplane"
)

// reloaded sends SIGHUP and waits until the log says how it ended.
func (d *daemon) reloaded(words string) {
	d.t.Helper()
	before := len(d.out.lines(words))
	d.signal(syscall.SIGHUP)
	d.b.within(5*time.Second, "the log says "+words, func() bool { return len(d.out.lines(words)) > before })
}

// TestReload: links come and go while another one carries a flow, which loses
// nothing; a file with mistakes changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "-reload")
	a, z := b.linked()
	shipped := b.configure(siteA)
	good, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(shipped, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const fine, refused = "configuration reloaded", "the configuration was not reloaded"
	third := string(good) + "  - name: site-c\n    peer: " + b.peers["c"] + "\n    routes: [10.9.0.0/24]\n"
	// Before the neighbours are known few packets have room to wait.
	b.within(5*time.Second, "traffic flows both ways", func() bool { return b.ping("host-a", hostB4) && b.ping("host-b", hostA4) })
	session := a.status().Links[0].Session.ID
	flow := b.flow(siteA, siteB, 500)

	for range 10 {
		write(third)
		a.reloaded(fine)
		if s := a.status(); len(s.Links) != 2 || s.Links[1].Name != "site-c" || s.Links[1].State != controlplane.LinkDown {
			t.Errorf("after a link was added: %+v", s.Links)
		}
		if rules := b.guard(siteA); !strings.Contains(rules, "to 10.9.0.0/24 iif eth1 blackhole") || !b.guarded(siteA) {
			t.Errorf("the guard after a link was added:\n%s", rules)
		}
		before := a.metrics()
		b.ping("host-a", "10.9.0.1")
		if n := a.metrics().since(before).sum("qzmq_drops_total", `reason="no_session"`); n == 0 {
			t.Error("traffic to the new link is not taken")
		}
		write(string(good))
		a.reloaded(fine)
		if s := a.status(); len(s.Links) != 1 {
			t.Errorf("after it was removed: %+v", s.Links)
		}
		if rules := b.guard(siteA); strings.Contains(rules, "10.9.0.0/24") || !b.guarded(siteA) {
			t.Errorf("the guard after it was removed:\n%s", rules)
		}
	}

	for _, c := range []struct{ name, from, to, says string }{
		{"a bad route", "routes: [10.2.0.0/24", "routes: [10.2.0.0/33", "links[0].routes[0]"},
		{"no YAML", "gateway:", "gateway: [", "not YAML"},
		{"own key as peer", "${QZMQ_PEER}", b.peers["a"], "links[0].peer"},
		{"own network as route", "routes: [10.2.0.0/24", "routes: [10.1.0.0/24", "this gateway's own network"},
		{"what only a restart changes", "port: 5580 }", "port: 5581 }", "gateway.outside"},
	} {
		broken := strings.Replace(string(good), c.from, c.to, 1)
		if broken == string(good) {
			t.Fatalf("%q is not in the configuration that we ship", c.from)
		}
		write(broken)
		a.reloaded(refused)
		said := a.out.lines(refused)
		if last := said[len(said)-1]; !strings.Contains(last, c.says) {
			t.Errorf("%s: the log says %s", c.name, last)
		}
		if s := a.status(); len(s.Links) != 1 || s.Links[0].State != controlplane.LinkUp || !b.guarded(siteA) {
			t.Errorf("%s: %+v", c.name, s.Links)
		}
	}

	sent, lost, doubled := flow.finish()
	t.Logf("%d packets sent, %d lost, %d doubled", sent, lost, doubled)
	if lost != 0 || doubled != 0 || sent < 500 {
		t.Errorf("%d packets sent, %d lost, %d doubled", sent, lost, doubled)
	}
	if now := a.status().Links[0]; now.Session == nil || now.Session.ID != session || now.SessionsUp != 1 {
		t.Errorf("the link has noticed: %+v, session was %s", now, session)
	}

	t.Run("a changed link goes and comes", func(t *testing.T) {
		write(strings.TrimSuffix(string(good), "\n") + "\n    services: [{ name: all, ports: [1-65535] }]\n    other: drop\n")
		a.reloaded(fine)
		a.awaitReady()
		z.awaitReady()
		if now := a.status().Links[0]; now.Session == nil || now.Session.ID == session {
			t.Errorf("%+v", now)
		}
		b.exchange(siteB, siteA, "pull", "push", 5555, "--count", "50")
		if b.ping("host-a", hostB4) {
			t.Error("what no service names is not dropped")
		}
	})
	t.Run("a link that is taken out says goodbye", func(t *testing.T) {
		write(strings.SplitN(string(good), "links:", 2)[0])
		a.reloaded(fine)
		b.within(time.Second, "the peer takes note", func() bool { return z.status().Links[0].State == controlplane.LinkDown })
		if s := a.status(); len(s.Links) != 0 || len(s.Sessions) != 0 || b.guarded(siteA) {
			t.Errorf("%+v\n%s", s.Links, b.guard(siteA))
		}
	})
}

// TestRevoke: a key that is taken out of the file of authorised keys is cut off
// within a second of the signal, also when it was the last one of its name.
func TestRevoke(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "-revoke")
	shipped := b.configure(siteA)
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	keys := b.dir + "/keys"
	authorise := func(who ...string) {
		t.Helper()
		lines := ""
		for _, w := range who {
			lines += b.peers[w] + " site-" + w + "\n"
		}
		if err := os.WriteFile(keys, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	named := strings.Replace(string(text), "peer: ${QZMQ_PEER}", "peer_name: site-b", 1) + "qzmq: { authorised_keys: " + keys + " }\n"
	if err := os.WriteFile(shipped, []byte(named), 0o600); err != nil {
		t.Fatal(err)
	}
	authorise("b", "c")
	a, _ := b.linked()
	flow := b.flow(siteA, siteB, 100)
	b.during(500 * time.Millisecond)
	authorise("c")
	a.signal(syscall.SIGHUP)
	took := b.within(time.Second, "the peer is cut", func() bool { return a.status().Links[0].State == controlplane.LinkDown })
	t.Logf("cut after %v", took.Round(time.Millisecond))
	if len(a.status().Sessions) != 0 {
		t.Errorf("sessions are left: %+v", a.status().Sessions)
	}
	if len(a.out.lines("a link has no peer", `\"site-b\" has no key`)) == 0 {
		t.Error("the log does not say that nobody bears the name")
	}
	b.during(2 * time.Second)
	if a.ready() || b.ping("host-b", hostA4) || b.ping("host-a", hostB4) {
		t.Error("a peer that was revoked is back")
	}
	flow.finish()
	authorise("b", "c")
	a.reloaded("configuration reloaded")
	b.within(70*time.Second, "the peer is let in again", a.ready)
	if !b.ping("host-a", hostB4) {
		t.Error("no ping")
	}
}

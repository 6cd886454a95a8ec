package main_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qzmq/gateway/controlplane"
)

// ctl runs qzmqctl for a gateway. It needs no namespace: the socket is a file.
func (b *testbed) ctl(s site, args ...string) (string, error) {
	cmd := b.command(s.gateway, append([]string{"qzmqctl"}, args...)...)
	cmd.Env = b.environment(s)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// shown is ctl for what has to succeed.
func (b *testbed) shown(s site, args ...string) string {
	b.t.Helper()
	out, err := b.ctl(s, args...)
	if err != nil {
		b.t.Fatalf("qzmqctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// status is what /status says.
func (d *daemon) status() (s controlplane.Status) {
	d.t.Helper()
	code, body, err := d.get("/status")
	if err != nil || code != http.StatusOK {
		d.t.Fatalf("status of gateway %s: %d, %v\n%s", d.at.name, code, err, body)
	}
	in := json.NewDecoder(strings.NewReader(body))
	in.DisallowUnknownFields()
	if err := in.Decode(&s); err != nil {
		d.t.Fatalf("status of gateway %s: %v\n%s", d.at.name, err, body)
	}
	return s
}

// TestShow: what the operator sees is what happens.
func TestShow(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "-show")
	a, z := b.linked()
	before := a.status()
	// From several ports, so that the testbed's kernel, which chooses the queue
	// by a hash, uses more than one.
	for _, port := range []int{5555, 5556, 5557, 5558} {
		b.exchange(siteB, siteA, "pull", "push", port, "--count", "400")
	}

	t.Run("figures move", func(t *testing.T) {
		s := a.status()
		if s.Name != "site-a" || s.Fingerprint != b.peers["a"] || s.Version == "" || s.UptimeSeconds <= before.UptimeSeconds || !s.Started.Equal(before.Started) {
			t.Errorf("%+v", s)
		}
		if len(s.Links) != 1 || len(s.Sessions) == 0 {
			t.Fatalf("%d links, %d sessions", len(s.Links), len(s.Sessions))
		}
		l := s.Links[0]
		if l.Name != "site-b" || l.State != controlplane.LinkUp || l.Peer != b.peers["b"] || l.Forged != 0 || l.Mode != "hybrid" || l.Session == nil {
			t.Errorf("%+v", l)
		}
		if c := l.Session; c == nil || c.Suite != "x25519+mlkem768/mldsa44/aes256gcm/sha256" || c.Address != outsideB4+":5580" || c.WireMTU != 1500 || c.InnerMTU != 1440 {
			t.Errorf("session %+v", c)
		}
		if was := before.Links[0]; l.Sealed.Bytes < was.Sealed.Bytes+100_000 || l.Opened.Records == was.Opened.Records {
			t.Errorf("sealed %+v, opened %+v; before %+v, %+v", l.Sealed, l.Opened, was.Sealed, was.Opened)
		}
		var sealed, received uint64
		for _, q := range s.Queues {
			sealed += q.Out.Records
		}
		if sealed != l.Sealed.Records {
			t.Errorf("the queues have sealed %d records and the link %d", sealed, l.Sealed.Records)
		}
		for _, k := range s.Features.Sockets {
			received += k.ReceivedPackets
		}
		if received == 0 || len(s.Features.Sockets) != 2*len(s.Queues) || s.Features.Workers != len(s.Queues) {
			t.Errorf("%+v", s.Features)
		}
		if f := s.Features; f.AEADProvider == "" || f.Kernel == "" || !strings.HasPrefix(f.GoVersion, "go1.") || f.UDPChecksum || !f.ShareRecords {
			t.Errorf("%+v", f)
		}
	})

	t.Run("spread", func(t *testing.T) {
		s := z.status()
		var arrived, sealed uint64
		for _, q := range s.Queues {
			for _, at := range q.Arriving {
				arrived += at.Records
			}
			if len(q.Leaving) != 1 || q.Leaving[0].Link != "site-a" || q.Leaving[0].Stream != q.Queue || q.Leaving[0].SourcePort < 61000 {
				t.Errorf("queue %d: leaving %+v", q.Queue, q.Leaving)
			}
		}
		for _, l := range a.status().Links {
			sealed += l.Sealed.Records
		}
		if arrived == 0 || arrived != sealed {
			t.Errorf("%d records have arrived at the queues of b, a has sealed %d", arrived, sealed)
		}
		text := b.shown(siteB, "show", "queues")
		t.Logf("\n%s", text)
		if !strings.Contains(text, "site-a/0:61") || !regexp.MustCompile(`site-a/[0-9] `).MatchString(text) {
			t.Errorf("no spread in\n%s", text)
		}
	})

	t.Run("every part, as a table and as JSON", func(t *testing.T) {
		for part, words := range map[string][]string{
			"links": {"site-b", "up", b.peers["b"], "hybrid"}, "sessions": {"site-b", "sealing", outsideB4 + ":5580"}, "queues": {"QUEUE", "site-b/0:"},
			"drops": {}, "relays": {"no relays"}, "features": {"native", "eth1", "eth2", "aead provider"},
		} {
			text := b.shown(siteA, "show", part)
			t.Logf("\n%s", text)
			for _, w := range words {
				if !strings.Contains(text, w) {
					t.Errorf("show %s does not say %q:\n%s", part, w, text)
				}
			}
			var parsed any
			if err := json.Unmarshal([]byte(b.shown(siteA, "show", part, "--json")), &parsed); err != nil || parsed == nil {
				t.Errorf("show %s --json: %v, %v", part, parsed, err)
			}
		}
	})

	t.Run("drops", func(t *testing.T) {
		b.run("host-a", "sh", "-c", "ping -n -c 3 -i 0.2 -W 1 -t 1 "+hostB4+" >/dev/null || true")
		if text := b.shown(siteA, "show", "drops"); !strings.Contains(text, "ttl_expired") {
			t.Errorf("packets whose time to live was over are not shown:\n%s", text)
		}
	})

	t.Run("top", func(t *testing.T) {
		flow := b.flow(siteA, siteB, 200)
		text := b.shown(siteA, "top", "--count", "2")
		flow.finish()
		t.Logf("\n%s", text)
		if strings.Count(text, "site-a  up ") != 2 || strings.Contains(text, "\x1b") {
			t.Errorf("not twice, or not plain:\n%s", text)
		}
		all := regexp.MustCompile(`(?m)^all +([0-9]+)`).FindAllStringSubmatch(text, -1)
		if len(all) != 2 || all[1][1] == "0" {
			t.Errorf("nothing flows:\n%s", text)
		}
	})

	t.Run("rotate", func(t *testing.T) {
		for _, s := range []site{siteA, siteB} { // one of them has not dialled and asks the other
			name := "site-" + s.other().name
			b.during(1100 * time.Millisecond) // a session that is new is left alone
			was := map[string]controlplane.Status{"a": a.status(), "b": z.status()}[s.name].Links[0]
			text := b.shown(s, "rotate", name)
			now := map[string]*daemon{"a": a, "b": z}[s.name].status().Links[0]
			t.Log(text)
			if now.Session == nil || now.Session.ID == was.Session.ID || now.Rotations != was.Rotations+1 || !strings.Contains(text, now.Session.ID) {
				t.Errorf("%q; session %+v after %+v, rotations %d after %d", text, now.Session, was.Session, now.Rotations, was.Rotations)
			}
		}
		if out, err := b.ctl(siteA, "rotate", "site-x"); err == nil || !strings.Contains(out, `there is no link "site-x"`) {
			t.Errorf("a link that does not exist: %v\n%s", err, out)
		}
		if !b.ping("host-a", hostB4) {
			t.Error("no ping any more")
		}
	})

	t.Run("no rotation over TCP", func(t *testing.T) {
		b.during(1100 * time.Millisecond)
		was := a.status().Links[0].Session.ID
		answer, err := a.http.Post("http://"+adminAddress+"/rotate/site-b", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		b.during(500 * time.Millisecond)
		if now := a.status().Links[0].Session.ID; answer.StatusCode != http.StatusForbidden || now != was {
			t.Errorf("status %d, session %s after %s", answer.StatusCode, now, was)
		}
	})

	t.Run("page", func(t *testing.T) {
		code, body, err := a.get("/")
		if err != nil || code != http.StatusOK || !strings.Contains(body, `fetch("status")`) || regexp.MustCompile(`(?i)(src|href)=|https?://`).MatchString(body) {
			t.Errorf("%d, %v, or something from elsewhere", code, err)
		}
	})

	t.Run("socket", func(t *testing.T) {
		info, err := os.Lstat(b.socket(siteA))
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Fatalf("%v, %v", info, err)
		}
		a.kill()
		if _, err := os.Lstat(b.socket(siteA)); err != nil {
			t.Fatalf("a gateway that was killed has left no socket: %v", err)
		}
		if out, err := b.ctl(siteA, "show", "links"); err == nil || !strings.Contains(out, "refused") {
			t.Errorf("nobody listens: %v\n%s", err, out)
		}
		again := b.gateway(siteA)
		again.awaitReady()
		b.shown(siteA, "show", "links")
		again.signal(syscall.SIGTERM)
		again.wait(5 * time.Second)
		if _, err := os.Lstat(b.socket(siteA)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a gateway that has ended left its socket: %v", err)
		}
	})
}

// TestShowSuperframes: the same where the inside speaks super-frames.
func TestShowSuperframes(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "-showsuper")
	a, _ := b.linked("QZMQ_GATEWAY_INSIDE_IO=superframe")
	b.exchange(siteB, siteA, "pull", "push", 5555, "--count", "100")
	s := a.status()
	kinds, received := map[string]int{}, uint64(0)
	for _, k := range s.Features.Sockets {
		if kinds[k.Side+" "+k.Kind]++; k.Kind == "packet" {
			received += k.ReceivedPackets
		}
	}
	if n := len(s.Queues); s.Features.InsideIO != "superframe" || kinds["inside packet"] != n || kinds["outside af_xdp"] != n || received == 0 {
		t.Errorf("inside %s, sockets %v, %d packets received", s.Features.InsideIO, kinds, received)
	}
	text := b.shown(siteA, "show", "features")
	for _, want := range []string{`inside +superframe +superframe +- +configured`, `outside +xdp +xdp +copy +configured`} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if n := a.metrics().sum("qzmq_outside_io_info", `configured="xdp"`, `io="xdp"`, `memory="copy"`); n != 1 {
		t.Errorf("the metric of the outside's io is %v", n)
	}
	a.reloaded("configuration reloaded")
	if !b.ping("host-a", hostB4) {
		t.Error("no ping after a reload")
	}
}

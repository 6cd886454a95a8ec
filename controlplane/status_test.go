package controlplane

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// statusOf is the part of a status that needs no interfaces.
func statusOf(s *site) *Status {
	out := new(Status)
	s.peering.show(out)
	return out
}

// TestStatus follows a link through its life.
func TestStatus(t *testing.T) {
	a, b := newSite(t, 1, identity(t), freePort(t)), newSite(t, 2, identity(t), freePort(t))
	a.begin(a.linkTo(b, true))
	down := statusOf(a)
	eventually(t, "the failure is shown", 5*time.Second, func() bool { return statusOf(a).Links[0].Failure != "" })
	if l := down.Links[0]; l.State != LinkDown || l.Session != nil || len(down.Sessions) != 0 || l.Peer != b.peering.identity.Fingerprint().String() {
		t.Errorf("before the peer runs: %+v", l)
	}
	b.begin(b.linkTo(a, false))
	eventually(t, "the link is up", 10*time.Second, func() bool { return statusOf(a).Links[0].State == LinkUp && statusOf(b).Links[0].State == LinkUp })
	up := statusOf(a)
	l := up.Links[0]
	if l.Session == nil || len(up.Sessions) != 1 || up.Sessions[0] != *l.Session || l.SessionsUp != 1 || l.Rotations != 0 || l.Failure != "" {
		t.Fatalf("up: %+v, %+v", l, up.Sessions)
	}
	if c := l.Session; !c.Dialled || !c.Connected || c.State != SessionSealing || c.Suite != handshake.DefaultSuite().String() || c.InnerMTU != 1440 ||
		c.Address != b.peering.local.String() || len(c.ID) != 8 || c.AgeSeconds < 0 || c.AgeSeconds > 10 {
		t.Errorf("%+v", c)
	}
	if other := statusOf(b).Links[0]; other.Session == nil || other.Session.Dialled || other.Endpoint != "" {
		t.Errorf("%+v", other)
	}
	if ports := up.Queues[0].Leaving; len(ports) != 1 || ports[0].Link != l.Name || ports[0].SourcePort == 0 || len(up.Queues[0].Arriving) != 0 {
		t.Errorf("leaving %+v, arriving %+v", ports, up.Queues[0].Arriving)
	}

	// Of the two sides, the one that was called asks the other, by whose clock too
	// the session must not be new.
	for i, s := range []*site{b, a} {
		other := map[*site]*site{a: b, b: a}[s]
		time.Sleep(rotateLeast + 100*time.Millisecond)
		if err := s.link(other).rotate("a test asks for it"); err != nil {
			t.Fatal(err)
		}
		if err := s.link(other).rotate("a test asks again"); err != errRotatesEarly {
			t.Errorf("again, at once: %v", err)
		}
		eventually(t, "it is replaced", 5*time.Second, func() bool {
			return statusOf(a).Links[0].Rotations == uint64(i+1) && statusOf(b).Links[0].Rotations == uint64(i+1)
		})
	}

	b.stop()
	eventually(t, "the link is down again", 10*time.Second, func() bool { return statusOf(a).Links[0].State == LinkDown })
}

// TestStatusOfLostControl: a link whose control connection was cut carries on.
func TestStatusOfLostControl(t *testing.T) {
	a, b := newSite(t, 1, identity(t), freePort(t)), newSite(t, 2, identity(t), freePort(t))
	b.begin(b.linkTo(a, false))
	a.begin(a.linkTo(b, true))
	eventually(t, "the link is up", 10*time.Second, func() bool { return statusOf(b).Links[0].State == LinkUp })
	b.peering.callers.mu.Lock()
	b.peering.callers.limits.MaxConcurrent = 0 // or the next connection would be there at once
	b.peering.callers.mu.Unlock()
	a.link(b).cut()
	eventually(t, "data goes on without control", 5*time.Second, func() bool {
		l := statusOf(b).Links[0]
		return l.State == LinkDataOnly && !l.Session.Connected && l.Session.State == SessionSealing
	})
}

// TestListsAreNeverNull, since null is not a list to whoever goes through one.
func TestListsAreNeverNull(t *testing.T) {
	s := newSite(t, 1, identity(t), freePort(t))
	s.begin()
	status := statusOf(s)
	text, err := json.Marshal(map[string]any{
		"links": status.Links, "sessions": status.Sessions, "queues": status.Queues, "drops": status.Drops, "cpu": cpuFeatures(),
	})
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("%v: %s", err, text)
	}
}

// TestRotateIsForTheSocket: what both doors answer to who asks for a rotation.
func TestRotateIsForTheSocket(t *testing.T) {
	a, b := newSite(t, 1, identity(t), freePort(t)), newSite(t, 2, identity(t), freePort(t))
	a.begin(a.linkTo(b, false))
	g := &gateway{cfg: &Config{Gateway: GatewayConfig{Admin: AdminConfig{Socket: "/run/a.sock"}}}, peering: a.peering}
	link := a.linkTo(b, false).Name
	for _, c := range []struct {
		name, method, path string
		rotate             http.HandlerFunc
		code               int
		text               string
	}{
		{"TCP", "POST", "/rotate/" + link, g.refuse, http.StatusForbidden, "/run/a.sock"},
		{"no such link", "POST", "/rotate/none", g.rotate, http.StatusNotFound, `no link "none"`},
		{"no session", "POST", "/rotate/" + link, g.rotate, http.StatusConflict, "no control connection"},
		{"not by a look", "GET", "/rotate/" + link, g.rotate, http.StatusMethodNotAllowed, "Method Not Allowed"},
		{"nothing there", "GET", "/colour", g.refuse, http.StatusNotFound, ""},
	} {
		w := httptest.NewRecorder()
		g.questions(http.NotFoundHandler(), c.rotate).ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.text) {
			t.Errorf("%s: %d, %q", c.name, w.Code, w.Body)
		}
	}
}

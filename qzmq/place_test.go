package qzmq_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// patient is how long a test waits for what must come. It never waits for what must not.
const patient = 10 * time.Second

// place is where a test happens: an endpoint to bind, and the transports of who binds
// and who connects.
type place struct {
	t       testing.TB
	at      string
	binds   qzmq.Transport
	connect qzmq.Transport
	inproc  bool
	sealed  bool
}

// everyplace runs a test under QZMQ1 over tcp and ipc, under NULL, and inproc.
func everyplace(t *testing.T, f func(t *testing.T, p *place)) {
	t.Helper()
	for _, name := range []string{"tcp", "ipc", "plain", "inproc"} {
		t.Run(name, func(t *testing.T) { f(t, newPlace(t, name)) })
	}
}

func newPlace(t testing.TB, name string) *place {
	t.Helper()
	p := &place{t: t, at: "tcp://127.0.0.1:*", sealed: name != "plain"}
	if name == "ipc" {
		p.at = "ipc://" + filepath.Join(t.TempDir(), "s")
	}
	if name == "plain" {
		p.binds = transport(t, qzmq.Options{InsecurePlaintext: true})
		p.connect = transport(t, qzmq.Options{InsecurePlaintext: true})
		return p
	}
	binds, connects := twoOptions(t)
	p.binds, p.connect = transport(t, binds), transport(t, connects)
	if name == "inproc" {
		p.at, p.inproc, p.connect = "inproc://here", true, p.binds
	}
	return p
}

// twoOptions are those of two programs that know each other.
func twoOptions(t testing.TB) (a, b qzmq.Options) {
	t.Helper()
	a, b = qzmq.DefaultOptions(), qzmq.DefaultOptions()
	a.Identity, b.Identity = identity(t), identity(t)
	a.Peer, b.Peer = b.Identity.Fingerprint(), a.Identity.Fingerprint()
	a.Allow, b.Allow = []qzmq.Fingerprint{a.Peer}, []qzmq.Fingerprint{b.Peer}
	return a, b
}

func identity(t testing.TB) *qzmq.Identity {
	t.Helper()
	id, err := qzmq.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func transport(t testing.TB, o qzmq.Options) qzmq.Transport {
	t.Helper()
	o.Timeouts.Linger = 0
	tr, err := qzmq.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// sock is a socket whose events can be waited for.
type sock struct {
	qzmq.Socket
	t      testing.TB
	events <-chan qzmq.Event
	inproc bool
}

// options are names and values, one after the other.
func open(t testing.TB, tr qzmq.Transport, kind qzmq.SocketType, options ...any) *sock {
	t.Helper()
	s, err := tr.NewSocket(kind)
	if err != nil {
		t.Fatal(err)
	}
	k := &sock{Socket: s, t: t, events: s.Monitor()}
	k.set("rcvtimeo", patient)
	k.set("sndtimeo", patient)
	for i := 0; i < len(options); i += 2 {
		k.set(options[i].(string), options[i+1])
	}
	return k
}

// bound is a socket that others can connect to.
func (p *place) bound(kind qzmq.SocketType, options ...any) *sock {
	p.t.Helper()
	s := open(p.t, p.binds, kind, options...)
	s.inproc = p.inproc
	s.bind(p.at)
	return s
}

// another is a second one in the same place.
func (p *place) another(kind qzmq.SocketType, options ...any) *sock {
	p.t.Helper()
	q := *p
	if p.inproc || strings.HasPrefix(p.at, "ipc://") {
		q.at += "-other"
	}
	return q.bound(kind, options...)
}

// to is a socket that is connected to another, and that the other knows of.
func (p *place) to(other *sock, kind qzmq.SocketType, options ...any) *sock {
	p.t.Helper()
	s := open(p.t, p.connect, kind, options...)
	s.inproc = p.inproc
	s.join(other)
	return s
}

func (s *sock) bind(at string) {
	s.t.Helper()
	if err := s.Bind(at); err != nil {
		s.t.Fatal(err)
	}
}

// at is where the socket was bound, or connected, last.
func (s *sock) at() string {
	s.t.Helper()
	last, err := s.GetOption("last_endpoint")
	if err != nil {
		s.t.Fatal(err)
	}
	return last.(string)
}

func (s *sock) join(other *sock) {
	s.t.Helper()
	s.dial(other.at())
	s.connected()
	other.connected()
}

func (s *sock) dial(at string) {
	s.t.Helper()
	if err := s.Connect(at); err != nil {
		s.t.Fatal(err)
	}
}

// connected waits for the next peer. Inproc there is nothing to wait for.
func (s *sock) connected() {
	s.t.Helper()
	if !s.inproc {
		s.await(qzmq.EventConnected)
	}
}

// await waits for the next event of a kind.
func (s *sock) await(kind qzmq.EventKind) qzmq.Event {
	s.t.Helper()
	for timeout := time.After(patient); ; {
		select {
		case e, open := <-s.events:
			if !open {
				s.t.Fatalf("the socket is closed, and there was no event %q", kind)
			}
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			s.t.Fatalf("no event %q", kind)
		}
	}
}

func (s *sock) set(key string, value any) {
	s.t.Helper()
	if err := s.SetOption(key, value); err != nil {
		s.t.Fatal(err)
	}
}

func bytesOf(parts []string) (all [][]byte) {
	for _, p := range parts {
		all = append(all, []byte(p))
	}
	return all
}

func (s *sock) send(parts ...string) {
	s.t.Helper()
	if err := s.SendMultipart(bytesOf(parts)); err != nil {
		s.t.Fatalf("send %.80q: %v", parts, err)
	}
}

func (s *sock) recv() (parts []string) {
	s.t.Helper()
	m, err := s.RecvMultipart()
	if err != nil {
		s.t.Fatalf("recv: %v", err)
	}
	for _, p := range m {
		parts = append(parts, string(p))
	}
	return parts
}

func (s *sock) expect(parts ...string) {
	s.t.Helper()
	if got := s.recv(); !slices.Equal(got, parts) {
		s.t.Fatalf("received %.100q, want %.100q", got, parts)
	}
}

// refuses says that a send, that may not wait, fails like this.
func (s *sock) refuses(want error, parts ...string) {
	s.t.Helper()
	s.set("sndtimeo", 0)
	if err := s.SendMultipart(bytesOf(parts)); !errors.Is(err, want) {
		s.t.Fatalf("send %.80q: %v, want %v", parts, err, want)
	}
	s.set("sndtimeo", patient)
}

// empty says that there is nothing to receive: what could come has come before.
func (s *sock) empty() {
	s.t.Helper()
	s.set("rcvtimeo", 0)
	if m, err := s.RecvMultipart(); !errors.Is(err, qzmq.ErrAgain) {
		s.t.Fatalf("received %.100q, %v; want nothing", m, err)
	}
	s.set("rcvtimeo", patient)
}

// polls says what would not wait.
func (s *sock) polls(events int) bool {
	s.t.Helper()
	now, err := s.GetOption("events")
	if err != nil {
		s.t.Fatal(err)
	}
	return now.(int)&events == events
}

func (s *sock) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patient, what)
		}
	}
}

// readable waits until a message is there.
func (s *sock) readable() {
	s.t.Helper()
	eventually(s.t, "a message", func() bool { return s.polls(qzmq.PollIn) })
}

// fill sends until there is no room, and says how many.
func (s *sock) fill(parts ...string) (n int) {
	s.t.Helper()
	s.set("sndtimeo", 0)
	for ; s.SendMultipart(bytesOf(parts)) == nil; n++ {
		if n > 1e6 {
			s.t.Fatal("there is no end of room")
		}
	}
	s.set("sndtimeo", patient)
	return n
}

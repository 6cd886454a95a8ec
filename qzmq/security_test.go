package qzmq

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// awaitEvent waits for an event of a kind.
func awaitEvent(t testing.TB, events <-chan Event, kind EventKind) Event {
	t.Helper()
	timeout := time.After(5 * time.Second)
	var seen []string
	for {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatalf("the monitor has ended after %v, before %q", seen, kind)
			}
			if e.Kind == kind {
				return e
			}
			seen = append(seen, e.Kind.String())
		case <-timeout:
			t.Fatalf("there was no %q but %v", kind, seen)
		}
	}
}

// TestIdentities: who may in gets in, and is named with every message; nobody else
// does, and is told no more than he needs.
func TestIdentities(t *testing.T) {
	server, friend, guest, stranger := identity(t), identity(t), identity(t), identity(t)
	o := DefaultOptions()
	o.Identity, o.Allow = server, []Fingerprint{friend.Fingerprint()}
	var asked []Fingerprint
	o.Authorize = func(_ context.Context, p Peer) error {
		asked = append(asked, p.Fingerprint)
		if p.Fingerprint == guest.Fingerprint() && p.Type == PUSH {
			return nil
		}
		return errors.New("not on the list")
	}
	st := site(t, o)
	pull := open(t, st, PULL)
	events := pull.Monitor()
	url := bind(t, pull, "tcp://127.0.0.1:*")
	client := func(id *Identity, peer Fingerprint) (*transport, Socket, <-chan Event) {
		o := DefaultOptions()
		o.Identity, o.Peer = id, peer
		tr := site(t, o)
		s := open(t, tr, PUSH)
		e := s.Monitor()
		connect(t, s, url)
		return tr, s, e
	}
	for _, id := range []*Identity{friend, guest} {
		_, s, _ := client(id, server.Fingerprint())
		send(t, s, "hello")
		m, err := pull.RecvMessage(context.Background())
		if err != nil || m.Peer.Fingerprint != id.Fingerprint() || !m.Peer.Authenticated() || m.Peer.Type != PUSH {
			t.Fatalf("%+v, %v", m, err)
		}
		if e := awaitEvent(t, events, EventConnected); e.Peer.Fingerprint != id.Fingerprint() {
			t.Errorf("%+v", e)
		}
		s.Close()
	}
	tr, s, e := client(stranger, server.Fingerprint())
	if got := awaitEvent(t, e, EventHandshakeFailed); !errors.Is(got.Err, ErrAuthenticationFailed) {
		t.Errorf("the stranger is told %v", got.Err)
	}
	if got := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(got.Err, ErrAuthenticationFailed) || !errors.Is(got.Err, handshake.ErrAccessDenied) || !strings.Contains(got.Err.Error(), "not on the list") {
		t.Errorf("we are told %v", got.Err)
	}
	if n := tr.Stats(); n.AuthFailures == 0 || n.HandshakesFailed == 0 || n.HandshakesCompleted != 0 {
		t.Errorf("%+v", n)
	}
	s.Close()
	// Who calls somebody else hears nothing: not even that somebody is there.
	_, s, e = client(friend, guest.Fingerprint())
	if got := awaitEvent(t, e, EventHandshakeFailed); !errors.Is(got.Err, ErrHandshakeFailed) {
		t.Errorf("the wrong peer: %v", got.Err)
	}
	s.Close()
	for _, f := range asked {
		if f == friend.Fingerprint() {
			t.Error("Authorize is asked about who is allowed")
		}
	}
}

// TestServiceAndKnock: both sides have the same, or do not meet.
func TestServiceAndKnock(t *testing.T) {
	knock, err := handshake.GenerateKnock()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"service": func(o *Options) { o.Service = "orders" },
		"knock":   func(o *Options) { o.Knock = knock },
	} {
		for _, both := range []bool{true, false} {
			changed := 0
			a, b := sites(t, false, func(o *Options) {
				if changed++; both || changed == 2 {
					change(o)
				}
			})
			pull, push := open(t, b, PULL), open(t, a, PUSH)
			events := push.Monitor()
			connect(t, push, bind(t, pull, tcp))
			if both {
				send(t, push, "x")
				expect(t, pull, "x")
			} else if e := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(e.Err, ErrHandshakeFailed) {
				t.Errorf("%s: %v", name, e.Err)
			}
		}
	}
}

// TestNobodyMayIn is a listener for which nothing was said.
func TestNobodyMayIn(t *testing.T) {
	a, b := sites(t, false, func(o *Options) { o.Allow = nil })
	pull, push := open(t, b, PULL), open(t, a, PUSH)
	events := push.Monitor()
	connect(t, push, bind(t, pull, "tcp://127.0.0.1:*"))
	if e := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(e.Err, ErrAuthenticationFailed) {
		t.Errorf("%v", e.Err)
	}
}

// TestNoFallback: plain and sealed do not meet, either way.
func TestNoFallback(t *testing.T) {
	a, b := sites(t, false, nil)
	p, _ := sites(t, true, nil)
	pull, plain := open(t, b, PULL), open(t, p, PUSH)
	connect(t, plain, bind(t, pull, "tcp://127.0.0.1:*"))
	bound, push := open(t, p, PULL), open(t, a, PUSH)
	connect(t, push, bind(t, bound, "tcp://127.0.0.1:*"))
	send(t, plain, "secret")
	send(t, push, "secret")
	for _, s := range []Socket{pull, bound} {
		s.SetOption("rcvtimeo", 300)
		if m, err := s.Recv(); !errors.Is(err, ErrTimeout) || !errors.Is(err, ErrAgain) {
			t.Errorf("%q, %v", m, err)
		}
	}
	if err := plain.Connect("qzmq+tcp://127.0.0.1:1"); !errors.Is(err, ErrInvalidOptions) {
		t.Errorf("plaintext to an endpoint that is to be sealed: %v", err)
	}
	if on, _ := plain.GetOption("qzmq.encrypted"); on != false {
		t.Error("a plain socket says that it is encrypted")
	}
}

// TestSealed looks at the wire, and at what the socket says of it.
func TestSealed(t *testing.T) {
	a, b := sites(t, false, nil)
	pull, push := open(t, b, PULL), open(t, a, PUSH)
	target := bind(t, pull, "qzmq+tcp://127.0.0.1:*")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	seen := make(chan []byte, 1)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", strings.TrimPrefix(target, "qzmq+tcp://"))
		if err != nil {
			return
		}
		go io.Copy(nc, far)
		var tap bytes.Buffer
		io.Copy(far, io.TeeReader(nc, &tap))
		far.Close()
		seen <- tap.Bytes()
	}()
	if on, _ := push.GetOption("qzmq.encrypted"); on != false {
		t.Error("it is encrypted before there is a session")
	}
	connect(t, push, "tcp://"+l.Addr().String())
	send(t, push, "this is a secret")
	expect(t, pull, "this is a secret")
	for _, s := range []Socket{push, pull} {
		if on, _ := s.GetOption("qzmq.encrypted"); on != true {
			t.Error("it is not encrypted")
		}
		if suite, _ := s.GetOption("qzmq.suite"); suite != "x25519+mlkem768/mldsa44/aes256gcm/sha256" {
			t.Errorf("suite %v", suite)
		}
	}
	push.Close()
	if wire := <-seen; len(wire) < 2000 || bytes.Contains(wire, []byte("secret")) || bytes.Contains(wire, []byte("PUSH")) {
		t.Errorf("%d bytes were seen, and what is in them", len(wire))
	}
	if n := a.Stats(); n.MessagesEncrypted != 1 || n.BytesSent != 18 || n.HandshakesCompleted != 1 {
		t.Errorf("%+v", n)
	}
	if n := b.Stats(); n.MessagesDecrypted != 1 || n.BytesReceived != 18 {
		t.Errorf("%+v", n)
	}
}

// TestRoles has the side that connects be the one that is called.
func TestRoles(t *testing.T) {
	a, b := sites(t, false, nil)
	pull, push := open(t, b, PULL, "qzmq.role", RoleInitiator), open(t, a, PUSH, "qzmq.role", RoleResponder)
	connect(t, push, bind(t, pull, "tcp://127.0.0.1:*"))
	send(t, push, "x")
	expect(t, pull, "x")
	// Two of the same do not meet.
	push = open(t, a, PUSH, "qzmq.role", RoleResponder)
	pull = open(t, b, PULL)
	events := push.Monitor()
	push.SetOption("handshake_ivl", 300)
	connect(t, push, bind(t, pull, "tcp://127.0.0.1:*"))
	if e := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(e.Err, ErrHandshakeFailed) {
		t.Errorf("%v", e.Err)
	}
}

// TestCertificates has both sides know each other by name alone.
func TestCertificates(t *testing.T) {
	authority, err := handshake.GenerateAuthority(handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	named := func(name string) Options {
		o := DefaultOptions()
		o.Identity = identity(t)
		request, err := handshake.NewRequest(o.Identity)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := authority.Issue(request, handshake.Grant{Name: name, Roles: handshake.ZMTPRoles, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		o.Certificates = &CertificateConfig{CACert: authority.Authority().MarshalFile(), Cert: cert.MarshalFile()}
		return o
	}
	server, alice, bob := named("server"), named("alice"), named("bob")
	server.Certificates.AllowNames = []string{"alice"}
	alice.Certificates.PeerName, bob.Certificates.PeerName = "server", "server"
	pull := open(t, site(t, server), PULL)
	url := bind(t, pull, "tcp://127.0.0.1:*")
	push := open(t, site(t, alice), PUSH)
	connect(t, push, url)
	send(t, push, "x")
	m, err := pull.RecvMessage(context.Background())
	if err != nil || m.Peer.Name != "alice" {
		t.Errorf("%+v, %v", m.Peer, err)
	}
	other := open(t, site(t, bob), PUSH)
	events := other.Monitor()
	connect(t, other, url)
	if e := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(e.Err, ErrAuthenticationFailed) {
		t.Errorf("%v", e.Err)
	}
}

package interop

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/transport"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmq4transport"
)

// site is a server's transport and a client's that may use it.
type site struct {
	t                testing.TB
	serverID, client *handshake.Identity
	listen, dial     string       // the schemes
	log              lockedBuffer // of the server's transport
}

// schemes numbers transports, which zmq4 keeps for good.
var schemes atomic.Int64

func newIdentity(t testing.TB) *handshake.Identity {
	t.Helper()
	id, err := handshake.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// register gives the scheme of a transport.
func register(t testing.TB, cfg zmq4transport.Config) string {
	t.Helper()
	tr, err := zmq4transport.New[transport.Dialer](cfg)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("qzmq%d", schemes.Add(1))
	if err := zmq4.RegisterTransport(name, tr); err != nil {
		t.Fatal(err)
	}
	return name
}

// newSite makes both; change may edit the server's config.
func newSite(t testing.TB, change func(*zmq4transport.Config), more ...*handshake.Identity) *site {
	t.Helper()
	s := &site{t: t, serverID: newIdentity(t), client: newIdentity(t)}
	allowed := []handshake.Fingerprint{s.client.Fingerprint()}
	for _, id := range more {
		allowed = append(allowed, id.Fingerprint())
	}
	cfg := zmq4transport.Config{
		Handshake: handshake.Config{
			Identity:  s.serverID,
			Authorize: func(f handshake.Fingerprint) bool { return slices.Contains(allowed, f) },
		},
		Log: slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	s.listen = register(t, cfg)
	s.dial = s.as(s.client)
	return s
}

// as gives the scheme of a client with this identity.
func (s *site) as(id *handshake.Identity) string {
	return register(s.t, zmq4transport.Config{Handshake: handshake.Config{Identity: id, Peer: s.serverID.Fingerprint()}})
}

// open is a socket that lives as long as the test, and has one attempt to dial.
func open(t testing.TB, make func(context.Context, ...zmq4.Option) zmq4.Socket, options ...zmq4.Option) zmq4.Socket {
	t.Helper()
	quiet := zmq4.WithLogger(log.New(io.Discard, "", 0))
	socket := make(context.Background(), append(options, quiet, zmq4.WithDialerMaxRetries(0), zmq4.WithTimeout(10*time.Second))...)
	t.Cleanup(func() { socket.Close() })
	return socket
}

// bind lets a socket listen and gives its address.
func (s *site) bind(socket zmq4.Socket) string {
	s.t.Helper()
	if err := socket.Listen(s.listen + "://127.0.0.1:*"); err != nil {
		s.t.Fatal(err)
	}
	return socket.Addr().String()
}

func (s *site) connect(socket zmq4.Socket, address string) {
	s.t.Helper()
	if err := socket.Dial(s.dial + "://" + address); err != nil {
		s.t.Fatal(err)
	}
}

func send(t testing.TB, socket zmq4.Socket, parts ...string) {
	t.Helper()
	var frames [][]byte
	for _, p := range parts {
		frames = append(frames, []byte(p))
	}
	if err := socket.SendMulti(zmq4.NewMsgFrom(frames...)); err != nil {
		t.Fatal(err)
	}
}

// recv fails the test when nothing comes.
func recv(t testing.TB, socket zmq4.Socket) []string {
	t.Helper()
	var parts []string
	within(t, 10*time.Second, "a message", func() error {
		m, err := socket.Recv()
		for _, f := range m.Frames {
			parts = append(parts, string(f))
		}
		return err
	})
	return parts
}

// within runs what may block for ever.
func within(t testing.TB, d time.Duration, what string, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	case <-time.After(d):
		t.Fatalf("%s: nothing for %v", what, d)
	}
}

// expect is recv of a message that is known.
func expect(t testing.TB, socket zmq4.Socket, parts ...string) {
	t.Helper()
	if got := recv(t, socket); !slices.Equal(got, parts) {
		t.Fatalf("got %.80q, want %.80q", got, parts)
	}
}

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits until the server's transport has said this.
func (s *site) await(words string) {
	s.t.Helper()
	eventually(s.t, words, func() bool { return strings.Contains(s.log.String(), words) })
}

func eventually(t testing.TB, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !true(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 10 s: %s", what)
		}
	}
}

// address is a port of the loopback that nobody has now.
func address(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

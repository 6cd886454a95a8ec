package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// site is a far relay with a program behind it, in this process, and a near relay that
// may use it. Whoever attacks one of them may break nothing for the other.
type site struct {
	t          *testing.T
	far, near  *Relay
	farID      *handshake.Identity
	nearID     *handshake.Identity
	log        lockedBuffer // of the far relay
	mu         sync.Mutex
	got        [][]byte        // messages that the program has had, but for those of healthy
	introduced []zmtp.Metadata // what it was told of its peers
}

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
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

func pairReady() zmtp.Metadata { return zmtp.Metadata{{Name: "Socket-Type", Value: []byte("PAIR")}} }

// newSite starts both relays; change may edit the far one's config.
func newSite(t *testing.T, change func(*Config)) *site {
	t.Helper()
	s := &site{t: t, farID: newIdentity(t), nearID: newIdentity(t)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go s.program(l)
	cfg := Config{
		Name: "far", Listen: Endpoint{true, "tcp", "127.0.0.1:0"}, Connect: Endpoint{false, "tcp", l.Addr().String()},
		Handshake: handshakeOf(s.farID, []handshake.Fingerprint{s.nearID.Fingerprint()}),
		Log:       slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	s.far = runRelay(t, cfg)
	s.near = s.nearRelay(s.nearID)
	s.healthy()
	return s
}

// nearRelay is a relay that calls the far one with this key.
func (s *site) nearRelay(id *handshake.Identity) *Relay {
	s.t.Helper()
	return runRelay(s.t, Config{
		Name: "near", Listen: Endpoint{false, "tcp", "127.0.0.1:0"}, Connect: s.far.Endpoint(),
		Handshake: handshakeOf(id, []handshake.Fingerprint{s.farID.Fingerprint()}),
		Log:       slog.New(slog.DiscardHandler),
	})
}

// runRelay runs a relay until the test ends.
func runRelay(t *testing.T, cfg Config) *Relay {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := New(ctx, cfg)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// program echoes what it gets, and remembers it.
func (s *site) program(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			ctx := context.Background()
			n, err := zmtp.OpenNull(ctx, nc, zmtp.NullOptions{})
			if err != nil {
				return
			}
			defer n.Close()
			m, err := n.ReadReady(ctx)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.introduced = append(s.introduced, m)
			s.mu.Unlock()
			if n.WriteReady(ctx, pairReady()) != nil {
				return
			}
			for {
				m, err := n.ReadMessage()
				if err != nil {
					return
				}
				if m.Command != nil {
					continue
				}
				if string(m.Parts[0]) != wellBehaved {
					s.mu.Lock()
					s.got = append(s.got, bytes.Clone(m.Parts[0]))
					s.mu.Unlock()
				}
				if n.WriteMessage(m.Parts...) != nil {
					return
				}
			}
		}()
	}
}

const wellBehaved = "I am well behaved"

// healthy is a client that must always be served.
func (s *site) healthy() {
	s.t.Helper()
	n := dialPlain(s.t, s.near.Endpoint(), pairReady())
	defer n.Close()
	if err := n.WriteMessage([]byte(wellBehaved)); err != nil {
		s.t.Fatalf("a well-behaved client: %v", err)
	}
	n.SetReadDeadline(time.Now().Add(10 * time.Second))
	if m, err := n.ReadMessage(); err != nil || string(m.Parts[0]) != wellBehaved {
		s.t.Fatalf("a well-behaved client gets %v, %v; the far relay says\n%s", m, err, s.log.String())
	}
}

// delivered are the messages of others that the program has had, since the last call.
func (s *site) delivered() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// dialPlain is a program that connects, and is ready when it returns.
func dialPlain(t testing.TB, at Endpoint, ready zmtp.Metadata) *zmtp.Null {
	t.Helper()
	ctx := context.Background()
	nc, err := at.dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n, err := zmtp.OpenNull(ctx, nc, zmtp.NullOptions{})
	if err == nil {
		err = n.WriteReady(ctx, ready)
	}
	if err == nil {
		_, err = n.ReadReady(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// initiate calls the far relay without a near one. wrap may put something between.
func (s *site) initiate(id *handshake.Identity, wrap func(net.Conn) net.Conn, change func(*handshake.Config)) (*zmtp.Conn, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	nc, err := s.far.Endpoint().dial(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if wrap != nil {
		nc = wrap(nc)
	}
	cfg := handshakeOf(id, []handshake.Fingerprint{s.farID.Fingerprint()})
	cfg.Purpose, cfg.Metadata = handshake.PurposeZMTP, pairReady().Append(nil)
	if change != nil {
		change(&cfg)
	}
	return zmtp.Initiate(ctx, nc, cfg)
}

// wire is a connection whose writes, each one flight or record, can be changed.
type wire struct {
	net.Conn
	edit func(nth int, b []byte) [][]byte
	n    int
}

func (w *wire) Write(b []byte) (int, error) {
	for _, out := range w.edit(w.n, slices.Clone(b)) {
		if _, err := w.Conn.Write(out); err != nil {
			w.n++
			return 0, err
		}
	}
	w.n++
	return len(b), nil
}

// says sends bytes to an endpoint and gives what comes back until it is closed.
func says(t *testing.T, at Endpoint, b []byte) (answer []byte) {
	t.Helper()
	nc, err := at.dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.Write(b)
	nc.SetReadDeadline(time.Now().Add(5 * time.Second))
	answer, err = io.ReadAll(nc)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("%.20q is borne with", b)
	}
	return answer
}

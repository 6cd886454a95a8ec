package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Relays here are `qzmqctl relay`, built without the race detector, whatever this is.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "qzmq-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	build := exec.Command("go", "build", "-o", dir, "./cmd/qzmqctl")
	build.Dir = "../../.."
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build qzmqctl: %v\n%s", err, text)
	} else {
		os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// child is a process of a test.
type child struct {
	t     testing.TB
	in    io.Writer
	lines chan string
	mu    sync.Mutex
	said  bytes.Buffer // on standard error
}

func (c *child) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.Write(b)
}

func (c *child) stderr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.String()
}

func spawn(t testing.TB, name string, args ...string) *child {
	t.Helper()
	c := &child{t: t, lines: make(chan string, 1000)}
	cmd := exec.Command(name, args...)
	cmd.Stderr = c
	out, err := cmd.StdoutPipe()
	if err == nil {
		c.in, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	return c
}

func (c *child) expect(line string) {
	c.t.Helper()
	select {
	case got := <-c.lines:
		if got != line {
			c.t.Fatalf("libzmq got %q, want %q", got, line)
		}
	case <-time.After(10 * time.Second):
		c.t.Fatalf("libzmq got nothing, want %q; %s", line, c.stderr())
	}
}

func (c *child) say(line string) { fmt.Fprintln(c.in, line) }

// python is a libzmq program, by testdata/peer.py.
func python(t testing.TB, kind, how, endpoint string) *child {
	t.Helper()
	return spawn(t, "/usr/bin/python3", "testdata/peer.py", kind, how, endpoint)
}

func keyFile(t testing.TB, id *handshake.Identity) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, id.MarshalKeyFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func startRelay(t testing.TB, args ...string) {
	t.Helper()
	c := spawn(t, "qzmqctl", append([]string{"relay"}, args...)...)
	eventually(t, "the relay has started", func() bool { return strings.Contains(c.stderr(), "relay started") })
}

// before puts a relay before a libzmq program that is bound, and gives where zmq4 calls.
func (s *site) before(kind string) (*child, string) {
	s.t.Helper()
	plain, sealed := "tcp://"+address(s.t), address(s.t)
	program := python(s.t, kind, "bind", plain)
	startRelay(s.t, "--identity", keyFile(s.t, s.serverID), "--listen", "qzmq+tcp://"+sealed, "--connect", plain,
		"--allow", s.client.Fingerprint().String())
	return program, sealed
}

// behind puts a relay between a libzmq program that connects and zmq4, which listens.
func (s *site) behind(kind, listens string) *child {
	s.t.Helper()
	plain := "tcp://" + address(s.t)
	startRelay(s.t, "--identity", keyFile(s.t, s.client), "--listen", plain, "--connect", "qzmq+tcp://"+listens,
		"--peer", s.serverID.Fingerprint().String())
	return python(s.t, kind, "connect", plain)
}

// eagerly dials until the program behind the relay is there.
func (s *site) eagerly(socket zmq4.Socket, at string) {
	s.t.Helper()
	eventually(s.t, "a libzmq program", func() bool { return socket.Dial(s.dial+"://"+at) == nil })
}

// zmq4 calls libzmq. The REQ is idle for longer than libzmq bears without a PONG.
func TestCallsLibzmq(t *testing.T) {
	t.Run("REQ", func(t *testing.T) {
		s := newSite(t, nil)
		program, at := s.before("REP")
		req := open(t, zmq4.NewReq)
		s.eagerly(req, at)
		for range 2 {
			send(t, req, "how", "are", "you")
			program.expect("how are you")
			expect(t, req, "how", "are", "you")
			time.Sleep(time.Second)
		}
	})
	t.Run("DEALER", func(t *testing.T) {
		s := newSite(t, nil)
		program, at := s.before("ROUTER")
		dealer := open(t, zmq4.NewDealer, zmq4.WithID(zmq4.SocketIdentity("go")))
		s.eagerly(dealer, at)
		send(t, dealer, "a", "b")
		program.expect("go a b")
		expect(t, dealer, "a", "b")
	})
	t.Run("PUSH", func(t *testing.T) {
		s := newSite(t, nil)
		program, at := s.before("PULL")
		push := open(t, zmq4.NewPush)
		s.eagerly(push, at)
		for i := range 100 {
			send(t, push, "job", fmt.Sprint(i))
		}
		for i := range 100 {
			program.expect(fmt.Sprint("job ", i))
		}
	})
	t.Run("SUB", func(t *testing.T) {
		s := newSite(t, nil)
		program, at := s.before("XPUB")
		sub := open(t, zmq4.NewSub)
		s.eagerly(sub, at)
		if err := sub.SetOption(zmq4.OptionSubscribe, "weather"); err != nil {
			t.Fatal(err)
		}
		program.expect("\x01weather")
		program.say("sport no")
		program.say("weather rain")
		expect(t, sub, "weather", "rain")
	})
}

// libzmq calls zmq4.
func TestLibzmqCalls(t *testing.T) {
	t.Run("REP", func(t *testing.T) {
		s := newSite(t, nil)
		rep := open(t, zmq4.NewRep)
		program := s.behind("REQ", s.bind(rep))
		program.say("how are you")
		expect(t, rep, "how", "are", "you")
		send(t, rep, "fine")
		program.expect("fine")
	})
	t.Run("ROUTER", func(t *testing.T) {
		s := newSite(t, nil)
		router := open(t, zmq4.NewRouter)
		program := s.behind("DEALER", s.bind(router))
		program.say("hello")
		expect(t, router, "python", "hello")
		send(t, router, "python", "welcome")
		program.expect("welcome")
	})
	t.Run("PULL", func(t *testing.T) {
		s := newSite(t, nil)
		pull := open(t, zmq4.NewPull)
		program := s.behind("PUSH", s.bind(pull))
		for i := range 100 {
			program.say(fmt.Sprint("job ", i))
		}
		for i := range 100 {
			expect(t, pull, "job", fmt.Sprint(i))
		}
	})
	t.Run("PUB", func(t *testing.T) {
		s := newSite(t, nil)
		pub := open(t, zmq4.NewPub)
		program := s.behind("SUB", s.bind(pub))
		subscribed(t, pub, "weather")
		send(t, pub, "sport", "no")
		send(t, pub, "weather", "rain")
		program.expect("weather rain")
	})
}

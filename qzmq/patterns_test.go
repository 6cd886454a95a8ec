package qzmq_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// The patterns suite: each pair of socket types with each kind of peer, bound by either
// side. pairs_test.go says what is talked.

// TestMain puts qzmqctl into PATH, built without the race detector, whatever this is.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "qzmq-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	if text, err := exec.Command("go", "build", "-o", dir, "../cmd/qzmqctl").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build qzmqctl: %v\n%s", err, text)
	} else {
		os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// link is how the two sides of a pattern are connected.
type link struct {
	a, b func(t testing.TB, kind qzmq.SocketType, name string) party
	// join connects both; at is where the first, or else the second, is bound.
	join func(t testing.TB, binds, dials party, firstBinds bool)
}

func plainOptions() qzmq.Options { return qzmq.Options{InsecurePlaintext: true} }

// maker opens sockets of ours.
func maker(tr qzmq.Transport) func(testing.TB, qzmq.SocketType, string) party {
	return func(t testing.TB, kind qzmq.SocketType, name string) party {
		s := open(t, tr, kind, "routing_id", name)
		if kind == qzmq.ROUTER {
			s.set("router_mandatory", true)
		}
		return ours{s}
	}
}

// directly is a link on which who dials is told where the other is bound.
func directly(at func(testing.TB) string) func(testing.TB, party, party, bool) {
	return func(t testing.TB, binds, dials party, _ bool) { dials.dial(binds.bind(at(t))) }
}

func overTCP(testing.TB) string   { return "tcp://127.0.0.1:*" }
func overIPC(t testing.TB) string { return "ipc://" + filepath.Join(t.TempDir(), "s") }
func inproc(t testing.TB) string  { return "inproc://" + t.Name() }

// converse runs every pair over links, of which each side is a once.
func converse(t *testing.T, l link) {
	for _, p := range pairs() {
		for _, firstIsA := range []bool{true, false} {
			for _, firstBinds := range []bool{true, false} {
				t.Run(fmt.Sprintf("%v %v, swapped %v, first binds %v", p.first, p.second, !firstIsA, firstBinds), func(t *testing.T) {
					makeFirst, makeSecond := l.a, l.b
					if !firstIsA {
						makeFirst, makeSecond = l.b, l.a
					}
					first, second := makeFirst(t, p.first, "first"), makeSecond(t, p.second, "second")
					defer first.close()
					defer second.close()
					if firstBinds {
						l.join(t, first, second, firstIsA)
					} else {
						l.join(t, second, first, !firstIsA)
					}
					p.talk(t, first, second)
				})
			}
		}
	}
}

func TestPatternsOurs(t *testing.T) {
	for name, at := range map[string]func(testing.TB) string{"tcp": overTCP, "ipc": overIPC, "inproc": inproc} {
		t.Run(name, func(t *testing.T) {
			oa, ob := twoOptions(t)
			a, b := transport(t, oa), transport(t, ob)
			if name == "inproc" {
				b = a
			}
			converse(t, link{maker(a), maker(b), directly(at)})
		})
	}
	t.Run("plain", func(t *testing.T) {
		a, b := transport(t, plainOptions()), transport(t, plainOptions())
		converse(t, link{maker(a), maker(b), directly(overTCP)})
	})
}

// libzmq, without security.
func TestPatternsLibzmq(t *testing.T) {
	for name, at := range map[string]func(testing.TB) string{"tcp": overTCP, "ipc": overIPC} {
		t.Run(name, func(t *testing.T) {
			converse(t, link{maker(transport(t, plainOptions())), startLibzmq(t).open, directly(at)})
		})
	}
}

// libzmq behind `qzmqctl relay`, which does for it what we do ourselves.
func TestPatternsRelay(t *testing.T) {
	converse(t, relayed(t, startLibzmq(t)))
}

// relayed is a link to libzmq with a relay for each connection.
func relayed(t testing.TB, l *libzmq) link {
	t.Helper()
	us, other := qzmq.DefaultOptions(), identity(t)
	us.Identity, us.Peer, us.Allow = identity(t), other.Fingerprint(), []qzmq.Fingerprint{other.Fingerprint()}
	key := filepath.Join(t.TempDir(), "other.key")
	if err := qzmq.SaveIdentity(key, other); err != nil {
		t.Fatal(err)
	}
	return link{maker(transport(t, us)), l.open, func(t testing.TB, binds, dials party, weBind bool) {
		fingerprint := us.Identity.Fingerprint().String()
		if weBind {
			sealed, plain := binds.bind(overTCP(t)), "tcp://"+freeAddress(t)
			startRelay(t, "--identity", key, "--listen", plain, "--connect", "qzmq+"+sealed, "--peer", fingerprint)
			dials.dial(plain)
			return
		}
		plain, sealed := binds.bind(overTCP(t)), "tcp://"+freeAddress(t)
		startRelay(t, "--identity", key, "--listen", "qzmq+"+sealed, "--connect", plain, "--allow", fingerprint)
		dials.dial(sealed)
	}}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startRelay(t testing.TB, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("qzmqctl", append([]string{"relay"}, args...)...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(t, "the relay has started", func() bool {
		b, err := os.ReadFile(log.Name())
		return err == nil && strings.Contains(string(b), "relay started")
	})
}

// wants receives what is known.
func wants(t testing.TB, p party, parts ...string) {
	t.Helper()
	if got := p.take(patient); !slices.Equal(got, parts) {
		t.Fatalf("received %d parts, %.60q, want %d, %.60q", len(got), got, len(parts), parts)
	}
}

// gives sends, as soon as that is possible.
func gives(t testing.TB, p party, parts ...string) {
	t.Helper()
	eventually(t, "to send", func() bool { return p.offer(parts...) })
}

const soon = 20 * time.Millisecond

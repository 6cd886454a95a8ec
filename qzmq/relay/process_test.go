package relay

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Relays in these tests are `qzmqctl relay`, so that they can be frozen, killed and
// weighed. They are built without the race detector, whatever this binary is.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "qzmq-relay-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	if text, err := exec.Command("go", "build", "-o", dir, "../../cmd/qzmqctl").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build qzmqctl: %v\n%s", err, text)
	} else {
		os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// handshakeOf is the config of either side: the first of peers is called, all may in.
func handshakeOf(id *handshake.Identity, peers []handshake.Fingerprint) handshake.Config {
	return handshake.Config{Identity: id, Peer: peers[0], Authorize: func(f handshake.Fingerprint) bool {
		for _, p := range peers {
			if p == f {
				return true
			}
		}
		return false
	}}
}

// process is a child whose lines can be waited for.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	out   bytes.Buffer // guarded by mu
	mu    sync.Mutex
	once  sync.Once
}

func spawn(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, lines: make(chan string, 10_000)}
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		p.in, err = cmd.StdinPipe()
	}
	cmd.Stderr = p
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(pipe); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
	}()
	t.Cleanup(p.kill)
	return p
}

// Write takes what the child says on its standard error.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// line gives the next line, or fails the test.
func (p *process) line(within time.Duration) string {
	p.t.Helper()
	select {
	case l, ok := <-p.lines:
		if !ok {
			p.t.Fatalf("%v has ended: %s", p.cmd.Args, p.stderr())
		}
		return l
	case <-time.After(within):
		p.t.Fatalf("%v has said nothing for %v: %s", p.cmd.Args, within, p.stderr())
	}
	return ""
}

// await reads lines until one is it.
func (p *process) await(line string, within time.Duration) {
	p.t.Helper()
	for deadline := time.Now().Add(within); ; {
		if p.line(time.Until(deadline)) == line {
			return
		}
	}
}

func (p *process) say(line string) { fmt.Fprintln(p.in, line) }

func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

func (p *process) kill() {
	p.once.Do(func() {
		p.signal(syscall.SIGKILL)
		p.cmd.Wait()
	})
}

// rss is the resident memory in bytes.
func (p *process) rss() int {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		p.t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// chain is a near relay, to which programs connect in plain, and a far one, that
// connects in plain to a program.
type chain struct {
	t         testing.TB
	near, far *process
	nearID    *handshake.Identity
	farID     *handshake.Identity
	front     string // where the near relay takes plain connections
	middle    string // where the far one takes sealed ones
	back      string // where a program has to be bound
	nearFlags []string
	farFlags  []string
}

func newIdentity(t testing.TB) *handshake.Identity {
	t.Helper()
	id, err := handshake.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// freePort is a port of the loopback that nobody has now.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newChain starts two relays over a transport: tcp, ipc, or abstract for names of
// sockets without a file.
func newChain(t testing.TB, transport string) *chain {
	t.Helper()
	c := &chain{t: t, nearID: newIdentity(t), farID: newIdentity(t)}
	dir := t.TempDir()
	for name, at := range map[string]*string{"front": &c.front, "middle": &c.middle, "back": &c.back} {
		switch transport {
		case "tcp":
			*at = "tcp://" + freePort(t)
		case "ipc":
			*at = "ipc://" + filepath.Join(dir, name)
		case "abstract":
			*at = "ipc://@" + filepath.Join(dir, name)
		}
	}
	c.middle = sealedPrefix + c.middle
	key := func(name string, id *handshake.Identity) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, id.MarshalKeyFile(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c.farFlags = []string{"relay", "--identity", key("far.key", c.farID), "--listen", c.middle, "--connect", c.back,
		"--allow", c.nearID.Fingerprint().String()}
	c.nearFlags = []string{"relay", "--identity", key("near.key", c.nearID), "--listen", c.front, "--connect", c.middle,
		"--peer", c.farID.Fingerprint().String()}
	c.startFar()
	c.startNear()
	return c
}

func (c *chain) startNear() { c.near = startRelay(c.t, c.nearFlags) }
func (c *chain) startFar()  { c.far = startRelay(c.t, c.farFlags) }

func startRelay(t testing.TB, flags []string) *process {
	t.Helper()
	p := spawn(t, exec.Command("qzmqctl", flags...))
	p.started()
	return p
}

// started waits until a relay has.
func (p *process) started() {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(p.stderr(), "relay started"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%v has not started: %s", p.cmd.Args, p.stderr())
		}
	}
}

// python runs a case of testdata/programs.py, which is written with libzmq and knows
// nothing of relays: one program connects to front, another is bound to back.
func (c *chain) python(name string, args ...string) *process {
	c.t.Helper()
	return spawn(c.t, exec.Command("/usr/bin/python3", append([]string{"testdata/programs.py", name, c.front, c.back}, args...)...))
}

// passes runs a case to its end.
func (c *chain) passes(within time.Duration, name string, args ...string) {
	c.t.Helper()
	c.python(name, args...).await("passed", within)
}

// What a relay holds does not get to the disk: no core dump, no swap where it may lock
// memory, and it says so if it may not.
func TestMemoryIsKept(t *testing.T) {
	c := newChain(t, "ipc")
	for _, under := range []string{"env", "setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock"} {
		c.near.kill()
		args := append(strings.Fields(under), append([]string{"qzmqctl"}, c.nearFlags...)...)
		c.near = spawn(t, exec.Command(args[0], args[1:]...))
		c.near.started()
		limits, err1 := os.ReadFile(fmt.Sprintf("/proc/%d/limits", c.near.cmd.Process.Pid))
		status, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.near.cmd.Process.Pid))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
			t.Errorf("%s: core dumps are possible:\n%s", under, limits)
		}
		locked := !regexp.MustCompile(`VmLck:\s+0 kB`).Match(status)
		said := strings.Count(c.near.stderr(), "keys are less safe in memory")
		if limited := said == 1 && strings.Contains(c.near.stderr(), "CAP_IPC_LOCK"); locked == limited || said > 1 || under == "env" && !locked {
			t.Errorf("%s: locked %v, said:\n%s", under, locked, c.near.stderr())
		}
	}
	c.passes(40*time.Second, "pair", "REQ/REP", "second")
}

package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The addresses of tools/testbed.
const (
	hostA4, hostB4       = "10.1.0.2", "10.2.0.2"
	hostA6, hostB6       = "fd00:1::2", "fd00:2::2"
	insideA4, insideB4   = "10.1.0.1", "10.2.0.1"
	insideA6, insideB6   = "fd00:1::1", "fd00:2::1"
	outsideA4, outsideB4 = "192.0.2.1", "192.0.2.2"
)

// site is one end of the testbed: a host and the gateway before it.
type site struct {
	name, host, gateway string // host and gateway as tools/testbed calls the namespaces
	host4, host6        string
	outside4            string
}

var (
	siteA = site{"a", "host-a", "gw-a", hostA4, hostA6, outsideA4}
	siteB = site{"b", "host-b", "gw-b", hostB4, hostB6, outsideB4}
)

// other is the site at the far end.
func (s site) other() site {
	if s.name == "a" {
		return siteB
	}
	return siteA
}

// testbed is what tools/testbed makes, with the wire in the middle, and an
// identity for each gateway. It is gone when its test ends.
type testbed struct {
	t      *testing.T
	ctx    context.Context
	prefix string   // of the names of its namespaces
	env    []string // settings of tools/testbed besides
	dir    string   // for keys and configurations
	peers  map[string]string
}

// newTestbed makes a testbed. TESTBED_PREFIX, as for tools/testbed, lets it
// stand beside another one; suffix, beside those of tests that run in parallel.
// What else tools/testbed takes from the environment may be set.
func newTestbed(t *testing.T, suffix string, env ...string) *testbed {
	t.Helper()
	b := newSites(t)
	b.prefix += suffix
	b.env = env
	if out, err := b.script("up", "--wire"); err != nil {
		t.Fatalf("tools/testbed up: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := b.script("down"); err != nil {
			t.Errorf("tools/testbed down: %v\n%s", err, out)
		}
	})
	return b
}

// newSites makes the files of a testbed only.
func newSites(t *testing.T) *testbed {
	t.Helper()
	b := &testbed{t: t, ctx: interruptible(t), prefix: os.Getenv("TESTBED_PREFIX"), dir: t.TempDir(), peers: map[string]string{}}
	if b.prefix == "" {
		b.prefix = "qz"
	}
	// C is nobody's peer.
	for _, name := range []string{"a", "b", "c"} {
		out, err := exec.CommandContext(b.ctx, "qzmqctl", "keygen", b.key(name)).Output()
		if err != nil {
			t.Fatalf("qzmqctl keygen: %v", err)
		}
		b.peers[name] = strings.TrimSpace(string(out))
	}
	return b
}

// script runs tools/testbed. It is bounded by itself and not by the test's
// context, which is over when the testbed has to go.
func (b *testbed) script(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../tools/testbed", args...)
	cmd.Env = append(append(os.Environ(), "TESTBED_PREFIX="+b.prefix), b.env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// socket is where a gateway listens to its operator. Namespaces of networks share
// the file system.
func (b *testbed) socket(s site) string { return filepath.Join(b.dir, s.name+".sock") }

func (b *testbed) key(name string) string { return filepath.Join(b.dir, name+".key") }

// namespace is the full name of a namespace.
func (b *testbed) namespace(ns string) string { return b.prefix + "-" + ns }

// command prepares a program in a namespace.
func (b *testbed) command(ns string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(b.ctx, "ip", append([]string{"netns", "exec", b.namespace(ns)}, args...)...)
	cmd.WaitDelay = time.Second
	return cmd
}

// try runs a program in a namespace and gives what it printed, stdout and
// stderr together.
func (b *testbed) try(ns string, args ...string) (string, error) {
	out, err := b.command(ns, args...).CombinedOutput()
	return string(out), err
}

// run is try for what has to succeed.
func (b *testbed) run(ns string, args ...string) string {
	b.t.Helper()
	out, err := b.try(ns, args...)
	if err != nil {
		b.t.Fatalf("%s: %s: %v\n%s", ns, strings.Join(args, " "), err, out)
	}
	return out
}

// enter runs f in a namespace, on a thread that is thrown away: the test's own
// threads never leave the machine's network. What f opens stays where it was
// opened.
func (b *testbed) enter(ns string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread is the one that cannot be thrown away, and where it
			// is there tools/testbed takes the whole process to be. It is held
			// here so that the other goroutine gets another one.
			defer runtime.UnlockOSThread()
			done <- b.enter(ns, f)
			return
		}
		done <- func() error { // and never unlocked, which ends the thread
			fd, err := unix.Open("/run/netns/"+b.namespace(ns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("open namespace %s: %w", ns, err)
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter namespace %s: %w", ns, err)
			}
			return f()
		}()
	}()
	return <-done
}

// within polls until cond holds and gives the time that took. After limit the
// test fails.
func (b *testbed) within(limit time.Duration, what string, cond func() bool) time.Duration {
	b.t.Helper()
	start := time.Now()
	for {
		if cond() {
			return time.Since(start)
		}
		if time.Since(start) > limit || b.ctx.Err() != nil {
			b.t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// during does nothing for a time in which something must not happen.
func (b *testbed) during(d time.Duration) {
	b.t.Helper()
	select {
	case <-time.After(d):
	case <-b.ctx.Done():
		b.t.Fatal(context.Cause(b.ctx))
	}
}

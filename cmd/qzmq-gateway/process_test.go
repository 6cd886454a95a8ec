package main_test

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that runs beside the test. It is killed, by its pid,
// when the test ends.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  output // of both stdout and stderr
	done chan struct{}
	err  error // of Wait, once done is closed
}

// spawn starts a program in a namespace.
func (b *testbed) spawn(ns string, args ...string) *process {
	b.t.Helper()
	return start(b.t, b.command(ns, args...))
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %v: %v", cmd.Args, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as a crash does, and waits for its end.
func (p *process) kill() {
	p.cmd.Process.Kill() // an error means that it has ended already
	<-p.done
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %v to %v: %v", s, p.cmd.Args, err)
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait waits for the end of the process, and for its success.
func (p *process) wait(limit time.Duration) string {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.t.Fatalf("%v does not end within %v; it printed:\n%s", p.cmd.Args, limit, &p.out)
	}
	if p.err != nil {
		p.t.Fatalf("%v: %v; it printed:\n%s", p.cmd.Args, p.err, &p.out)
	}
	return p.out.String()
}

// output takes in what a process prints while the test reads it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// lines gives the lines that hold all of the words.
func (o *output) lines(words ...string) (found []string) {
next:
	for line := range strings.Lines(o.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, strings.TrimSuffix(line, "\n"))
	}
	return found
}

// pinger is a ping that runs on.
type pinger struct{ *process }

// pinging starts pings from a host, so many a second.
func (b *testbed) pinging(from, to string, perSecond int, args ...string) pinger {
	b.t.Helper()
	interval := (time.Second / time.Duration(perSecond)).Seconds()
	return pinger{b.spawn(from, append([]string{"ping", "-n", "-i", formatFloat(interval), "-s", "120", to}, args...)...)}
}

// replies is how many answers have come.
func (p pinger) replies() int { return strings.Count(p.out.String(), "bytes from") }

// ping is the one-off: whether one answer came within a second.
func (b *testbed) ping(from, to string) bool {
	out, err := b.try(from, "ping", "-n", "-c", "1", "-W", "1", to)
	return err == nil && strings.Contains(out, "1 received")
}

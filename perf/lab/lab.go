// Package lab is where the rivals meet: the two sites of tools/testbed, one way of
// carrying packets between them at a time, and the accounts of who used the
// processors.
//
//	host-a -- gw-a ==(outside)== gw-b -- host-b
//
// Both hosts and both gateways run on the same machine and share its cores, so a
// rate is what the cores could do for everybody together. CPU time per gigabyte or
// packet does not depend on that.
//
// Everything happens in network namespaces with names of this process's own, and
// in one temporary directory. Programs are ended by their process ids, also when
// this process is killed.
package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The addresses of tools/testbed.
const (
	HostA, HostB       = "10.1.0.2", "10.2.0.2"
	outsideA, outsideB = "192.0.2.1", "192.0.2.2"
	siteA, siteB       = "10.1.0.0/24", "10.2.0.0/24"
)

// Setting is what the sites are like.
type Setting struct {
	WireMTU int // between the gateways
	HostMTU int // of the hosts and the gateways' insides
	// Offloads says where they stay on: none, inside or all.
	Offloads string
}

// Lab is two sites that are up. Close removes them.
type Lab struct {
	Setting
	ctx      context.Context
	workshop *Workshop
	prefix   string
	programs []*Program
}

// prefix begins the names of namespaces; a process id follows.
const prefix = "bench"

// open makes the sites. Their names hold our process id; there is one lab at a
// time in a process.
func open(ctx context.Context, w *Workshop, s Setting) (*Lab, error) {
	l := &Lab{Setting: s, ctx: ctx, workshop: w, prefix: prefix + strconv.Itoa(os.Getpid())}
	if err := l.sweep(); err != nil {
		return nil, err
	}
	if err := l.script("up"); err != nil {
		return nil, err
	}
	return l, nil
}

// sweep removes the sites of processes that are no more: of one that was killed
// outright and could not do it itself.
func (l *Lab) sweep() error {
	left, err := filepath.Glob("/run/netns/" + prefix + "*-gw-a")
	if err != nil {
		return err
	}
	for _, path := range left {
		name := strings.TrimSuffix(filepath.Base(path), "-gw-a")
		pid, err := strconv.Atoi(strings.TrimPrefix(name, prefix))
		if err != nil || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue // not of our making, or at work
		}
		if err := (&Lab{ctx: l.ctx, prefix: name}).script("down"); err != nil {
			return err
		}
	}
	return nil
}

// script runs tools/testbed. An interrupt does not reach it: a namespace that is
// half made would stay.
func (l *Lab) script(what string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tools/testbed", what)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "TESTBED_PREFIX="+l.prefix)
	if what == "up" {
		cmd.Env = append(cmd.Env, "TESTBED_MTU="+strconv.Itoa(l.WireMTU),
			"TESTBED_INSIDE_MTU="+strconv.Itoa(l.HostMTU), "TESTBED_OFFLOADS="+l.Offloads)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tools/testbed %s: %w\n%s", what, err, out)
	}
	return nil
}

// Close ends what runs in the sites and removes them.
func (l *Lab) Close() error {
	for _, p := range l.programs {
		p.End()
	}
	return l.script("down")
}

// Namespace is the full name of host-a, gw-a, gw-b or host-b.
func (l *Lab) Namespace(short string) string { return l.prefix + "-" + short }

// Run runs a program in a namespace, for at most a minute, and gives what it
// printed on its standard output.
func (l *Lab) Run(ns string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(l.ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.Namespace(ns)}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if l.ctx.Err() != nil {
		return "", context.Cause(l.ctx)
	}
	if err != nil {
		return string(out), fmt.Errorf("%s: %s: %w\n%s%s", ns, strings.Join(args, " "), err, out, problems.Bytes())
	}
	return string(out), nil
}

// Program runs beside the measurement.
type Program struct {
	name string
	cmd  *exec.Cmd
	out  output
	done chan struct{}
	err  error
}

// Start starts a program in a namespace with variables (NAME=value) added to its
// environment. It ends with the lab at the latest.
func (l *Lab) Start(ns string, env []string, args ...string) (*Program, error) {
	p := &Program{name: filepath.Base(args[0]), done: make(chan struct{})}
	p.cmd = exec.Command("ip", append([]string{"netns", "exec", l.Namespace(ns)}, args...)...)
	p.cmd.Env = append(os.Environ(), env...)
	// A process group of its own: an interrupt from the keyboard is for us, who
	// then end the programs in good order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	l.programs = append(l.programs, p)
	return p, nil
}

// Says waits until the program has printed a word.
func (p *Program) Says(word string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(p.out.String(), word) {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s has ended: %w\n%s", p.name, p.err, p.out.String())
		default:
		}
	}
	return fmt.Errorf("%s does not say %q within %v\n%s", p.name, word, limit, p.out.String())
}

// Result waits for the program's end and gives the last line that it printed.
func (p *Program) Result(limit time.Duration) (string, error) {
	select {
	case <-p.done:
	case <-time.After(limit):
		return "", fmt.Errorf("%s does not end within %v\n%s", p.name, limit, p.out.String())
	}
	if p.err != nil {
		return "", fmt.Errorf("%s: %w\n%s", p.name, p.err, p.out.String())
	}
	lines := strings.Split(strings.TrimSpace(p.out.String()), "\n")
	return lines[len(lines)-1], nil
}

// Output is all that the program has printed so far.
func (p *Program) Output() string { return p.out.String() }

// End asks the program to stop, and kills it when it does not.
func (p *Program) End() {
	p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended already
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// output takes in what a program prints while others read it.
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

// Workshop is where the lab's programs come from.
func (l *Lab) Workshop() *Workshop { return l.workshop }

// MAC is the address of an interface.
func (l *Lab) MAC(ns, device string) (string, error) {
	out, err := l.Run(ns, "cat", "/sys/class/net/"+device+"/address")
	return strings.TrimSpace(out), err
}

// started finds what a gateway logs of the way it runs.
var started = regexp.MustCompile(`\b(?:workers|[a-z_]*mode|[a-z_]*io|aead[a-z_]*)=(?:"[^"]*"|\S+)`)

// Conditions says, for above a table, how what was started runs.
func (l *Lab) Conditions() string {
	for _, p := range l.programs {
		for line := range strings.Lines(p.Output()) {
			if strings.Contains(line, "gateway started") {
				return strings.Join(started.FindAllString(line, -1), " ")
			}
		}
	}
	return ""
}

// Said is the last that the programs have printed, for an error.
func (l *Lab) Said() string {
	var all strings.Builder
	for _, p := range l.programs {
		text := strings.TrimSpace(p.Output())
		fmt.Fprintf(&all, "%s: %s\n", p.name, text[max(0, len(text)-600):])
	}
	return all.String()
}

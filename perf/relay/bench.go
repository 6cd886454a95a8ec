package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/qzmq/gateway/perf/ends"
)

// bench is what all turns share: the programs, and two relays.
type bench struct {
	ctx      context.Context
	dir      string
	seconds  float64
	requests int
	idle     int
	churns   time.Duration

	near, far   *exec.Cmd
	front, back string   // ports
	curve       []string // CURVE_PUBLIC and CURVE_SECRET of the binding side
}

// prepare builds the programs, makes keys and starts the relays.
func (b *bench) prepare() error {
	if err := b.build(); err != nil {
		return err
	}
	out, err := exec.CommandContext(b.ctx, b.path("zmq"), "keys").Output()
	if err != nil {
		return fmt.Errorf("zmq keys: %w", err)
	}
	public, secret, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	b.curve = []string{"CURVE_PUBLIC=" + public, "CURVE_SECRET=" + secret}
	fingerprints := map[string]string{}
	for _, name := range []string{"near", "far", "push", "pull"} {
		out, err := exec.CommandContext(b.ctx, b.path("qzmqctl"), "keygen", b.path(name+".key")).Output()
		if err != nil {
			return fmt.Errorf("qzmqctl keygen: %w", err)
		}
		fingerprints[name] = strings.TrimSpace(string(out))
	}
	var middle string
	for _, port := range []*string{&b.front, &middle, &b.back} {
		if *port, err = ends.FreePort(); err != nil {
			return err
		}
	}
	const here = "tcp://127.0.0.1:"
	if b.far, err = b.relay("far.key", "qzmq+"+here+middle, here+b.back, "--allow", fingerprints["near"]); err != nil {
		return err
	}
	b.near, err = b.relay("near.key", here+b.front, "qzmq+"+here+middle, "--peer", fingerprints["far"])
	return err
}

func (b *bench) end() {
	for _, c := range []*exec.Cmd{b.near, b.far} {
		if c != nil {
			c.Process.Kill()
			c.Wait()
		}
	}
}

// relay starts a relay and waits until it says that it has.
func (b *bench) relay(key, listen, connect string, who ...string) (*exec.Cmd, error) {
	c := exec.Command(b.path("qzmqctl"), append([]string{"relay", "--identity", b.path(key), "--listen", listen, "--connect", connect}, who...)...)
	pipe, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "relay started") {
			go func() {
				for lines.Scan() { // a relay must not wait for us
				}
			}()
			return c, nil
		}
	}
	return c, fmt.Errorf("a relay at %s has not started: %s", listen, lines.Text())
}

// contender is a way for messages to go.
type contender struct {
	name string
	ends.Program
	relayed bool
}

func (b *bench) contenders() []contender {
	zmq := []string{b.path("zmq")}
	return []contender{
		{name: "in clear", Program: ends.Program{Command: zmq}},
		{name: "CURVE", Program: ends.Program{Command: zmq, Environment: b.curve}},
		{name: "two relays", Program: ends.Program{Command: zmq}, relayed: true},
		{name: "QZMQ program", Program: ends.Program{Command: []string{os.Args[0], programName, b.dir}}},
	}
}

// exchange runs a program that binds and one that connects, and gives the two numbers
// that one of them prints.
func (b *bench) exchange(c contender, binds string, connects string, size int, how string) (x, y float64, err error) {
	front, back := b.front, b.back
	if !c.relayed {
		if back, err = ends.FreePort(); err != nil {
			return 0, 0, err
		}
		front = back
	}
	f, err := c.Exchange(b.ctx, []string{binds, back}, []string{connects, "127.0.0.1", front, strconv.Itoa(size), how})
	figures := append(f.Connected, f.Bound...)
	if err == nil && len(figures) != 2 {
		err = fmt.Errorf("%s and %s print %v", binds, connects, figures)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", c.name, err)
	}
	return figures[0], figures[1], nil
}

// cpu is the time that both relays have used, in seconds.
func (b *bench) cpu() (total float64, err error) {
	for _, c := range []*exec.Cmd{b.near, b.far} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
		if err != nil {
			return 0, err
		}
		_, after, _ := strings.Cut(string(text), ") ")
		for _, f := range strings.Fields(after)[11:13] { // utime and stime, in hundredths of a second
			ticks, err := strconv.ParseFloat(f, 64)
			if err != nil {
				return 0, err
			}
			total += ticks / 100
		}
	}
	return total, nil
}

// resident is the memory of a relay in bytes.
func resident(c *exec.Cmd) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.Process.Pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages * os.Getpagesize()), err
}

// Command sockets measures this library's sockets under QZMQ1 beside libzmq's under
// CURVE and in clear, and beside those of go-zeromq/zmq4 in clear: PUSH to PULL, REQ to
// REP, PUB to 1, 10 and 100 SUB; and how much memory a ROUTER takes for each of ten
// thousand clients.
//
//	sockets [-out DIR] [-rounds N] [-repeat N] [-brief]
//
// Both ends are processes of their own on the loopback of this machine; all subscribers
// of a publisher are in one process. Libraries in Go run one program, package ends, and
// libzmq runs perf/traffic/zmq.c, which does the same. It runs from the top of the
// checkout, as an ordinary user.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/qzmq/gateway/perf/ends"
	"github.com/qzmq/gateway/perf/sheet"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == programName {
		os.Exit(beProgram(os.Args[2:]))
	}
	os.Exit(part().Run(os.Args[1:], os.Stdout, os.Stderr))
}

func part() sheet.Part {
	return sheet.Part{Name: "sockets", How: "loopback, ratios within a round, all programs on the same cores", Rounds: 5, Measure: measure}
}

// bench is what all turns share.
type bench struct {
	ctx        context.Context
	dir        string
	seconds    string // that a sender sends
	longer     string // the same where each of many gets little in that time
	requests   int
	clients    int
	loads      []load
	fans       []int // subscribers of a publisher
	contenders []contender
}

func measure(ctx context.Context, s *sheet.Sheet, o sheet.Options) (err error) {
	dir, err := os.MkdirTemp("", "qzmq-perf-sockets-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{ctx: ctx, dir: dir, seconds: "1", longer: "4", requests: 1000, clients: 10_000, loads: loads(), fans: []int{1, 10, 100}}
	if o.Brief {
		b.seconds, b.longer, b.requests, b.clients = "0.1", "0.1", 50, 100
		b.loads, b.fans = slices.Delete(b.loads, 1, 3), b.fans[:2]
	}
	if err := b.prepare(s); err != nil {
		return err
	}
	for round := range o.Rounds {
		for _, l := range b.loads {
			if err := errors.Join(b.pushPull(s, l, round), b.reqRep(s, l, round), b.pubSub(s, l, round)); err != nil {
				return err
			}
		}
	}
	return b.manyClients(s)
}

// Names of contenders, as they stand in the table.
const (
	ours  = "QZMQ"
	curve = "CURVE"
	clear = "libzmq in clear"
	zmq4  = "zmq4 in clear"
)

// contender is a library, and a program on it.
type contender struct {
	name string
	ends.Program
}

// prepare builds the rivals' programs and makes keys; a rival that cannot be built is missing.
func (b *bench) prepare(s *sheet.Sheet) error {
	if err := writeKeys(b.dir); err != nil {
		return err
	}
	b.contenders = []contender{{ours, ends.Program{Command: []string{os.Args[0], programName, b.dir}}}}
	built := func(program string, c *exec.Cmd) bool {
		text, err := c.CombinedOutput()
		if err != nil {
			s.Missing(program, fmt.Sprintf("it cannot be built: %v: %.200s", err, text))
		}
		return err == nil
	}
	zmq := filepath.Join(b.dir, "zmq")
	if built("libzmq", exec.CommandContext(b.ctx, "cc", "-O2", "-Wall", "-o", zmq, "perf/traffic/zmq.c", "-lzmq")) {
		out, err := exec.CommandContext(b.ctx, zmq, "keys").Output()
		if err != nil {
			return fmt.Errorf("zmq keys: %w", err)
		}
		var public, secret string
		if _, err := fmt.Sscan(string(out), &public, &secret); err != nil {
			return fmt.Errorf("zmq keys prints %q", out)
		}
		b.contenders = append(b.contenders,
			contender{curve, ends.Program{Command: []string{zmq}, Environment: []string{"CURVE_PUBLIC=" + public, "CURVE_SECRET=" + secret}}},
			contender{clear, ends.Program{Command: []string{zmq}}})
	}
	program := filepath.Join(b.dir, "zmq4")
	build := exec.CommandContext(b.ctx, "go", "build", "-o", program, ".")
	build.Dir = "perf/zmq4" // a module of its own
	if built(zmq4, build) {
		b.contenders = append(b.contenders, contender{zmq4, ends.Program{Command: []string{program}}})
	}
	return b.ctx.Err()
}

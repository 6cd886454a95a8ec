// Command relay measures what two relays cost libzmq programs, beside libzmq's own
// CURVE and beside no protection at all, and what a program costs that speaks QZMQ1
// itself.
//
//	relay [-out DIR] [-rounds N] [-repeat N] [-brief]
//
// The programs are perf/traffic/zmq.c and the relays `qzmqctl relay`, all of them
// processes of their own on the loopback of this machine. Through relays a message
// makes three hops and passes four programs; under CURVE it makes one and passes two.
// It runs from the top of the checkout, as an ordinary user.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qzmq/gateway/perf/sheet"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == programName {
		os.Exit(beProgram(os.Args[2:]))
	}
	os.Exit(part().Run(os.Args[1:], os.Stdout, os.Stderr))
}

func part() sheet.Part {
	return sheet.Part{Name: "relay", How: "loopback, ratios within a round, all programs on the same cores", Rounds: 5, Measure: measure}
}

func measure(ctx context.Context, s *sheet.Sheet, o sheet.Options) (err error) {
	dir, err := os.MkdirTemp("", "qzmq-perf-relay-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{ctx: ctx, dir: dir, seconds: 1, requests: 1000, idle: mostIdle(), churns: time.Minute}
	if o.Brief {
		b.seconds, b.requests, b.idle, b.churns = 0.1, 50, 50, time.Second/2
	}
	defer b.end()
	if err := b.prepare(); err != nil {
		if ctx.Err() == nil && errors.Is(err, errNoLibzmq) {
			s.Missing("ZeroMQ through relays", err.Error())
			return nil
		}
		return err
	}
	for round := range o.Rounds {
		if err := b.throughput(s, round); err != nil {
			return err
		}
		if err := b.roundTrips(s, round); err != nil {
			return err
		}
	}
	return b.connections(s)
}

// mostIdle is ten thousand, or as many connections as there are descriptors for: each
// takes two in a relay, and two here. Where we may we raise the hard limit too, which
// the relays inherit; it takes CAP_SYS_RESOURCE.
func mostIdle() int {
	const idle, besides = 10_000, 20
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		panic("relay: no limit of descriptors: " + err.Error())
	}
	if want := uint64(2*idle + besides); limit.Max < want {
		if raised := (unix.Rlimit{Cur: want, Max: want}); unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return int(min(idle, (limit.Max-besides)/2))
}

var errNoLibzmq = errors.New("libzmq's C library is not there")

// build makes the programs that are measured.
func (b *bench) build() error {
	cc := exec.CommandContext(b.ctx, "cc", "-O2", "-Wall", "-o", b.path("zmq"), "perf/traffic/zmq.c", "-lzmq")
	if text, err := cc.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %v: %.200s", errNoLibzmq, err, text)
	}
	if text, err := exec.CommandContext(b.ctx, "go", "build", "-o", b.path("qzmqctl"), "./cmd/qzmqctl").CombinedOutput(); err != nil {
		return fmt.Errorf("build qzmqctl: %w\n%s", err, text)
	}
	return nil
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

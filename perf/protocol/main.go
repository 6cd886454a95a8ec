// Command protocol measures what the protocol costs: handshakes, records, key
// changes, refusals, memory and bytes, each beside what it cannot do without and
// what a program would otherwise use.
//
//	protocol [-out DIR] [-rounds N] [-brief]
//
// It prints one Markdown table and writes the same, with every sample, into DIR.
// Run it from the top of the checkout: one of its rows comes from the benchmarks
// of package dataplane.
//
// The machine may be shared. So a figure is CPU time of the thread that did the
// work, what is compared takes turns within each round, a ratio is formed within
// a round, and a figure is the median over the rounds beside the least and the
// most. A goal that is not met is marked and does not stop the run.
//
// Exit codes: 0 it measured, whatever came out; 1 it could not; 2 usage.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// effort is how much one round does. The figures of full make a run of less than
// a minute on one core of 2024.
type effort struct {
	handshakes int    // of each kind: ML-DSA signs until it likes the result, so one says little
	alone      int    // handshakes of each kind with no other in between
	turns      int    // of a few thousand records
	refusals   int    // of each kind
	flows      int    // of some streams whose keys are changed
	sessions   int    // that live at once
	packages   string // -benchtime of the benchmarks of other packages
}

func full() effort {
	return effort{handshakes: 700, alone: 250, turns: 60, refusals: 20000, flows: 4, sessions: 2000, packages: "200ms"}
}

// brief shows that everything runs; its figures are of no interest.
func brief() effort {
	return effort{handshakes: 2, alone: 1, turns: 1, refusals: 10, flows: 1, sessions: 10, packages: "1x"}
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("protocol", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "perf/results", "write protocol.md and protocol.json into `DIR`")
	rounds := flags.Int("rounds", 7, "measure everything `N` times")
	short := flags.Bool("brief", false, "do very little in a round, only to see that everything runs")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *rounds < 1 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: protocol [-out DIR] [-rounds N] [-brief]")
		return 2
	}
	e := full()
	if *short {
		e = brief()
	}
	if err := report(e, *rounds, *out, stdout); err != nil {
		fmt.Fprintln(stderr, "protocol:", err)
		return 1
	}
	return 0
}

func report(e effort, rounds int, out string, stdout io.Writer) error {
	r := result{Started: time.Now().UTC().Truncate(time.Second), Rounds: rounds, Machine: describeMachine()}
	s := &sheet{}
	if err := measure(s, e, rounds); err != nil {
		return err
	}
	r.finish(s)
	if err := r.write(out); err != nil {
		return err
	}
	_, err := io.WriteString(stdout, r.markdown())
	return err
}

// round measures its rows once more.
type round func() error

// measure does all rounds. The thread is kept, because its clock is the one that
// is read.
func measure(s *sheet, e effort, rounds int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all []round
	for _, start := range []func(*sheet, effort) (round, error){
		handshakeRows, recordRows, refusalRows, ratchetRows, memoryRows,
	} {
		one, err := start(s, e)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	for range rounds {
		for _, one := range all {
			runtime.GC() // nobody pays for the garbage of another
			if err := one(); err != nil {
				return err
			}
		}
	}
	if err := dataplaneRows(s, e, rounds); err != nil {
		return err
	}
	return wireRows(s)
}

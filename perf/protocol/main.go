// Command protocol measures what the protocol costs: handshakes, records, key
// changes, refusals, memory and bytes, each beside what it cannot do without and
// what a program would otherwise use.
//
//	protocol [-out DIR] [-rounds N] [-brief]
//
// It prints one Markdown table and writes the same, with every sample, into DIR.
//
// The machine may be shared. So a figure is CPU time of the thread that did the
// work, what is compared takes turns within each round, a ratio is formed within
// a round, and a figure is the median over the rounds beside the least and the
// most. A goal that is not met is marked and does not stop the run.
//
// Exit codes: 0 it measured, whatever came out; 1 it could not; 2 usage.
package main

import (
	"context"
	"os"
	"runtime"

	"github.com/qzmq/gateway/perf/sheet"
)

// effort is how much one round does. The figures of full make a run of less than
// a minute on one core of 2024.
type effort struct {
	handshakes int // of each kind: ML-DSA signs until it likes the result, so one says little
	alone      int // handshakes of each kind with no other in between
	turns      int // of a few thousand records
	refusals   int // of each kind
	flows      int // of some streams whose keys are changed
	sessions   int // that live at once
}

func full() effort {
	return effort{handshakes: 700, alone: 250, turns: 60, refusals: 20000, flows: 4, sessions: 2000}
}

// brief shows that everything runs; its figures are of no interest.
func brief() effort {
	return effort{handshakes: 2, alone: 1, turns: 1, refusals: 10, flows: 1, sessions: 10}
}

func main() { os.Exit(part().Run(os.Args[1:], os.Stdout, os.Stderr)) }

func part() sheet.Part {
	return sheet.Part{Name: "protocol", How: "CPU time of the thread at work", Rounds: 7, Measure: measure}
}

// round measures its rows once more.
type round func() error

// measure does all rounds. The thread is kept, because its clock is the one that
// is read.
func measure(ctx context.Context, s *sheet.Sheet, o sheet.Options) error {
	e := full()
	if o.Brief {
		e = brief()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all []round
	for _, start := range []func(*sheet.Sheet, effort) (round, error){
		handshakeRows, recordRows, refusalRows, ratchetRows, memoryRows,
	} {
		one, err := start(s, e)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	for range o.Rounds {
		for _, one := range all {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			runtime.GC() // nobody pays for the garbage of another
			if err := one(); err != nil {
				return err
			}
		}
	}
	return wireRows(s)
}

package sheet

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"syscall"
)

// Part is one program of perf/: what it is called, and what it measures.
type Part struct {
	Name    string // of its files in perf/results too
	How     string // the clock and the conditions, for the line above the table
	Rounds  int    // unless told otherwise
	Measure func(ctx context.Context, s *Sheet, o Options) error
}

// Options are what a part is told on its command line.
type Options struct {
	Rounds int  // every row is measured so many times
	Brief  bool // do very little in a round, only to see that everything runs
	Repeat int  // how often a run that others disturbed is done again
}

// Run measures, prints the table and writes it. It gives the exit code: 0 it
// measured, whatever came out; 1 it could not; 2 usage. An interrupt ends
// Measure by its context, so that it can clean up.
func (p Part) Run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "perf/results", "write "+p.Name+".md and "+p.Name+".json into `DIR`")
	var o Options
	flags.IntVar(&o.Rounds, "rounds", p.Rounds, "measure everything `N` times")
	flags.IntVar(&o.Repeat, "repeat", 2, "do a run that others disturbed again, up to `N` times")
	flags.BoolVar(&o.Brief, "brief", false, "do very little in a round, only to see that everything runs")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if o.Rounds < 1 || o.Repeat < 0 || flags.NArg() > 0 {
		fmt.Fprintf(stderr, "usage: %s [-out DIR] [-rounds N] [-repeat N] [-brief]\n", p.Name)
		return 2
	}
	if err := p.report(o, *out, stdout); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	return 0
}

func (p Part) report(o Options, out string, stdout io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	r, s := begin(p.Name, p.How, o.Rounds), &Sheet{}
	if err := p.Measure(ctx, s, o); err != nil {
		return err
	}
	r.finish(s)
	if err := r.write(out); err != nil {
		return err
	}
	_, err := io.WriteString(stdout, r.Markdown())
	return err
}

// Command paths measures what crosses between two hosts, and what it costs: by our
// gateways, by wireguard-go, by the kernel in clear, and by our gateways with a
// cipher that only copies.
//
//	paths [-out DIR] [-rounds N] [-repeat N] [-brief]
//
// In each round every way has its turn at every wire MTU, in sites made anew for
// it: bulk TCP of one and of four flows, and at 1500 also small packets, a flood of
// UDP and small TCP messages each answered. It runs as root from the top of the
// checkout and leaves no namespace and no process.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/qzmq/gateway/perf/lab"
	"github.com/qzmq/gateway/perf/sheet"
)

func main() { os.Exit(part().Run(os.Args[1:], os.Stdout, os.Stderr)) }

func part() sheet.Part {
	return sheet.Part{Name: "paths", How: "2 s a run, ratios within a round, all programs on the same cores", Rounds: 5, Measure: measure}
}

// The contenders, and the MTUs of the wire at which they meet. What is there only
// for orientation has its turn at 1500 alone.
func contenders() (ways []lab.Way, onlyAt1500 map[string]bool) {
	orientation := []lab.Way{lab.NullCipher(), lab.NullSuperFrames(), lab.Kernel(true)}
	onlyAt1500 = make(map[string]bool)
	for _, w := range orientation {
		onlyAt1500[w.Name] = true
	}
	ways = []lab.Way{lab.Gateways(), lab.SuperFrames(), lab.SuperFramesBoth(), lab.WireGuard(true), lab.WireGuard(false), lab.Kernel(false)}
	return append(ways, orientation...), onlyAt1500
}

func wireMTUs() []int { return []int{1500, 3420, 9000} }

// what is done in one turn.
type task struct {
	name string
	do   func(*lab.Lab, float64) (run, error)
}

func tasks(mtu int) []task {
	all := []task{
		{"TCP, 1 flow", func(l *lab.Lab, s float64) (run, error) { return bulk(l, 1, s) }},
		{"TCP, 4 flows", func(l *lab.Lab, s float64) (run, error) { return bulk(l, 4, s) }},
	}
	if mtu == 1500 {
		all = append(all, task{"UDP flood, 64 B", flood}, task{"TCP messages, 64 B", messages})
	}
	return all
}

func measure(ctx context.Context, s *sheet.Sheet, o sheet.Options) (err error) {
	w, err := lab.NewWorkshop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	b := &bench{workshop: w, sheet: s, referee: lab.Referee{Repeat: o.Repeat}, seconds: 2}
	if o.Brief {
		b.seconds = 0.3
	}
	ways, only := contenders()
	mtus := wireMTUs()
	for round := range o.Rounds {
		for _, mtu := range mtus {
			seen := make(results)
			for i := range ways {
				way := ways[(i+round)%len(ways)] // who comes first changes
				if mtu != 1500 && only[way.Name] {
					continue
				}
				if err := b.turn(way, mtu, seen); err != nil {
					return err
				}
			}
			for _, t := range tasks(mtu) {
				rows(s, t.name, mtu, ways, seen)
			}
		}
	}
	s.Note("wireguard-go is " + w.WireGuardVersion() + ", TCP's congestion control " + lab.CongestionControl() + ".")
	s.Note(b.referee.Note())
	return nil
}

// bench is what all turns share.
type bench struct {
	workshop *lab.Workshop
	sheet    *sheet.Sheet
	referee  lab.Referee
	seconds  float64
}

// results are those of one round at one MTU, by task and way.
type results map[string]map[string]run

// turn has a way do all its tasks. A way that is not there, or fails, is named as
// missing; only an interrupt ends the measurement.
func (b *bench) turn(way lab.Way, mtu int, seen results) (err error) {
	ctx := b.workshop.Context()
	what := fmt.Sprintf("%s, wire MTU %d", way.Name, mtu)
	l, err := b.workshop.Open(way, mtu)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		b.sheet.Missing(what, b.workshop.Reason(err))
		return nil
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if c := l.Conditions(); c != "" {
		b.sheet.Note(what + ": " + c + ".")
	}
	for _, t := range tasks(mtu) {
		r, err := lab.Clean(&b.referee, func() (run, lab.Account, error) {
			r, err := t.do(l, b.seconds)
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, l.Said())
			}
			return r, r.used, err
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			b.sheet.Missing(what+", "+t.name, b.workshop.Reason(err))
			continue
		}
		if seen[t.name] == nil {
			seen[t.name] = make(map[string]run)
		}
		seen[t.name][way.Name] = r
	}
	return nil
}

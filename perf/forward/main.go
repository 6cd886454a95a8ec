// Command forward measures packets carried from one interface to another through
// AF_XDP: by a worker of our dataplane that adds and fills all headers of a record
// but whose cipher only copies, and by a plain forwarder of github.com/asavie/xdp,
// which copies frames as they are. Source and sink are asavie/xdp in both cases.
//
//	forward [-out DIR] [-rounds N] [-repeat N] [-brief]
//
//	source (host-a) -- the forwarder (gw-a) == sink (gw-b)
//
// All three share the machine's cores. It runs as root from the top of the
// checkout and leaves no namespace and no process.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/qzmq/gateway/perf/lab"
	"github.com/qzmq/gateway/perf/sheet"
)

func main() { os.Exit(part().Run(os.Args[1:], os.Stdout, os.Stderr)) }

func part() sheet.Part {
	return sheet.Part{Name: "forward", How: "2 s a run, ratios within a round, source and sink on the same cores", Rounds: 5, Measure: measure}
}

const (
	rival = "asavie/xdp l2 forwarder"                // with the rings that it makes unless told otherwise
	deep  = "asavie/xdp l2 forwarder, rings of 2048" // at its best
	null  = "null cipher, AF_XDP forward"
	ours  = "aes256gcm, AF_XDP forward"
)

// run is what arrived at the sink, and what it cost the forwarder.
type run struct {
	packets, seconds float64
	used             lab.Account
}

func (r run) rate() float64 { return r.packets / r.seconds }

func measure(ctx context.Context, s *sheet.Sheet, o sheet.Options) (err error) {
	w, err := lab.NewWorkshop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	b := &bench{workshop: w, referee: lab.Referee{Repeat: o.Repeat}, seconds: 2}
	if o.Brief {
		b.seconds = 0.3
	}
	if b.asavie, err = w.Go("asavie", "perf/asavie", "."); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.Missing(rival, w.Reason(err))
		return nil
	}
	ways := []string{rival, deep, null, ours}
	for round := range o.Rounds {
		for _, size := range []int{64, 1420} {
			seen := make(map[string]run)
			for i := range ways {
				way := ways[(i+round)%len(ways)] // who comes first changes
				r, err := lab.Clean(&b.referee, func() (run, lab.Account, error) {
					r, err := b.turn(way, size)
					return r, r.used, err
				})
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err != nil {
					s.Missing(fmt.Sprintf("%s, %d B", way, size), w.Reason(err))
					continue
				}
				seen[way] = r
			}
			rows(s, size, seen)
		}
	}
	s.Note(b.referee.Note())
	return nil
}

func rows(s *sheet.Sheet, size int, seen map[string]run) {
	each := func(r run) float64 { return r.used.Gateways().Seconds() / r.packets }
	for _, way := range []string{null, ours, rival, deep} {
		r, ok := seen[way]
		if !ok {
			continue
		}
		name := fmt.Sprintf("%s, %d B", way, size)
		s.Plain(sheet.Rates, name, "thousand/s").Add(r.rate() / 1e3)
		s.Plain(sheet.Times, name+", CPU of the forwarder", "µs each").Add(each(r) * 1e6)
		for _, against := range []string{rival, deep} {
			other, ok := seen[against]
			if !ok || way != null && way != ours {
				continue
			}
			want := sheet.Goal{}
			if way == null {
				want = sheet.AtLeast(1.5)
			}
			s.Row(sheet.Ratios, name+" / "+against, "x", want).Add(r.rate() / other.rate())
			s.Plain(sheet.Ratios, name+" / "+against+", CPU of the forwarder", "x").Add(each(r) / each(other))
		}
	}
}

// bench is what all runs share.
type bench struct {
	workshop *lab.Workshop
	referee  lab.Referee
	asavie   string
	seconds  float64
}

// turn makes the sites anew and has one forwarder carry packets in them.
func (b *bench) turn(way string, size int) (r run, err error) {
	l, err := b.workshop.Sites(1500)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	toForwarder, err := l.MAC("gw-a", "eth1")
	if err != nil {
		return r, err
	}
	toSink, err := l.MAC("gw-b", "eth2")
	if err != nil {
		return r, err
	}
	args := []string{b.asavie, "forward", "eth1", "eth2", "0"}
	switch way {
	case deep:
		args[4] = "2048"
	case null:
		args, err = b.ours("null-forwarder", toSink, "-tags", "nullcipher")
	case ours:
		args, err = b.ours("forwarder", toSink)
	}
	if err != nil {
		return r, err
	}
	return b.flow(l, args, toForwarder, size)
}

func (b *bench) ours(name, toSink string, flags ...string) ([]string, error) {
	program, err := b.workshop.Go(name, ".", "./perf/forwarder", flags...)
	return []string{program, "eth1", "eth2", toSink}, err
}

// flow starts sink, forwarder and source, in this order.
func (b *bench) flow(l *lab.Lab, forwarder []string, toForwarder string, size int) (r run, err error) {
	const patience = 10 * time.Second
	sink, err := l.Start("gw-b", nil, b.asavie, "sink", "eth2", fmt.Sprint(b.seconds+2.5))
	if err != nil {
		return r, err
	}
	if err := sink.Says("listening", patience); err != nil {
		return r, err
	}
	middle, err := l.Start("gw-a", nil, forwarder...)
	if err != nil {
		return r, err
	}
	if err := middle.Says("forwarding", patience); err != nil {
		return r, err
	}
	r.used, err = l.Watch(func() error {
		_, err := l.Run("host-a", b.asavie, "source", "eth1", toForwarder, fmt.Sprint(size), fmt.Sprint(b.seconds))
		return err
	})
	if err != nil {
		return r, err
	}
	out, err := sink.Result(patience)
	if err != nil {
		return r, err
	}
	if _, err := fmt.Sscan(strings.TrimSpace(out), &r.packets, &r.seconds); err != nil {
		return r, fmt.Errorf("the sink prints %q: %w", out, err)
	}
	if r.packets < 1000 || r.seconds <= 0 {
		return r, fmt.Errorf("only %.0f packets arrive\n%s", r.packets, l.Said())
	}
	return r, nil
}

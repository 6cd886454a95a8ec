// Command zmq measures libzmq programs at two sites: PUSH to PULL at full speed,
// and REQ to REP on an idle path. In clear over the kernels' forwarding, under
// CURVE from end to end over the same, and in clear through our gateways.
//
//	zmq [-out DIR] [-rounds N] [-repeat N] [-brief]
//
// The programs are perf/traffic/zmq.c. It runs as root from the top of the checkout
// and leaves no namespace and no process.
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
	return sheet.Part{Name: "zmq", How: "wire MTU 1500, ratios within a round, all programs on the same cores", Rounds: 5, Measure: measure}
}

// contender is a way across and whether the programs speak CURVE on it.
type contender struct {
	name       string
	way        lab.Way
	curve      bool
	curveRival string // of ours: the CURVE to beat, whose hosts have the same offloads
	clearRival string // of ours: what the added latency is taken from
}

func contenders() []contender {
	all := []contender{
		{name: "gateways, AF_XDP", way: lab.Gateways(), curveRival: "CURVE, offloads off", clearRival: "in clear, offloads off"},
		{name: "gateways, super-frames", way: lab.SuperFrames(), curveRival: "CURVE, offloads on", clearRival: "in clear, offloads on"},
		{name: "gateways, super-frames on both ports", way: lab.SuperFramesBoth(), curveRival: "CURVE, offloads on", clearRival: "in clear, offloads on"},
	}
	for _, offloads := range []bool{false, true} {
		_, state, _ := strings.Cut(lab.Kernel(offloads).Name, ", ")
		all = append(all,
			contender{name: "CURVE, " + state, way: lab.Kernel(offloads), curve: true},
			contender{name: "in clear, " + state, way: lab.Kernel(offloads)})
	}
	return all
}

func sizes() []int { return []int{64, 1 << 10, 16 << 10, 64 << 10, 1 << 20} }

// figures are what a contender did in a round.
type figures struct {
	rate     map[int]float64 // messages per second, by size
	p50, p99 float64         // µs of a round trip
}

func measure(ctx context.Context, s *sheet.Sheet, o sheet.Options) (err error) {
	w, err := lab.NewWorkshop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	b := &bench{workshop: w, referee: lab.Referee{Repeat: o.Repeat}, seconds: 1, requests: 1000}
	if o.Brief {
		b.seconds, b.requests = 0.1, 50
	}
	if err := b.prepare(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.Missing("ZeroMQ through the gateways", "libzmq's C library is not there: "+w.Reason(err))
		return nil
	}
	all := contenders()
	for round := range o.Rounds {
		seen := make(map[string]figures)
		for i := range all {
			c := all[(i+round)%len(all)] // who comes first changes
			f, err := b.turn(c)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				s.Missing("ZeroMQ: "+c.name, b.workshop.Reason(err))
				continue
			}
			seen[c.name] = f
		}
		rows(s, all, seen)
	}
	s.Note(b.referee.Note())
	return nil
}

// bench is what all turns share.
type bench struct {
	workshop *lab.Workshop
	referee  lab.Referee
	program  string
	keys     []string // CURVE_PUBLIC and CURVE_SECRET of the binding side
	seconds  float64
	requests int
}

func (b *bench) prepare() (err error) {
	if b.program, err = b.workshop.C("zmq", "-lzmq"); err != nil {
		return err
	}
	out, err := b.workshop.Output(b.program, "keys")
	if err != nil {
		return err
	}
	public, secret, found := strings.Cut(strings.TrimSpace(out), " ")
	if !found {
		return fmt.Errorf("zmq keys prints %q", out)
	}
	b.keys = []string{"CURVE_PUBLIC=" + public, "CURVE_SECRET=" + secret}
	return nil
}

// turn makes the sites anew and has a contender do everything in them.
func (b *bench) turn(c contender) (f figures, err error) {
	l, err := b.workshop.Open(c.way, 1500)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	f.rate = make(map[int]float64)
	for _, size := range sizes() {
		counted, err := b.clean(l, c, []string{"pull", "7003"},
			[]string{"push", lab.HostB, "7003", fmt.Sprint(size), fmt.Sprint(b.seconds)}, true)
		if err != nil {
			return f, err
		}
		if counted[0] <= 0 || counted[1] <= 0 {
			return f, errors.New("no message arrived")
		}
		f.rate[size] = counted[0] / counted[1]
	}
	trip, err := b.clean(l, c, []string{"rep", "7004"}, []string{"req", lab.HostB, "7004", "64", fmt.Sprint(b.requests)}, false)
	f.p50, f.p99 = trip[0], trip[1]
	return f, err
}

// clean is pair until nobody disturbs it.
func (b *bench) clean(l *lab.Lab, c contender, binds, connects []string, fromBinding bool) ([2]float64, error) {
	return lab.Clean(&b.referee, func() (got [2]float64, used lab.Account, err error) {
		used, err = l.Watch(func() (err error) {
			got, err = b.pair(l, c, binds, connects, fromBinding)
			return err
		})
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, l.Said())
		}
		return got, used, err
	})
}

// pair runs the binding program at host B and the connecting one at host A, and
// gives the two numbers that one of them prints.
func (b *bench) pair(l *lab.Lab, c contender, binds, connects []string, fromBinding bool) (got [2]float64, err error) {
	var env []string
	if c.curve {
		env = b.keys
	}
	binding, err := l.Start("host-b", env, append([]string{b.program}, binds...)...)
	if err != nil {
		return got, err
	}
	defer binding.End()
	if err := binding.Says("listening", 5*time.Second); err != nil {
		return got, err
	}
	connecting, err := l.Start("host-a", env, append([]string{b.program}, connects...)...)
	if err != nil {
		return got, err
	}
	defer connecting.End()
	const limit = 30 * time.Second
	out, err := connecting.Result(limit)
	if err != nil {
		return got, err
	}
	fromBound, err := binding.Result(limit)
	if err != nil {
		return got, err
	}
	if fromBinding {
		out = fromBound
	}
	if _, err := fmt.Sscan(out, &got[0], &got[1]); err != nil {
		return got, fmt.Errorf("zmq prints %q: %w", out, err)
	}
	return got, nil
}

func rows(s *sheet.Sheet, all []contender, seen map[string]figures) {
	for _, c := range all {
		f, ok := seen[c.name]
		if !ok {
			continue
		}
		for _, size := range sizes() {
			name := fmt.Sprintf("ZeroMQ, PUSH to PULL, %d B: %s", size, c.name)
			s.Plain(sheet.Rates, name, "messages/s").Add(f.rate[size])
			s.Plain(sheet.Rates, name, "Gb/s").Add(f.rate[size] * float64(size) * 8 / 1e9)
		}
		latency := "ZeroMQ, REQ to REP, idle path: " + c.name
		s.Plain(sheet.Times, latency+", p50", "µs").Add(f.p50)
		s.Plain(sheet.Times, latency+", p99", "µs").Add(f.p99)
		for _, against := range all {
			r, ok := seen[against.name]
			if !ok || !against.curve || c.curveRival == "" {
				continue
			}
			for _, size := range sizes() {
				want := sheet.Goal{}
				if size >= 1<<10 && against.name == c.curveRival {
					want = sheet.AtLeast(2)
				}
				s.Row(sheet.Ratios, fmt.Sprintf("ZeroMQ, PUSH to PULL, %d B: %s / %s", size, c.name, against.name), "x", want).Add(f.rate[size] / r.rate[size])
			}
		}
		if r, ok := seen[c.clearRival]; ok {
			s.Row(sheet.Times, latency+", p99 added to "+c.clearRival, "µs", sheet.AtMost(100)).Add(f.p99 - r.p99)
			for _, size := range sizes() {
				s.Plain(sheet.Ratios, fmt.Sprintf("ZeroMQ, PUSH to PULL, %d B: %s / %s", size, c.name, c.clearRival), "x").Add(f.rate[size] / r.rate[size])
			}
		}
	}
}

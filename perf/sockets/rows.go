package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/qzmq/gateway/perf/ends"
	"github.com/qzmq/gateway/perf/sheet"
)

// load is a size of messages, and what is wanted of it besides what is wanted of all.
type load struct {
	size    int
	inClear sheet.Goal // throughput beside libzmq in clear
}

func loads() []load {
	return []load{{64, sheet.AtLeast(0.5)}, {size: 1 << 10}, {size: 64 << 10}, {size: 1 << 20}}
}

// Wanted at every size.
func wantedOfCurve() sheet.Goal { return sheet.AtLeast(2) }
func wantedOfTrip() sheet.Goal  { return sheet.AtMost(1) }
func wantedOfHeap() sheet.Goal  { return sheet.AtMost(1.1) } // one, and something for the runtime itself

// turns has every contender do the same, first a different one in each round, and gives
// the first figure of each by name. One that fails is missing, unless it is ours.
func (b *bench) turns(s *sheet.Sheet, what string, round int, turn func(contender) (float64, error)) (map[string]float64, error) {
	seen := map[string]float64{}
	for i := range b.contenders {
		c := b.contenders[(i+round)%len(b.contenders)]
		v, err := turn(c)
		switch {
		case b.ctx.Err() != nil:
			return nil, b.ctx.Err()
		case err != nil && c.name == ours:
			return nil, fmt.Errorf("%s: %w", what, err)
		case err != nil:
			s.Missing(what+", "+c.name, err.Error())
		default:
			seen[c.name] = v
		}
	}
	return seen, nil
}

// exchange runs a contender's two programs on a free port.
func (b *bench) exchange(c contender, binds string, how []string, connects string, args ...string) (f ends.Figures, err error) {
	port, err := ends.FreePort()
	if err != nil {
		return f, err
	}
	f, err = c.Exchange(b.ctx, append([]string{binds, port}, how...), append([]string{connects, "127.0.0.1", port}, args...))
	if err == nil && c.name == ours { // the last of each is what it allocates for a message
		if len(f.Bound) == 0 || len(f.Connected) == 0 {
			return f, fmt.Errorf("%s and %s do not print their figures", binds, connects)
		}
	}
	return f, err
}

// beside adds ratios of ours to all rivals.
func beside(s *sheet.Sheet, what string, seen map[string]float64, goals map[string]sheet.Goal) {
	for _, rival := range []string{curve, clear, zmq4} {
		if v, ok := seen[rival]; ok {
			s.Row(sheet.Ratios, what+", "+ours+" / "+rival, "", goals[rival]).Add(seen[ours] / v)
		}
	}
}

// heap adds what both ends of ours allocate for each message. A publisher may have had
// too few to say.
func heap(s *sheet.Sheet, what, binds, connects string, f ends.Figures) {
	for end, each := range map[string]float64{binds: last(f.Bound), connects: last(f.Connected)} {
		if !math.IsInf(each, 0) {
			s.Row(sheet.Memory, what+", "+end+", allocations for each message", "", wantedOfHeap()).Add(each)
		}
	}
}

func last(v []float64) float64 { return v[len(v)-1] }

// pushPull measures PUSH to PULL once.
func (b *bench) pushPull(s *sheet.Sheet, l load, round int) error {
	what := "PUSH to PULL, " + ends.SizeName(l.size)
	seen, err := b.turns(s, what, round, func(c contender) (float64, error) {
		f, err := b.exchange(c, "pull", nil, "push", strconv.Itoa(l.size), b.seconds)
		if err != nil {
			return 0, err
		}
		if c.name == ours {
			heap(s, what, "PULL", "PUSH", f)
		}
		rate := f.Bound[0] / f.Bound[1]
		s.Plain(sheet.Rates, what+", "+c.name, "messages/s").Add(rate)
		return rate, nil
	})
	beside(s, what, seen, map[string]sheet.Goal{curve: wantedOfCurve(), clear: l.inClear})
	return err
}

// reqRep measures REQ to REP once.
func (b *bench) reqRep(s *sheet.Sheet, l load, round int) error {
	what := "REQ to REP, " + ends.SizeName(l.size)
	seen, err := b.turns(s, what, round, func(c contender) (float64, error) {
		f, err := b.exchange(c, "rep", nil, "req", strconv.Itoa(l.size), strconv.Itoa(b.requests))
		if err != nil {
			return 0, err
		}
		if c.name == ours {
			heap(s, what, "REP", "REQ", f)
		}
		s.Plain(sheet.Times, what+", "+c.name+", half", "µs").Add(f.Connected[0])
		s.Plain(sheet.Times, what+", "+c.name+", 99 %", "µs").Add(f.Connected[1])
		return f.Connected[0], nil
	})
	beside(s, what, seen, map[string]sheet.Goal{curve: wantedOfTrip()})
	return err
}

// pubSub measures PUB to one, ten and a hundred SUB once, with a publisher that waits
// for them. What counts is what has been received by all together.
func (b *bench) pubSub(s *sheet.Sheet, l load, round int) error {
	for _, subscribers := range b.fans {
		what := fmt.Sprintf("PUB to %d SUB, %s", subscribers, ends.SizeName(l.size))
		seen, err := b.publish(s, what, l.size, subscribers, "wait", round)
		if err != nil {
			return err
		}
		beside(s, what, seen, map[string]sheet.Goal{curve: wantedOfCurve(), clear: l.inClear})
		if l.size > 64 {
			continue
		}
		// By default a publisher drops for who is slow, and never waits.
		if seen, err = b.publish(s, what+", dropping", l.size, subscribers, "drop", round); err != nil {
			return err
		}
		beside(s, what+", dropping", seen, nil)
	}
	return nil
}

func (b *bench) publish(s *sheet.Sheet, what string, size, subscribers int, how string, round int) (map[string]float64, error) {
	seconds := b.seconds
	if size*subscribers > 4<<20 {
		seconds = b.longer // so that each gets some when all are warm
	}
	return b.turns(s, what, round, func(c contender) (float64, error) {
		f, err := b.exchange(c, "pub", []string{strconv.Itoa(size), seconds, how}, "sub", strconv.Itoa(size), strconv.Itoa(subscribers))
		if err != nil {
			return 0, err
		}
		if c.name == ours {
			heap(s, what, "PUB", "SUB", f)
		}
		received, sent := f.Connected[0], f.Bound[0]*float64(subscribers)
		switch {
		case how == "drop" || c.name == zmq4: // which cannot but drop
			s.Plain(sheet.Rates, what+", "+c.name+", dropped", "%").Add(100 * (1 - received/sent))
		case received != sent:
			return 0, fmt.Errorf("a publisher that waits has dropped %.0f of %.0f", sent-received, sent)
		}
		rate := received / f.Connected[1]
		s.Plain(sheet.Rates, what+", "+c.name+", received by all", "messages/s").Add(rate)
		return rate, nil
	})
}

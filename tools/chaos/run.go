package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// plan is what a run does:
//
//  1. Everything connects, in calm weather.
//  2. Storm, for a while.
//  3. Blackout: all connections are cut and none gets through. When everybody has seen
//     that, every Connect that keeps its queue is given messages, and all of them must
//     come when the way is free again.
//  4. Calm: every flow must flow again within some seconds, and from then on nothing
//     that Send takes may be lost, anywhere.
//  5. From 2 on again, until the time is over or something was found.
//  6. Everything closes, and no goroutine and no descriptor is left.
type plan struct {
	seed  uint64
	lasts time.Duration
	storm time.Duration
	plain bool // nothing is sealed, and there is nothing but a storm: a test of the test
}

// Times of a run.
const (
	longStorm = 20 * time.Second
	// noticed is when everybody has seen what has become of his connections: a missed
	// heartbeat, a handshake that nobody answered, a pause before the next attempt.
	noticed   = beatMissed + shake + 2*atMost + time.Second
	recovery  = 15 * time.Second // until every flow flows again
	delivery  = 15 * time.Second // until what is owed has come
	undivided = 2 * time.Second  // calm in which nothing may be lost
	blackened = 40               // messages into a queue of which nobody takes any

	// wakings is more than how often somebody is woken between a question and its
	// answer, each time as late as the machine has the process be.
	wakings = 10
)

// run does what the plan says, and gives what was found.
func run(p plan, out io.Writer) ([]string, error) {
	before, err := census()
	if err != nil {
		return nil, err
	}
	w := newWorld(p.seed, p.plain)
	if err = w.build(); err != nil {
		w.close()
		return w.verdict.findings(), err
	}
	if p.plain {
		w.sky.Store(int32(storm))
		time.Sleep(p.storm)
	} else {
		w.live(p, out)
	}
	w.close()
	w.report(out)
	before.compare(&w.verdict)
	return w.verdict.findings(), nil
}

// live is everything between building and closing.
func (w *world) live(p plan, out io.Writer) {
	began := time.Now()
	w.recover(out, "everything connects")
	for round := 1; ; round++ {
		w.rage(p.storm)
		w.darken()
		w.sky.Store(int32(calm))
		w.recover(out, fmt.Sprintf("%v, storm %d is over", time.Since(began).Round(time.Second), round))
		time.Sleep(noticed)
		w.careful(out)
		if time.Since(began) >= p.lasts || len(w.verdict.findings()) > 0 {
			return
		}
	}
}

// recover waits until every flow has flowed.
func (w *world) recover(out io.Writer, when string) {
	began := time.Now()
	then := map[*flow]uint64{}
	for _, f := range w.flows {
		_, then[f] = f.counts()
	}
	left := len(then)
	for left > 0 && time.Since(began) < recovery {
		time.Sleep(10 * time.Millisecond)
		for f, n := range then {
			if _, now := f.counts(); now > n {
				delete(then, f)
			}
		}
		left = len(then)
	}
	for f := range then {
		w.verdict.against(f.name, "nothing comes for %v in calm weather", recovery)
	}
	fmt.Fprintf(out, "%s: everything flows after %v\n", when, time.Since(began).Round(time.Millisecond))
}

// rage is a storm, in the second half of which those must be heard whom it leaves alone.
func (w *world) rage(d time.Duration) {
	w.sky.Store(int32(storm))
	time.Sleep(d / 2)
	w.stood.Store(0)
	began := time.Now()
	then := map[*flow]uint64{}
	for _, f := range w.flows {
		_, then[f] = f.counts()
	}
	time.Sleep(d / 2)
	for f, n := range then {
		if _, now := f.counts(); f.steady && now == n && time.Duration(w.stood.Load()) < d/2/wakings && w.helpless(began.Add(-d/2)) == "" {
			w.verdict.against(f.name, "nothing has come for %v, because of what happens to others", d/2)
		}
	}
}

// darken is a blackout.
func (w *world) darken() {
	w.going.Lock()
	defer w.going.Unlock()
	w.sky.Store(int32(blackout))
	for _, p := range w.proxies {
		p.cutAll()
	}
	time.Sleep(beatMissed + 2*atMost)
	for _, s := range w.streams {
		f := s.flows[0]
		if !f.gapless || f.lossless {
			continue
		}
		f.mark()
		for range blackened {
			w.one(s)
		}
		f.call()
	}
}

// careful is a time in which nothing may be lost. It is spent again when the machine was
// such that heartbeats were missed.
func (w *world) careful(out io.Writer) {
	for !w.spend(out, delivery) {
		time.Sleep(noticed)
	}
}

// spend lets time pass and then, while nothing new is sent, waits until everything has
// come, or loses patience. It is false when messages are missing and the machine could
// not have brought them. What is found is told with what there is to know about it.
func (w *world) spend(out io.Writer, patience time.Duration) bool {
	w.stood.Store(0)
	w.remembered()
	before, dropped := look(), w.dropped()
	w.going.Lock()
	for _, f := range w.flows {
		f.mark()
	}
	began := time.Now()
	w.going.Unlock()
	time.Sleep(undivided)
	w.going.Lock()
	defer w.going.Unlock()
	ended := time.Now()
	for _, f := range w.flows {
		f.call()
	}
	var missing []*flow
	for end := ended.Add(patience); ; time.Sleep(20 * time.Millisecond) {
		missing = slices.DeleteFunc(slices.Clone(w.flows), func(f *flow) bool { return len(f.outstanding()) == 0 })
		if len(missing) == 0 || time.Now().After(end) {
			break
		}
	}
	why := w.helpless(began.Add(-noticed)) // what was stopped then may end now
	forgiven := len(missing) > 0 && why != ""
	for _, f := range w.flows {
		if forgiven {
			f.forgive()
		} else {
			f.settle()
		}
	}
	if forgiven {
		fmt.Fprintf(out, "messages of %d flows are lost and forgiven: %s; %s\n", len(missing), why, look().since(before))
	}
	if forgiven || len(missing) == 0 {
		return !forgiven
	}
	w.verdict.against("the calm", "from %s to %s; the process stood still for %v at most; %s", began.Format(clockTime), ended.Format(clockTime), time.Duration(w.stood.Load()), look().since(before))
	for who, n := range w.dropped() {
		if n > dropped[who] {
			w.verdict.against("the calm", "%s has dropped %d messages", who, n-dropped[who])
		}
	}
	w.tell(missing)
	return true
}

// dropped is how many messages each member has dropped so far, for peers that are slow
// or away.
func (w *world) dropped() map[string]uint64 {
	all := map[string]uint64{}
	for _, p := range w.parties {
		all[p.name] = p.GetMetrics().MessagesDropped
	}
	return all
}

// tell adds to the findings what has happened to the connections of flows that lack
// something, and how others have ended.
func (w *world) tell(missing []*flow) {
	var lines []string
	for _, e := range w.remembered() {
		concerned := slices.ContainsFunc(missing, func(f *flow) bool { return slices.Contains(strings.Split(f.name, " to "), e.who) })
		if concerned || e.Kind == qzmq.EventDisconnected {
			lines = append(lines, fmt.Sprintf("%s %s %v with %s: %v", e.Time.Format(clockTime), e.who, e.Kind, e.Address, e.Err))
		}
	}
	w.verdict.against("connections", "%s", strings.Join(lines, "\n"))
}

// report says what has happened.
func (w *world) report(out io.Writer) {
	for _, f := range w.flows {
		accepted, received := f.counts()
		fmt.Fprintf(out, "%-40s %9d sent %9d received\n", f.name, accepted, received)
	}
	var shaken, refused, rotated uint64
	for _, p := range w.parties {
		s := p.transport.Stats()
		shaken, refused, rotated = shaken+s.HandshakesCompleted, refused+s.HandshakesFailed, rotated+s.KeyRotations
	}
	fmt.Fprintf(out, "handshakes: %d completed, %d failed; %d sessions rotated\nconnections:", shaken, refused, rotated)
	for k := range w.counts {
		fmt.Fprintf(out, " %d %s", w.counts[k].Load(), kindNames[k])
	}
	fmt.Fprintln(out)
}

// count is what a process has that it could leave behind.
type count struct{ goroutines, descriptors int }

// census counts, after the first use of the network, which leaves a descriptor.
func census() (c count, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return c, err
	}
	l.Close()
	return take()
}

func take() (c count, err error) {
	open, err := os.ReadDir("/proc/self/fd")
	return count{runtime.NumGoroutine(), len(open)}, err
}

// compare waits a moment for what is still ending, and holds the rest against it.
func (c count) compare(v *verdict) {
	var now count
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var err error
		if now, err = take(); err != nil {
			v.against("the end", "%v", err)
			return
		}
		if now.goroutines <= c.goroutines && now.descriptors <= c.descriptors {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	v.against("the end", "there were %d goroutines and %d descriptors, and are %d and %d:\n%.8000s",
		c.goroutines, c.descriptors, now.goroutines, now.descriptors, stacks)
}

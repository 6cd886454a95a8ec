package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/handshake"
)

// refusalRows gives what strangers cost a listener: a ClientHello that was not
// made for it, at the door, through a machine and through all of the ZMTP
// responder, and one that is asked for a cookie. None of them may lead to public-key work.
func refusalRows(s *sheet.Sheet, e effort) (round, error) {
	one, err := newPair(handshake.DefaultSuite())
	if err != nil {
		return nil, err
	}
	eight, err := one.withNames(8)
	if err != nil {
		return nil, err
	}
	asking, err := one.withCookies()
	if err != nil {
		return nil, err
	}
	x, err := one.handshake(newStopwatch())
	if err != nil {
		return nil, err
	}
	right := x.hello
	bogus := append([]byte(nil), right...)
	bogus[len(bogus)-1] ^= 1
	whole, err := one.zmtpSilent(bogus)
	if err != nil {
		return nil, err
	}
	kinds := []refusal{
		{name: "wrong MAC, at the door", do: one.silent(bogus), goal: sheet.AtMost(2), free: true},
		{name: "wrong MAC, at a door of 8 names", do: eight.silent(bogus), goal: sheet.AtMost(2), free: true},
		{name: "wrong MAC, through a machine", do: one.machineSilent(bogus), goal: sheet.AtMost(2)},
		{name: "wrong MAC, through the ZMTP responder", do: whole, goal: sheet.AtMost(2)},
		{name: "no cookie, with the Retry", do: asking.retries(right)},
	}
	for i := range kinds {
		k := &kinds[i]
		k.took = s.Row(sheet.Times, "refusal of a ClientHello, "+k.name, "µs", k.goal)
		want := sheet.Goal{}
		if k.free {
			want = sheet.AtMost(0)
		}
		k.allocations = s.Row(sheet.Times, "refusal of a ClientHello, "+k.name, "allocations", want)
	}
	return func() error {
		for i := range kinds {
			if err := kinds[i].round(e.refusals); err != nil {
				return fmt.Errorf("%s: %w", kinds[i].name, err)
			}
		}
		return nil
	}, nil
}

type refusal struct {
	name              string
	do                func() bool // false when it was not refused as it should be
	goal              sheet.Goal
	free              bool // it must not allocate
	took, allocations *sheet.Row
}

var errAnswered = errors.New("a stranger was answered in the wrong way")

func (k *refusal) round(n int) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := threadTime()
	for range n {
		if !k.do() {
			return errAnswered
		}
	}
	k.took.Add(micros(threadTime()-start, n))
	runtime.ReadMemStats(&after)
	k.allocations.Add(float64((after.Mallocs - before.Mallocs) / uint64(n))) // whole ones: others may have a few in between
	return nil
}

func (p *pair) silent(msg []byte) func() bool {
	return func() bool { return p.door.Admit(msg, p.from) == handshake.Silent }
}

// machineSilent is for callers that make a machine first.
func (p *pair) machineSilent(msg []byte) func() bool {
	return func() bool {
		r := p.door.Responder(p.from, time.Time{})
		r.Greetings(p.greetings[initiator], p.greetings[responder])
		reply, _, err := r.Handle(msg)
		return reply == nil && errors.Is(err, handshake.ErrSilent)
	}
}

func (p *pair) retries(msg []byte) func() bool {
	answer := make([]byte, 0, handshake.MaxRetry)
	return func() bool {
		return p.door.Admit(msg, p.from) == handshake.AskRetry && len(p.door.Retry(answer, msg, p.from)) > 0
	}
}

// withNames is the same responder under n names.
func (p *pair) withNames(n int) (*pair, error) {
	q := *p
	for range n - 1 {
		id, err := handshake.GenerateIdentity()
		if err != nil {
			return nil, err
		}
		q.responder.MoreIdentities = append(q.responder.MoreIdentities, id)
	}
	var err error
	q.door, err = handshake.NewDoor(q.responder)
	return &q, err
}

// withCookies is the same responder, asking everybody for a cookie.
func (p *pair) withCookies() (*pair, error) {
	q := *p
	var err error
	if q.responder.Cookies, err = handshake.NewCookies(time.Minute); err != nil {
		return nil, err
	}
	start := time.Now()
	q.responder.Clock = func() time.Duration { return time.Since(start) }
	q.door, err = handshake.NewDoor(q.responder)
	return &q, err
}

package main

import (
	"runtime"
	"time"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/handshake"
)

// handshakeRows compares a handshake of the default suite with the public-key
// work that its two sides cannot do without, and with what a Go program would use
// otherwise: TLS 1.3, mutual, with the same hybrid key agreement. crypto/tls has no
// ML-DSA, so TLS signs with Ed25519, and a second pair of ours does too: like for
// like. All four take turns, one handshake at a time.
func handshakeRows(s *sheet.Sheet, e effort) (round, error) {
	like := handshake.DefaultSuite()
	like.Sig = handshake.Ed25519
	ours, err := newPair(handshake.DefaultSuite())
	if err != nil {
		return nil, err
	}
	classical, err := newPair(like)
	if err != nil {
		return nil, err
	}
	bare, err := newPrimitives()
	if err != nil {
		return nil, err
	}
	rival, err := newTLSPair()
	if err != nil {
		return nil, err
	}
	c := contenders{
		{name: "QZMQ default suite", turn: ours.turn},
		{name: "its primitives", turn: bare.turn},
		{name: "QZMQ, Ed25519 identities", turn: classical.turn},
		{name: "crypto/tls, Ed25519 certificates", turn: rival.turn},
	}
	for i := range c {
		c[i].watch = newStopwatch()
	}
	rows := newHandshakeTable(s, c)
	return func() error {
		for n := range e.handshakes {
			if err := c.eachTakesATurn(n%2 == 1); err != nil {
				return err
			}
		}
		if err := c.eachGoesAlone(e.alone); err != nil {
			return err
		}
		rows.add(c.take(e.handshakes, e.alone))
		return nil
	}, nil
}

func (p *pair) turn(w *stopwatch) error {
	x, err := p.handshake(w)
	if err == nil {
		x.close()
	}
	return err
}

// contender is one of those who take turns.
type contender struct {
	name  string
	turn  func(*stopwatch) error // one handshake of both sides
	watch *stopwatch
	whole time.Duration // of the process, when alone
}

type contenders [4]contender

const (
	ours = iota
	bare
	like
	rival
)

// eachTakesATurn goes through them forwards or backwards: whoever comes after one
// that runs the same code finds it in the cache.
func (c *contenders) eachTakesATurn(backwards bool) error {
	for i := range c {
		if backwards {
			i = len(c) - 1 - i
		}
		if err := c[i].turn(c[i].watch); err != nil {
			return err
		}
	}
	return nil
}

// eachGoesAlone gives every one the process for n handshakes, so that the garbage
// that is collected is his own.
func (c *contenders) eachGoesAlone(n int) error {
	for i := range c {
		w := newStopwatch()
		runtime.GC()
		start := processTime()
		for range n {
			if err := c[i].turn(w); err != nil {
				return err
			}
		}
		c[i].whole = processTime() - start - time.Duration(w.readings)*w.price
	}
	return nil
}

// spent is CPU time per handshake, in microseconds: of each side, of both, and of
// both with the garbage collector's threads.
type spent struct {
	side        [sides]float64
	both, whole float64
}

func (c *contenders) take(n, alone int) (all [4]spent) {
	for i := range c {
		all[i].side = c[i].watch.take(n)
		all[i].both = all[i].side[initiator] + all[i].side[responder]
		all[i].whole = micros(c[i].whole, alone)
	}
	return all
}

// handshakeTable has the rows of one round's spent.
type handshakeTable struct {
	rows   []*sheet.Row
	values []func(*[4]spent) float64
}

func newHandshakeTable(s *sheet.Sheet, c contenders) *handshakeTable {
	t := &handshakeTable{}
	add := func(r *sheet.Row, value func(*[4]spent) float64) {
		t.rows, t.values = append(t.rows, r), append(t.values, value)
	}
	const most = 1.2 // of its primitives may a handshake cost
	of := "handshake / its primitives, "
	add(s.Row(sheet.Ratios, of+"both sides", "x", sheet.AtMost(most)), func(a *[4]spent) float64 { return a[ours].both / a[bare].both })
	for side, name := range sideNames() {
		add(s.Row(sheet.Ratios, of+name, "x", sheet.AtMost(most)), func(a *[4]spent) float64 { return a[ours].side[side] / a[bare].side[side] })
	}
	add(s.Plain(sheet.Ratios, of+"both sides, garbage collector included", "x"), func(a *[4]spent) float64 { return a[ours].whole / a[bare].whole })
	for _, i := range []int{like, ours} {
		of := c[i].name + " / " + c[rival].name + ", "
		add(s.Plain(sheet.Ratios, of+"both sides", "x"), func(a *[4]spent) float64 { return a[i].both / a[rival].both })
		for side, name := range sideNames() {
			add(s.Plain(sheet.Ratios, of+name, "x"), func(a *[4]spent) float64 { return a[i].side[side] / a[rival].side[side] })
		}
	}
	for i := range c {
		for side, name := range sideNames() {
			add(s.Plain(sheet.Times, "handshake, "+c[i].name+", "+name, "µs"), func(a *[4]spent) float64 { return a[i].side[side] })
		}
		add(s.Plain(sheet.Times, "handshake, "+c[i].name+", both sides, garbage collector included", "µs"), func(a *[4]spent) float64 { return a[i].whole })
	}
	for _, i := range []int{ours, like, rival} {
		for side, name := range sideNames() {
			add(s.Plain(sheet.Rates, "handshakes, "+c[i].name+", "+name, "/s per core"), func(a *[4]spent) float64 { return 1e6 / a[i].side[side] })
		}
	}
	return t
}

func sideNames() [sides]string { return [sides]string{initiator: "initiator", responder: "responder"} }

func (t *handshakeTable) add(all [4]spent) {
	for i, r := range t.rows {
		r.Add(t.values[i](&all))
	}
}

package main

import (
	"fmt"
	"strconv"

	"github.com/qzmq/gateway/perf/ends"
	"github.com/qzmq/gateway/perf/sheet"
)

// load is a size of messages, and what is wanted of it: ratios to CURVE.
type load struct {
	size          int
	relays, alone sheet.Goal // throughput, through two relays and from program to program
	trip          sheet.Goal // round trip through two relays
}

func loads() []load {
	twice := sheet.AtLeast(2)
	return []load{
		{size: 64, relays: sheet.AtLeast(3), alone: twice},
		{size: 1 << 10, relays: twice, alone: twice},
		{size: 64 << 10, relays: sheet.AtLeast(1.2), alone: twice, trip: sheet.AtMost(1)},
		{size: 1 << 20, relays: sheet.AtLeast(1.2), alone: twice, trip: sheet.AtMost(1)},
	}
}

// throughput measures PUSH to PULL once.
func (b *bench) throughput(s *sheet.Sheet, round int) error {
	for _, l := range loads() {
		name, rate := ends.SizeName(l.size), map[string]float64{}
		all := b.contenders()
		for i := range all {
			c := all[(i+round)%len(all)] // who comes first changes
			before, err := b.cpu()
			if err != nil {
				return err
			}
			messages, seconds, err := b.exchange(c, "pull", "push", l.size, fmt.Sprint(b.seconds))
			if err != nil {
				return err
			}
			after, err := b.cpu()
			if err != nil {
				return err
			}
			rate[c.name] = messages / seconds
			s.Plain(sheet.Rates, "PUSH to PULL, "+name+", "+c.name, "messages/s").Add(rate[c.name])
			if c.relayed {
				s.Plain(sheet.Times, "CPU of both relays, "+name, "s/GB").Add((after - before) / (messages * float64(l.size) / 1e9))
			}
		}
		s.Row(sheet.Ratios, "PUSH to PULL, "+name+", two relays / CURVE", "", l.relays).Add(rate["two relays"] / rate["CURVE"])
		s.Row(sheet.Ratios, "PUSH to PULL, "+name+", QZMQ program / CURVE", "", l.alone).Add(rate["QZMQ program"] / rate["CURVE"])
		s.Plain(sheet.Ratios, "PUSH to PULL, "+name+", two relays / in clear", "").Add(rate["two relays"] / rate["in clear"])
	}
	return nil
}

// roundTrips measures REQ to REP once.
func (b *bench) roundTrips(s *sheet.Sheet, round int) error {
	for _, l := range loads() {
		name, took := ends.SizeName(l.size), map[string]float64{}
		all := b.contenders()[:3]
		for i := range all {
			c := all[(i+round)%len(all)]
			requests := max(10, b.requests*(64<<10)/max(64<<10, 4*l.size))
			p50, p99, err := b.exchange(c, "rep", "req", l.size, strconv.Itoa(requests))
			if err != nil {
				return err
			}
			took[c.name] = p50
			s.Plain(sheet.Times, "REQ to REP, "+name+", "+c.name+", half", "µs").Add(p50)
			s.Plain(sheet.Times, "REQ to REP, "+name+", "+c.name+", 99 %", "µs").Add(p99)
		}
		s.Row(sheet.Ratios, "REQ to REP, "+name+", two relays / CURVE", "", l.trip).Add(took["two relays"] / took["CURVE"])
	}
	return nil
}

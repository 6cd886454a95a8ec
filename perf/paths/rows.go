package main

import (
	"fmt"
	"strings"

	"github.com/qzmq/gateway/perf/lab"
	"github.com/qzmq/gateway/perf/sheet"
)

// rows takes in one round of a task at one MTU.
func rows(s *sheet.Sheet, task string, mtu int, ways []lab.Way, seen results) {
	title := fmt.Sprintf("%s, MTU %d", task, mtu)
	got := seen[task]
	for _, c := range comparisons(task, mtu) {
		ours, have := got[c.ours.Name]
		theirs, other := got[c.theirs.Name]
		if !have || !other {
			continue
		}
		name := fmt.Sprintf("%s: %s / %s", title, c.ours.Name, c.theirs.Name)
		s.Row(sheet.Ratios, name, "x", c.rate).Add(ours.rate() / theirs.rate())
		s.Row(sheet.Ratios, name+", CPU of everything", "x", c.cost).Add(ours.cost() / theirs.cost())
	}
	bulk := strings.HasPrefix(task, "TCP,")
	for _, way := range ways {
		r, ok := got[way.Name]
		if !ok {
			continue
		}
		name := title + ": " + way.Name
		if bulk {
			bulkRows(s, name, r)
			continue
		}
		s.Plain(sheet.Rates, name, "thousand/s").Add(r.rate() / 1e3)
		s.Plain(sheet.Times, name+", CPU of everything", "µs each").Add(r.cost() * 1e6)
		s.Plain(sheet.Times, name+", CPU of the gateways", "µs each").Add(r.used.Gateways().Seconds() / r.amount * 1e6)
	}
}

func bulkRows(s *sheet.Sheet, name string, r run) {
	gigabytes := r.amount / 1e9
	s.Plain(sheet.Rates, name, "Gb/s").Add(r.rate() * 8 / 1e9)
	s.Plain(sheet.Rates, name+", retransmits", "segments/s").Add(r.retransmits / r.seconds)
	for _, part := range []struct {
		of      string
		seconds float64
	}{
		{"everything", r.used.All.Seconds()},
		{"the gateways, user", r.used.User.Seconds()},
		{"the gateways, system", r.used.System.Seconds()},
		{"kernel threads", r.used.Kernel.Seconds()},
	} {
		s.Plain(sheet.Times, name+", CPU of "+part.of, "s/GB").Add(part.seconds / gigabytes)
	}
}

// comparison is a way of ours beside another, and what is wanted of the ratio of
// their rates and of their costs.
type comparison struct {
	ours, theirs lab.Way
	rate, cost   sheet.Goal
}

// comparisons has the goals of the table in issue 4. The aim of twice the rival at
// every MTU may be reached by any of our kinds of ports.
func comparisons(task string, mtu int) []comparison {
	none, cheaper := sheet.Goal{}, sheet.AtMost(1)
	xdp, super, both := lab.Gateways(), lab.SuperFrames(), lab.SuperFramesBoth()
	on, off, clear := lab.WireGuard(true), lab.WireGuard(false), lab.Kernel(false)
	all := []comparison{
		{xdp, on, none, none}, {xdp, off, none, none}, {xdp, lab.NullCipher(), none, none}, {xdp, clear, none, none},
		{super, on, none, none}, {super, off, none, none}, {super, lab.NullSuperFrames(), none, none}, {super, clear, none, none},
		{both, on, none, none}, {both, off, none, none}, {both, super, none, none}, {both, clear, none, none},
	}
	for i := range all {
		c := &all[i]
		rival := c.theirs.Name == on.Name || c.theirs.Name == off.Name
		switch {
		case !strings.HasPrefix(task, "TCP,"): // small packets
			if rival {
				c.rate, c.cost = sheet.AtLeast(5), cheaper
			}
		case rival:
			c.rate, c.cost = sheet.Above(1.2, 2), cheaper
			if c.theirs.Name == off.Name {
				c.rate = sheet.AtLeast(3)
			}
		case c.theirs.Name == clear.Name, c.theirs.Name == super.Name:
		default: // a cipher that only copies
			c.rate = sheet.AtLeast(0.8)
		}
		if mtu != 1500 && c.rate != none { // the table asks for a bound at 1500, and aims at every MTU
			c.rate = sheet.Above(1.2, 2)
		}
	}
	return all
}

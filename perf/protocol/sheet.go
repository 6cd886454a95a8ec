package main

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// group is a part of the table. Ratios come first: they hold when the machine is
// slow today, the others may not.
type group int

const (
	ratios group = iota
	times
	rates
	memory
	wire
)

// goal is a bound that is wanted and, beyond it, one that is aimed at. The zero
// value wants nothing.
type goal struct {
	sign       string // ≤ or ≥; empty for no goal
	bound, aim float64
	aims       bool // there is an aim
}

func atMost(bound float64) goal     { return goal{sign: "≤", bound: bound} }
func atLeast(bound float64) goal    { return goal{sign: "≥", bound: bound} }
func below(bound, aim float64) goal { return goal{sign: "≤", bound: bound, aim: aim, aims: true} }

// reached says whether v is on the right side of b.
func (g goal) reached(v, b float64) bool {
	if g.sign == "≥" {
		return v >= b
	}
	return v <= b
}

// missed says that there is a goal and v does not reach it.
func (g goal) missed(v float64) bool { return g.sign != "" && !g.reached(v, g.bound) }

// String gives the goal for the table, empty for none.
func (g goal) String() string {
	switch {
	case g.sign == "":
		return ""
	case g.aims:
		return g.sign + " " + number(g.bound) + ", aim " + number(g.aim)
	}
	return g.sign + " " + number(g.bound)
}

const missed = "MISSED"

// verdict says of a figure whether the goal is reached.
func (g goal) verdict(v float64) string {
	switch {
	case g.sign == "":
		return ""
	case g.missed(v):
		return missed
	case !g.aims:
		return "met"
	case !g.reached(v, g.aim):
		return "met, aim missed"
	}
	return "met, aim too"
}

// row is one figure, with a sample for each round.
type row struct {
	group   group
	name    string
	unit    string
	goal    goal
	samples []float64
}

func (r *row) add(v float64) { r.samples = append(r.samples, v) }

func (r *row) median() float64 {
	s := slices.Sorted(slices.Values(r.samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// sheet has the rows in the order in which they were made.
type sheet struct{ rows []*row }

func (s *sheet) row(g group, name, unit string, want goal) *row {
	r := &row{group: g, name: name, unit: unit, goal: want}
	s.rows = append(s.rows, r)
	return r
}

// plain is a row without a goal.
func (s *sheet) plain(g group, name, unit string) *row { return s.row(g, name, unit, goal{}) }

// sorted gives the rows by group, otherwise as they were made.
func (s *sheet) sorted() []*row {
	return slices.SortedStableFunc(slices.Values(s.rows), func(a, b *row) int { return cmp.Compare(a.group, b.group) })
}

// number writes what a reader needs of a figure: three digits, or all before the
// point, in groups of three.
func number(v float64) string {
	size := math.Abs(v)
	switch {
	case size == 0:
		return "0"
	case size < 1:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case size < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case size < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	s := strconv.FormatFloat(size, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		return "-" + s
	}
	return s
}

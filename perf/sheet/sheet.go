// Package sheet is how every program of perf/ turns samples into a table, so that
// all tables read the same: rows with a median beside the least and the most, a
// goal and a verdict, the ratios first, and by name what could not be measured.
package sheet

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// Group is a part of the table. Ratios come first: they hold when the machine is
// slow today, the others may not.
type Group int

const (
	Ratios Group = iota
	Times
	Rates
	Memory
	Wire
)

// Goal is a bound that is wanted and, beyond it, one that is aimed at. The zero
// value wants nothing.
type Goal struct {
	sign       string // ≤ or ≥; empty for no goal
	bound, aim float64
	aims       bool // there is an aim
}

// AtMost wants no more than bound.
func AtMost(bound float64) Goal { return Goal{sign: "≤", bound: bound} }

// AtLeast wants no less than bound.
func AtLeast(bound float64) Goal { return Goal{sign: "≥", bound: bound} }

// Below wants no more than bound and aims at aim.
func Below(bound, aim float64) Goal { return Goal{sign: "≤", bound: bound, aim: aim, aims: true} }

// Above wants no less than bound and aims at aim.
func Above(bound, aim float64) Goal { return Goal{sign: "≥", bound: bound, aim: aim, aims: true} }

// reached says whether v is on the right side of b.
func (g Goal) reached(v, b float64) bool {
	if g.sign == "≥" {
		return v >= b
	}
	return v <= b
}

// missed says that there is a goal and v does not reach it.
func (g Goal) missed(v float64) bool { return g.sign != "" && !g.reached(v, g.bound) }

// String gives the goal for the table, empty for none.
func (g Goal) String() string {
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
func (g Goal) verdict(v float64) string {
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

// Row is one figure, with a sample for each round.
type Row struct {
	group   Group
	name    string
	unit    string
	goal    Goal
	samples []float64
}

// Add takes in the sample of one round. What is not finite, like a ratio to a time
// too short for the clock, is no sample; a row without any is named as missing.
func (r *Row) Add(v float64) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		r.samples = append(r.samples, v)
	}
}

// Samples gives what was added.
func (r *Row) Samples() []float64 { return r.samples }

func (r *Row) median() float64 {
	s := slices.Sorted(slices.Values(r.samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Sheet has the rows in the order in which they were made. The zero value is
// empty.
type Sheet struct {
	rows    []*Row
	missing []Missing
	notes   []string
}

// Row gives the row of this name and unit, which it makes the first time.
func (s *Sheet) Row(g Group, name, unit string, want Goal) *Row {
	for _, r := range s.rows {
		if r.name == name && r.unit == unit {
			return r
		}
	}
	r := &Row{group: g, name: name, unit: unit, goal: want}
	s.rows = append(s.rows, r)
	return r
}

// Plain is a row without a goal.
func (s *Sheet) Plain(g Group, name, unit string) *Row { return s.Row(g, name, unit, Goal{}) }

// Missing is what the table would have and does not, and why.
type Missing struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Missing names what could not be measured. It is said once.
func (s *Sheet) Missing(what, why string) {
	if !slices.ContainsFunc(s.missing, func(m Missing) bool { return m.What == what }) {
		s.missing = append(s.missing, Missing{what, why})
	}
}

// Note adds a sentence above the table. It is said once.
func (s *Sheet) Note(sentence string) {
	if !slices.Contains(s.notes, sentence) {
		s.notes = append(s.notes, sentence)
	}
}

// sorted gives the rows by group, otherwise as they were made.
func (s *Sheet) sorted() []*Row {
	return slices.SortedStableFunc(slices.Values(s.rows), func(a, b *Row) int { return cmp.Compare(a.group, b.group) })
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

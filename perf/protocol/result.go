package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// result is what is written as JSON.
type result struct {
	Started time.Time `json:"started"`
	Took    float64   `json:"took_s"`
	Rounds  int       `json:"rounds"`
	Machine machine   `json:"machine"`
	Rows    []line    `json:"rows"`
	Missed  int       `json:"goals_missed"`
}

// line is a row at its end.
type line struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Goal    string    `json:"goal,omitempty"`
	Verdict string    `json:"verdict,omitempty"`
	Samples []float64 `json:"samples"`
}

func (r *result) finish(s *sheet) {
	for _, row := range s.sorted() {
		v := row.median()
		if row.goal.missed(v) {
			r.Missed++
		}
		r.Rows = append(r.Rows, line{
			Name: row.name, Unit: row.unit, Median: v, Min: slices.Min(row.samples), Max: slices.Max(row.samples),
			Goal: row.goal.String(), Verdict: row.goal.verdict(v), Samples: row.samples,
		})
	}
	r.Machine.LoadAfter = loadAverage()
	r.Took = time.Since(r.Started).Round(time.Second).Seconds()
}

// markdown is the table, with what is needed to read it above.
func (r *result) markdown() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s: %s, %d cores, Linux %s, %s, circl %s. Load average %s before, %s after.\n",
		r.Started.Format("2006-01-02 15:04 MST"), m.CPU, m.Cores, m.Kernel, m.Go, m.Circl, m.LoadBefore, m.LoadAfter)
	fmt.Fprintf(&b, "Medians of %d rounds, CPU time of the thread at work, %.0f s in all. Goals missed: %d.\n\n", r.Rounds, r.Took, r.Missed)
	b.WriteString("| what | median | min | max | unit | goal | |\n|---|--:|--:|--:|---|---|---|\n")
	for _, l := range r.Rows {
		verdict := l.Verdict
		if verdict == missed {
			verdict = "**" + verdict + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n",
			l.Name, number(l.Median), number(l.Min), number(l.Max), l.Unit, l.Goal, verdict)
	}
	return b.String()
}

// write leaves protocol.json and protocol.md in dir, which it makes.
func (r *result) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make room for the result: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "protocol.json"), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "protocol.md"), []byte(r.markdown()), 0o644),
	)
}

package sheet

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

// Result is what is written as JSON.
type Result struct {
	Part    string    `json:"part"`
	How     string    `json:"how"`
	Started time.Time `json:"started"`
	Took    float64   `json:"took_s"`
	Rounds  int       `json:"rounds"`
	Machine Machine   `json:"machine"`
	Notes   []string  `json:"notes,omitempty"`
	Missing []Missing `json:"missing,omitempty"`
	Rows    []Line    `json:"rows"`
	Missed  int       `json:"goals_missed"`
}

// Line is a row at its end.
type Line struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Ratio   bool      `json:"ratio,omitempty"`
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Goal    string    `json:"goal,omitempty"`
	Verdict string    `json:"verdict,omitempty"`
	Samples []float64 `json:"samples"`
}

// begin describes the machine as it is before anything was measured.
func begin(part, how string, rounds int) *Result {
	return &Result{Part: part, How: how, Started: time.Now().UTC().Truncate(time.Second), Rounds: rounds, Machine: describeMachine()}
}

func (r *Result) finish(s *Sheet) {
	for _, row := range s.sorted() {
		if len(row.samples) == 0 {
			s.Missing(row.name, "no run of it came to an end")
			continue
		}
		v := row.median()
		if row.goal.missed(v) {
			r.Missed++
		}
		r.Rows = append(r.Rows, Line{
			Name: row.name, Unit: row.unit, Ratio: row.group == Ratios,
			Median: v, Min: slices.Min(row.samples), Max: slices.Max(row.samples),
			Goal: row.goal.String(), Verdict: row.goal.verdict(v), Samples: row.samples,
		})
	}
	r.Notes, r.Missing = s.notes, s.missing
	r.Machine.LoadAfter = loadAverage()
	r.Took = time.Since(r.Started).Round(time.Second).Seconds()
}

// Markdown is the table, with what is needed to read it above.
func (r *Result) Markdown() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s: %s, %d cores, Linux %s, %s", r.Started.Format("2006-01-02 15:04 MST"), m.CPU, m.Cores, m.Kernel, m.Go)
	if m.Circl != "" {
		fmt.Fprintf(&b, ", circl %s", m.Circl)
	}
	fmt.Fprintf(&b, ". Load average %s before, %s after.\n", m.LoadBefore, m.LoadAfter)
	fmt.Fprintf(&b, "Medians of %d rounds, %s, %.0f s in all. Goals missed: %d.\n", r.Rounds, r.How, r.Took, r.Missed)
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "%s\n", note)
	}
	b.WriteString("\n" + tableHead)
	for _, l := range r.Rows {
		b.WriteString(l.markdown())
	}
	for _, gone := range r.Missing {
		b.WriteString(gone.markdown())
	}
	return b.String()
}

const tableHead = "| what | median | min | max | unit | goal | |\n|---|--:|--:|--:|---|---|---|\n"

func (l Line) markdown() string {
	verdict := l.Verdict
	if verdict == missed {
		verdict = "**" + verdict + "**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n",
		l.Name, number(l.Median), number(l.Min), number(l.Max), l.Unit, l.Goal, verdict)
}

func (m Missing) markdown() string {
	return fmt.Sprintf("| %s | | | | | | missing: %s |\n", m.What, strings.ReplaceAll(m.Why, "|", "/"))
}

// write leaves PART.json and PART.md in dir, which it makes.
func (r *Result) write(dir string) error { return writeBoth(dir, r.Part, r, r.Markdown()) }

func writeBoth(dir, name string, as any, markdown string) error {
	text, err := json.MarshalIndent(as, "", "\t")
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make room for the result: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, name+".md"), []byte(markdown), 0o644),
	)
}

// Read gives what a part has written into dir.
func Read(dir, part string) (*Result, error) {
	text, err := os.ReadFile(filepath.Join(dir, part+".json"))
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read the result of %s: %w", part, err)
	}
	return r, nil
}

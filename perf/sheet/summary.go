package sheet

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// summary is the table of all parts.
type summary struct {
	Parts  []summaryPart `json:"parts"`
	Missed int           `json:"goals_missed"`
}

type summaryPart struct {
	*Result
	Absent bool `json:"absent,omitempty"` // it has never been measured
}

// Summary reads the results of parts in dir and gives one table of everything that
// is a ratio or has a goal, which it also writes there as bench.md and bench.json.
func Summary(dir string, parts ...string) (string, error) {
	var s summary
	var head, body strings.Builder
	for _, name := range parts {
		r, err := Read(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			body.WriteString(Missing{"everything of " + name, "make bench ONLY=" + name + " measures it"}.markdown())
			s.Parts = append(s.Parts, summaryPart{&Result{Part: name}, true})
			continue
		}
		if err != nil {
			return "", err
		}
		m := r.Machine
		fmt.Fprintf(&head, "- [%s](%s.md): %s, %s, %d cores, Linux %s, load average %s before and %s after; %d rounds, %s; goals missed: %d.\n",
			name, name, r.Started.Format("2006-01-02 15:04 MST"), m.CPU, m.Cores, m.Kernel, m.LoadBefore, m.LoadAfter, r.Rounds, r.How, r.Missed)
		for _, note := range r.Notes {
			fmt.Fprintf(&head, "  %s\n", note)
		}
		var kept []Line
		for _, l := range r.Rows {
			if l.Ratio || l.Goal != "" {
				kept = append(kept, l)
				body.WriteString(l.markdown())
			}
		}
		for _, gone := range r.Missing {
			body.WriteString(gone.markdown())
		}
		r.Rows = kept
		s.Missed += r.Missed
		s.Parts = append(s.Parts, summaryPart{Result: r})
	}
	text := head.String() + fmt.Sprintf("\nGoals missed in all: %d.\n\n", s.Missed) + tableHead + body.String()
	return text, writeBoth(dir, "bench", s, text)
}

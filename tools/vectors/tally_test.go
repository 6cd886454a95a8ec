package vectors

import (
	"fmt"
	"testing"
)

// listener is a test that notes its failures and goes on.
type listener struct {
	testing.TB
	errors []string
}

func (l *listener) Helper()             {}
func (l *listener) Logf(string, ...any) {}
func (l *listener) Errorf(format string, a ...any) {
	l.errors = append(l.errors, fmt.Sprintf(format, a...))
}

// TestTally holds the counting to its purpose: who reads nothing has not passed.
func TestTally(t *testing.T) {
	for _, c := range []struct {
		name     string
		ran      int
		skipped  []string
		want     int
		skips    Skips
		failures int
	}{
		{"all ran", 3, nil, 3, Skips{}, 0},
		{"more than were known", 4, nil, 3, Skips{}, 0},
		{"known skips", 3, []string{"a", "a"}, 3, Skips{"a": 2}, 0},
		{"an empty file", 0, nil, 3, Skips{}, 1},
		{"nothing is asked for", 0, nil, 0, Skips{}, 1},
		{"too few", 2, nil, 3, Skips{}, 1},
		{"skipped instead of run", 2, []string{"a"}, 3, Skips{}, 2},
		{"one skip too many", 3, []string{"a", "a"}, 3, Skips{"a": 1}, 1},
		{"another reason", 3, []string{"b"}, 3, Skips{"a": 1}, 1},
	} {
		l := &listener{TB: t}
		tally := NewTally(l, "file")
		for range c.ran {
			tally.Ran()
		}
		for _, reason := range c.skipped {
			tally.Skip(reason)
		}
		tally.Done(c.want, c.skips)
		if len(l.errors) != c.failures {
			t.Errorf("%s: %q, want %d failures", c.name, l.errors, c.failures)
		}
	}
}

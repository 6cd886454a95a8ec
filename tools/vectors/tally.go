package vectors

import (
	"maps"
	"testing"
)

// Tally counts what a test made of one file. It belongs to one goroutine.
type Tally struct {
	t       testing.TB
	file    string
	ran     int
	skipped map[string]int
}

// NewTally starts to count for a file.
func NewTally(t testing.TB, file string) *Tally {
	return &Tally{t: t, file: file, skipped: make(map[string]int)}
}

// Ran counts a vector that ran, whatever came of it.
func (y *Tally) Ran() { y.ran++ }

// Skip counts a vector that cannot run here, under the reason.
func (y *Tally) Skip(reason string) { y.skipped[reason]++ }

// Skips is how many vectors may be left out, by reason.
type Skips map[string]int

// Done fails the test when fewer vectors ran than want, or others were skipped
// than those that are known. More may run: a newer version of the file has more.
func (y *Tally) Done(want int, skips Skips) {
	y.t.Helper()
	if y.ran < want || want == 0 {
		y.t.Errorf("%s: %d vectors ran, want at least %d", y.file, y.ran, want)
	}
	if !maps.Equal(y.skipped, skips) {
		y.t.Errorf("%s: skipped %v, want %v", y.file, y.skipped, skips)
	}
	y.t.Logf("%s: %d vectors ran, skipped %v", y.file, y.ran, y.skipped)
}

package sheet

import (
	"strings"
	"testing"
)

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		goal          Goal
		v             float64
		text, verdict string
	}{
		{Goal{}, 5, "", ""},
		{AtMost(1.2), 1.2, "≤ 1.20", "met"},
		{AtMost(1.2), 1.21, "≤ 1.20", "MISSED"},
		{AtMost(0), 0, "≤ 0", "met"},
		{AtMost(0), 1, "≤ 0", "MISSED"},
		{AtLeast(0.85), 0.9, "≥ 0.85", "met"},
		{AtLeast(0.85), 0.84, "≥ 0.85", "MISSED"},
		{Below(100e3, 16e3), 11e3, "≤ 100,000, aim 16,000", "met, aim too"},
		{Below(100e3, 16e3), 20e3, "≤ 100,000, aim 16,000", "met, aim missed"},
		{Below(100e3, 16e3), 2e5, "≤ 100,000, aim 16,000", "MISSED"},
	} {
		if text, verdict := c.goal.String(), c.goal.verdict(c.v); text != c.text || verdict != c.verdict {
			t.Errorf("%v of %+v: %q, %q", c.v, c.goal, text, verdict)
		}
	}
}

// TestMissedGoalIsMarked also sees that a median decides, and ratios come first.
func TestMissedGoalIsMarked(t *testing.T) {
	s := &Sheet{}
	late, early := s.Row(Wire, "late", "bytes", AtMost(10)), s.Row(Ratios, "early", "x", AtMost(10))
	for _, v := range []float64{12, 1, 13} {
		late.Add(v)
		early.Add(v - 10)
	}
	var r Result
	r.finish(s)
	_, table, _ := strings.Cut(r.Markdown(), "|---|\n")
	const want = "| early | 2.00 | -9.00 | 3.00 | x | ≤ 10.0 | met |\n| late | 12.0 | 1.00 | 13.0 | bytes | ≤ 10.0 | **MISSED** |\n"
	if table != want || r.Missed != 1 {
		t.Errorf("%d missed:\n%s", r.Missed, table)
	}
}

// TestNothingIsLeftOutSilently: a row without a sample and what was named missing
// both stand in the table.
func TestNothingIsLeftOutSilently(t *testing.T) {
	s := &Sheet{}
	s.Plain(Ratios, "never run", "x")
	for range 2 {
		s.Missing("a rival", "it does not install")
	}
	var r Result
	r.finish(s)
	_, table, _ := strings.Cut(r.Markdown(), "|---|\n")
	const want = "| a rival | | | | | | missing: it does not install |\n| never run | | | | | | missing: no run of it came to an end |\n"
	if table != want {
		t.Errorf("the table is\n%s", table)
	}
}

// TestSummary: of a part that was measured ratios and goals, of one that was not
// its name.
func TestSummary(t *testing.T) {
	dir := t.TempDir()
	s, r := &Sheet{}, begin("one", "by hand", 1)
	s.Row(Ratios, "ours / theirs", "x", AtLeast(2)).Add(3)
	s.Plain(Times, "ours", "s").Add(3)
	s.Row(Times, "pause", "s", AtMost(1)).Add(3)
	s.Missing("a rival", "it does not install")
	r.finish(s)
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := Summary(dir, "one", "two")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(text, "|---|\n")
	const want = "| ours / theirs | 3.00 | 3.00 | 3.00 | x | ≥ 2.00 | met |\n| pause | 3.00 | 3.00 | 3.00 | s | ≤ 1.00 | **MISSED** |\n" +
		"| a rival | | | | | | missing: it does not install |\n| everything of two | | | | | | missing: make bench ONLY=two measures it |\n"
	if table != want {
		t.Errorf("the table is\n%s", table)
	}
}

package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func newWorkshop(t *testing.T) *Workshop {
	t.Helper()
	t.Chdir("../..")
	w, err := NewWorkshop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// TestSites: they come up, carry packets of full size, keep account, and leave
// nothing behind, whatever runs in them.
func TestSites(t *testing.T) {
	w := newWorkshop(t)
	l, err := w.Open(Kernel(true), 3420)
	if err != nil {
		t.Fatal(err)
	}
	sleeper, err := l.Start("gw-a", nil, "sleep", "100")
	if err != nil {
		t.Fatal(err)
	}
	used, err := l.Watch(func() error {
		_, err := l.Run("host-a", "ping", "-f", "-q", "-c", "20000", "-w", "20", HostB) // CPU time is counted in ticks
		return err
	})
	if err != nil || used.All <= 0 && used.Foreign < 0.9 {
		t.Errorf("%+v, %v", used, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-sleeper.done:
	default:
		t.Error("a program lives on")
	}
	if left, _ := filepath.Glob("/run/netns/" + l.prefix + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestSweep: sites of a process that was killed are removed by the next one.
func TestSweep(t *testing.T) {
	w := newWorkshop(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	orphan := &Lab{Setting: Setting{1500, 1500, "none"}, ctx: t.Context(), prefix: prefix + strconv.Itoa(gone.Process.Pid)}
	if err := orphan.script("up"); err != nil {
		t.Fatal(err)
	}
	l, err := w.Sites(1500)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob("/run/netns/" + orphan.prefix + "-*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNullCipher: a gateway whose cipher only copies carries packets and says what
// it is, and one that is built as usual does not say so.
func TestNullCipher(t *testing.T) {
	w := newWorkshop(t)
	for _, c := range []struct {
		way  Way
		says bool
	}{{NullCipher(), true}, {Gateways(), false}} {
		l, err := w.Open(c.way, 1500)
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(l.Said(), "NULL CIPHER"); said != c.says {
			t.Errorf("%s: says that it protects nothing: %v\n%s", c.way.Name, said, l.Said())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMissing: what cannot be had gives a reason that names no temporary place.
func TestMissing(t *testing.T) {
	w := newWorkshop(t)
	_, err := w.C("no-such-program")
	if err == nil {
		t.Fatal("a program without source was compiled")
	}
	if reason := w.Reason(err); reason == "" || strings.Contains(reason, w.dir) || strings.Contains(reason, "\n") {
		t.Errorf("%q", reason)
	}
}

// TestAccount: who had how much of two cores in 10 s, in ticks.
func TestAccount(t *testing.T) {
	before := usage{busy: 1000, total: 10_000, processes: map[int]process{
		1: {owner: foreign, user: 50, children: 500},
		2: {owner: kernel, system: 10},
		3: {owner: gateways, user: 100, system: 100},
		4: {owner: foreign, user: 300}, // ends; its parent, 1, takes its 300 and the 60 that came since
	}}
	after := usage{busy: 2000, steal: 20, total: 12_000, processes: map[int]process{
		1: {owner: foreign, user: 60, children: 860},
		2: {owner: kernel, system: 15},
		3: {owner: gateways, user: 150, system: 500},
		5: {owner: foreign, system: 30}, // began
	}}
	want := Account{
		All: 9 * time.Second, User: 500 * time.Millisecond, System: 4 * time.Second, Kernel: 50 * time.Millisecond,
		Foreign: 0.05, Steal: 0.01,
	}
	if got := after.since(before); got != want || got.Disturbed() {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestReadProcess(t *testing.T) {
	pid := os.Getpid()
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); { // something to account for
	}
	p, ok := readProcess("/proc/self", pid, nil)
	if !ok || p.owner != hosts {
		t.Errorf("this process: %+v, %v", p, ok)
	}
	if p, ok := readProcess("/proc/2", 2, nil); !ok || p.owner != kernel {
		t.Errorf("kthreadd: %+v, %v", p, ok)
	}
	if _, ok := readProcess("/proc/none", 7, nil); ok {
		t.Error("a process that is not there was read")
	}
}

// TestReferee: a disturbed run is repeated, so often and no more, and the least
// disturbed one counts.
func TestReferee(t *testing.T) {
	for _, c := range []struct {
		foreign []float64
		best    int
		note    string
	}{
		{[]float64{0.5, 0.01, 0}, 1, "In none of 1 runs others had more than 6 % of the machine."},
		{[]float64{0.5, 0.2, 0.3, 0}, 1, "In 1 of 1 runs others had more than 6 % of the machine, even after 2 repetitions; such figures are in the table."},
	} {
		r, i := Referee{Repeat: 2}, -1
		best, err := Clean(&r, func() (int, Account, error) {
			i++
			return i, Account{Foreign: c.foreign[i]}, nil
		})
		if err != nil || best != c.best || r.Note() != c.note {
			t.Errorf("%v: run %d, %v, %q", c.foreign, best, err, r.Note())
		}
	}
}

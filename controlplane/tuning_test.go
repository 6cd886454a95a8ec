package controlplane

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tuningLab is a gateway's eth1, the sysfs that shows it, and a place for notes.
type tuningLab struct {
	*kernelLab
	sys, dir string
}

func newTuningLab(t *testing.T) *tuningLab {
	l := &tuningLab{kernelLab: newKernelLab(t), sys: t.TempDir(), dir: filepath.Join(t.TempDir(), "run")}
	l.in("gw", func() {
		if err := unix.Mount("sysfs", l.sys, "sysfs", 0, ""); err != nil {
			t.Errorf("mount sysfs: %v", err)
		}
	})
	t.Cleanup(func() { unix.Unmount(l.sys, unix.MNT_DETACH) })
	return l
}

func (l *tuningLab) tuning() *tuning {
	l.t.Helper()
	t, err := newTuning("eth1", l.sys, l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	return t
}

// knobs expects what the kernel has set.
func (l *tuningLab) knobs(want ...string) {
	l.t.Helper()
	var got []string
	for _, knob := range []string{knobDeferInterrupts, knobFlushTimeout} {
		got = append(got, strings.TrimSpace(l.do("gw", "cat /sys/class/net/eth1/"+knob)))
	}
	if !slices.Equal(got, want) {
		l.t.Errorf("interrupts deferred and flush timeout are %v, want %v", got, want)
	}
}

// owes expects that something is written down, or nothing.
func (l *tuningLab) owes(want int) {
	l.t.Helper()
	files, err := filepath.Glob(filepath.Join(l.dir, "*"))
	if err != nil || len(files) != want {
		l.t.Errorf("notes of what is owed: %v, %v; want %d", files, err, want)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTuningGivesBack(t *testing.T) {
	l := newTuningLab(t)
	l.in("gw", func() {
		noError(t, os.WriteFile(filepath.Join(l.sys, "class/net/eth1", knobFlushTimeout), []byte("7000"), 0))
		one := l.tuning()
		noError(t, one.settle())
		noError(t, one.busyPolling())
		l.knobs("2", "200000")
		l.owes(1)
		noError(t, one.giveBack())
		l.knobs("0", "7000")
		l.owes(0)
		noError(t, one.giveBack())
	})
}

// What is a feature of the interface is borrowed like any other setting.
func TestTuningMerges(t *testing.T) {
	l := newTuningLab(t)
	merging := func(want string) {
		t.Helper()
		if got := l.do("gw", "ethtool -k eth1"); !strings.Contains(got, knobMergeUDP+": "+want) {
			t.Errorf("%s is not %s:\n%s", knobMergeUDP, want, got)
		}
	}
	l.in("gw", func() {
		var said bytes.Buffer
		l.tuning().merge(slog.New(slog.NewTextHandler(&said, nil)))
		if merging("on"); said.Len() > 0 {
			t.Errorf("%s", said.String())
		}
		l.owes(1)
		noError(t, l.tuning().settle())
		merging("off")
		l.owes(0)
	})
}

func TestTuningAfterACrash(t *testing.T) {
	l := newTuningLab(t)
	l.in("gw", func() {
		noError(t, l.tuning().busyPolling())
		l.knobs("2", "200000") // and nobody gives it back

		next := l.tuning()
		noError(t, next.settle())
		l.knobs("0", "0")
		l.owes(0)
		noError(t, next.busyPolling())
		l.knobs("2", "200000")

		// What somebody else has set since is theirs.
		noError(t, os.WriteFile(filepath.Join(l.sys, "class/net/eth1", knobFlushTimeout), []byte("5000"), 0))
		noError(t, l.tuning().settle())
		l.knobs("0", "5000")
		l.owes(0)
	})
}

// An interface of the same name is another interface.
func TestTuningOfAnInterfaceThatIsGone(t *testing.T) {
	l := newTuningLab(t)
	l.in("gw", func() {
		one := l.tuning()
		noError(t, one.busyPolling())
		l.do("gw", "ip link del eth1")
		noError(t, one.giveBack())
		l.owes(0)

		l.do("gw", "ip link add eth1 type veth peer name eth9")
		noError(t, l.tuning().busyPolling())
		l.do("gw", "ip link del eth1")
		l.do("gw", "ip link add eth1 type veth peer name eth9")
		noError(t, os.WriteFile(filepath.Join(l.sys, "class/net/eth1", knobDeferInterrupts), []byte("2"), 0))
		noError(t, l.tuning().settle())
		l.knobs("2", "0")
		l.owes(0)
	})
}

// What could not be given back is still owed.
func TestTuningGivesBackLater(t *testing.T) {
	l := newTuningLab(t)
	l.in("gw", func() {
		noError(t, l.tuning().busyPolling())

		// A restart that sees the sysfs of a namespace with another eth1.
		elsewhere := l.tuning()
		elsewhere.sys = t.TempDir()
		noError(t, os.MkdirAll(filepath.Dir(elsewhere.attribute("ifindex")), 0o755))
		noError(t, os.WriteFile(elsewhere.attribute("ifindex"), []byte("99999\n"), 0o600))
		if err := elsewhere.settle(); err == nil {
			t.Error("nothing was given back, and nobody is told")
		}
		l.knobs("2", "200000")
		l.owes(1)

		noError(t, l.tuning().settle())
		l.knobs("0", "0")
		l.owes(0)
	})
}

func TestTuningRefuses(t *testing.T) {
	l := newTuningLab(t)
	l.in("gw", func() {
		// Our thread's namespace is not the one that the machine's sysfs shows.
		elsewhere := l.tuning()
		elsewhere.sys = "/sys"
		if err := elsewhere.busyPolling(); err == nil {
			t.Error("the sysfs of another network namespace was taken for ours")
		}
		l.owes(0)

		if _, err := newTuning("nosuch0", l.sys, l.dir); err == nil {
			t.Error("an interface that does not exist can be tuned")
		}

		noError(t, os.MkdirAll(l.dir, 0o755))
		broken := l.tuning()
		noError(t, os.WriteFile(broken.file, []byte("{"), 0o600))
		if err := broken.settle(); err == nil {
			t.Error("nonsense was read as what is owed")
		}

		// Nothing is changed that cannot be written down.
		unable := l.tuning()
		unable.file = filepath.Join(l.sys, "class", "owed")
		if err := unable.busyPolling(); err == nil {
			t.Error("settings were changed that would never be given back")
		}
		l.knobs("0", "0")
	})
}

// veth has no say in which queue a packet arrives at. That is no reason not to
// start, and is said.
func TestSpreadOnVeth(t *testing.T) {
	l := newTuningLab(t)
	l.in("gw", func() {
		one := l.tuning()
		if err := one.borrow(knobHashUDP4, "240"); !errors.Is(err, unix.EOPNOTSUPP) {
			t.Errorf("veth answers %v, want EOPNOTSUPP", err)
		}
		var said bytes.Buffer
		one.spread(slog.New(slog.NewTextHandler(&said, nil)), true)
		if n := strings.Count(said.String(), "\n"); n != 1 || !strings.Contains(said.String(), "interface=eth1") {
			t.Errorf("said:\n%s", &said)
		}
		l.owes(0)
	})
}

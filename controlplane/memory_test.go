package controlplane

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKeepMemory looks at processes of its own, since locked memory and hidden ones
// would hinder the other tests. Those without CAP_IPC_LOCK are as an ordinary user's.
func TestKeepMemory(t *testing.T) {
	const marker = "QZMQ_TEST_KEEP_MEMORY"
	const ordinary = "setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock"
	locked, limited := testMemoryLocked, testMemoryLimited
	for _, test := range []struct {
		name, under string
		check       func(*testing.T)
	}{
		{"by right", "prlimit --memlock=65536", locked},
		{"without right", "prlimit --memlock=8388608 " + ordinary, limited},
		{"without right, much allowed", "prlimit --memlock=1000000000000 " + ordinary, limited},
		{"without right, all allowed", "prlimit --memlock=0:unlimited " + ordinary, locked},
	} {
		switch os.Getenv(marker) {
		case test.name:
			test.check(t)
		case "":
			t.Run(test.name, func(t *testing.T) {
				under := strings.Fields(test.under)
				cmd := exec.Command(under[0], append(under[1:], os.Args[0], "-test.run=^TestKeepMemory$", "-test.v")...)
				cmd.Env = append(os.Environ(), marker+"="+test.name)
				out, err := cmd.CombinedOutput()
				if strings.Contains(string(out), "failed to set the MEMLOCK resource limit: Operation not permitted") {
					t.Skip("even root may not raise the limit here, without CAP_SYS_RESOURCE")
				}
				if err != nil || !strings.Contains(string(out), "PASS: TestKeepMemory") || !strings.Contains(string(out), "looked") {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

func testMemoryLocked(t *testing.T) {
	if errs := keepMemory(); errs != nil {
		t.Error(errs)
	}
	if kept := lockedMemory(t); kept == "0 kB" {
		t.Error("no memory is locked")
	}
	grow()
}

// Where locking is limited nothing is locked and the limit is left alone; the rest is
// done all the same.
func testMemoryLimited(t *testing.T) {
	var before, after unix.Rlimit
	err1 := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &before)
	errs := keepMemory()
	if err2 := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &after); err1 != nil || err2 != nil || before != after {
		t.Errorf("the limit was %v, %v and is %v, %v", before, err1, after, err2)
	}
	if len(errs) != 1 || !errors.Is(errs[0], errMemoryLimit) {
		t.Error(errs)
	}
	if kept := lockedMemory(t); kept != "0 kB" {
		t.Errorf("%s are locked", kept)
	}
	grow()
}

// grow takes more memory than a limit allows to lock, of which a Go program dies.
func grow() {
	b := make([]byte, 64<<20)
	for at := 0; at < len(b); at += 4096 {
		b[at]++
	}
}

// lockedMemory gives what is locked, and checks the rest.
func lockedMemory(t *testing.T) string {
	t.Helper()
	limits, err1 := os.ReadFile("/proc/self/limits")
	status, err2 := os.ReadFile("/proc/self/status")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("core dumps are possible:\n%s", limits)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); dumpable != 0 || err != nil {
		t.Errorf("other processes may look: %d, %v", dumpable, err)
	}
	locked := regexp.MustCompile(`VmLck:\s+(.*)`).FindSubmatch(status)
	if locked == nil {
		t.Fatalf("no VmLck in\n%s", status)
	}
	t.Log("looked: locked are", string(locked[1]))
	return string(locked[1])
}

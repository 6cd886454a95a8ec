package controlplane

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestKeepMemory looks at a process of its own, since locked memory and hidden
// ones would hinder the other tests.
func TestKeepMemory(t *testing.T) {
	const marker = "QZMQ_TEST_KEEP_MEMORY"
	if os.Getenv(marker) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKeepMemory$", "-test.v")
		cmd.Env = append(os.Environ(), marker+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestKeepMemory") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for _, err := range keepMemory() {
		t.Error(err)
	}
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); f[0] == "VmLck:" && f[1] == "0" {
			t.Error("no memory is locked")
		}
	}
	b, err = os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "Max core file size") && !strings.HasPrefix(strings.TrimSpace(line[len("Max core file size"):]), "0 ") {
			t.Errorf("core dumps are possible: %s", line)
		}
	}
}

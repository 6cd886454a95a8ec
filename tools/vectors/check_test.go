package vectors

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// python is the system's by its full name: another one that comes first in PATH
// has no Debian packages.
const python = "/usr/bin/python3"

// published are our own vectors.
func published() []string {
	return []string{
		"../../qzmq/testdata/handshakes.json",
		"../../qzmq/testdata/records.json",
		"../../qzmq/handshake/testdata/handshake.json",
	}
}

// reader runs check.py and decodes what it prints.
func reader(t *testing.T, into any, arguments ...string) {
	t.Helper()
	// The go command knows of the files that a test has opened itself, and runs it
	// again when one of them has changed.
	scripts, err := filepath.Glob("*.py")
	if err != nil || len(scripts) == 0 {
		t.Fatal("the second reader is missing", err)
	}
	for _, name := range append(scripts, published()...) {
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(python, append([]string{"check.py"}, arguments...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("the second reader (which needs %s and Debian's python3-cryptography): %v\n%s", python, err, stderr.Bytes())
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("the second reader printed %q: %v", out, err)
	}
}

// TestSecondReader has our own vectors read by a program that shares nothing with
// ours, and counts what it found in them.
func TestSecondReader(t *testing.T) {
	var done map[string]int
	reader(t, &done, published()...)
	for what, least := range map[string]int{
		"handshakes":         14,
		"resumed":            6,
		"early data":         6,
		"Ed25519 signatures": 6,
		"data keys":          6,
		"streams":            18,
		"records":            150,
		"values":             1344,
	} {
		if done[what] < least {
			t.Errorf("the second reader checked %d %s, want at least %d", done[what], what, least)
		}
	}
	t.Log(done)
}

// TestSecondReaderNotices alters every value of every vector in turn. What it then
// does not notice is what it takes on trust: the secrets that only ML-KEM and
// ML-DSA, which it does not have, make something of. Our first reader, in package
// handshake, has both.
func TestSecondReaderNotices(t *testing.T) {
	var trusted []string
	reader(t, &trusted, append([]string{"--altered"}, published()...)...)
	want := []string{
		"inputs.initiator_mldsa44_seed",
		"inputs.initiator_seed",
		"inputs.mlkem768_d_z",
		"inputs.mlkem768_m",
		"inputs.mlkem_d_z",
		"inputs.mlkem_m",
		"inputs.responder_mldsa44_seed",
		"inputs.responder_seed",
		"name",
	}
	if !slices.Equal(trusted, want) {
		t.Errorf("the second reader does not notice changes of %q, want %q", trusted, want)
	}
}

// TestSecondReaderRefuses what it cannot know: no vectors, and vectors of no kind.
func TestSecondReaderRefuses(t *testing.T) {
	for name, content := range map[string]string{
		"empty":   "[]",
		"unknown": `[{"name": "something else"}]`,
	} {
		file := filepath.Join(t.TempDir(), name+".json")
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, "check.py", file).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), name) {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
}

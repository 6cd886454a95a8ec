// Package vectors gives tests the answers that others have published: those of
// Project Wycheproof, a Go module, and NIST's for FIPS 203 and 204, which circl's
// module carries. Both are read where the go command keeps modules, at the version
// that go.mod names and go.sum vouches for, so that nothing is copied.
//
// A test that reads files can pass by reading nothing. So every file is told how
// many of its vectors must run ([Tally.Done]), and every vector that cannot run is
// counted under a reason.
//
// The folder also holds check.py, which reads our own vectors as another
// implementation would; check_test.go runs it.
package vectors

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	wycheproofModule = "github.com/c2sp/wycheproof"
	circlModule      = "github.com/cloudflare/circl"
)

// Hex is bytes that are written in hexadecimal, of either case.
type Hex []byte

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Case is what all vectors of Wycheproof have in common.
type Case struct {
	ID      int      `json:"tcId"`
	Comment string   `json:"comment"`
	Flags   []string `json:"flags"`
	Result  string   `json:"result"`
}

// Valid says whether an implementation has to accept the vector. What is only
// acceptable is for the caller to judge.
func (c *Case) Valid() bool { return c.Result == "valid" }

// String names the vector in messages.
func (c *Case) String() string { return fmt.Sprintf("vector %d (%s)", c.ID, c.Comment) }

// Wycheproof reads the groups of one of Wycheproof's files, named without ".json".
func Wycheproof[Group any](t testing.TB, name string) []Group {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(moduleDir(t, wycheproofModule), "testvectors_v1", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []Group `json:"testGroups"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(file.Groups) == 0 {
		t.Fatalf("%s holds no group of vectors", name)
	}
	return file.Groups
}

// NIST reads a folder of circl's module: the groups of its prompt, and what is
// expected of every case, by the case's number.
func NIST[Group, Answer any](t testing.TB, folder string) ([]Group, map[int]Answer) {
	t.Helper()
	var prompt struct {
		Groups []Group `json:"testGroups"`
	}
	readNIST(t, folder, "prompt", &prompt)
	var expected struct {
		Groups []struct {
			Tests []json.RawMessage `json:"tests"`
		} `json:"testGroups"`
	}
	readNIST(t, folder, "expectedResults", &expected)
	answers := make(map[int]Answer)
	for _, group := range expected.Groups {
		for _, raw := range group.Tests {
			var number struct {
				ID int `json:"tcId"`
			}
			var answer Answer
			if err := json.Unmarshal(raw, &number); err != nil {
				t.Fatalf("%s: %v", folder, err)
			}
			if err := json.Unmarshal(raw, &answer); err != nil {
				t.Fatalf("%s: case %d: %v", folder, number.ID, err)
			}
			answers[number.ID] = answer
		}
	}
	if len(prompt.Groups) == 0 || len(answers) == 0 {
		t.Fatalf("%s holds %d groups and %d answers", folder, len(prompt.Groups), len(answers))
	}
	return prompt.Groups, answers
}

func readNIST(t testing.TB, folder, name string, into any) {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join(moduleDir(t, circlModule), folder, name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	b, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s/%s: %v", folder, name, err)
	}
}

// moduleDir is where the go command keeps a module's files. A test has its
// package's folder as working directory, so go.mod decides on the version; what
// is not there yet is downloaded, since no program imports these modules' vectors.
func moduleDir(t testing.TB, module string) string {
	t.Helper()
	command := exec.Command("go", "mod", "download", "-json", module)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go mod download %s: %v\n%s%s", module, err, out, stderr.Bytes())
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil || found.Dir == "" {
		t.Fatalf("go mod download %s names no folder: %v\n%s", module, err, out)
	}
	return found.Dir
}

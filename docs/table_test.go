package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	named   = regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	defined = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
)

// TestLibzmqTable holds the table to the tests: what it names is there, and what is
// there of the port it names.
func TestLibzmqTable(t *testing.T) {
	page, err := os.ReadFile("libzmq-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| test_") {
			rows++
		}
	}
	if rows < 50 {
		t.Errorf("the table has only %d rows", rows)
	}
	names := map[string]bool{}
	for _, m := range named.FindAllStringSubmatch(string(page), -1) {
		names[m[1]] = false
	}
	files, err := filepath.Glob("../qzmq/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		port := strings.HasPrefix(filepath.Base(file), "libzmq_")
		for _, m := range defined.FindAllStringSubmatch(string(source), -1) {
			_, there := names[m[1]]
			if there {
				names[m[1]] = true
			} else if port {
				t.Errorf("%s: the table does not have %s", file, m[1])
			}
		}
	}
	for name, exists := range names {
		if !exists {
			t.Errorf("the table has %s, and there is none", name)
		}
	}
}

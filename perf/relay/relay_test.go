package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets this binary be the program that speaks QZMQ1, as the measuring one is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == programName {
		os.Exit(beProgram(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// Everything runs, and leaves its table; the figures are of no interest here.
func TestBrief(t *testing.T) {
	t.Chdir("../..")
	dir := t.TempDir()
	var out, errs bytes.Buffer
	if code := part().Run([]string{"-brief", "-rounds", "1", "-out", dir}, &out, &errs); code != 0 {
		t.Fatalf("code %d: %s", code, &errs)
	}
	table, err := os.ReadFile(filepath.Join(dir, "relay.md"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(table), errNoLibzmq.Error()) {
		return // it says so, and that is all there can be
	}
	for _, row := range []string{"1 MiB, two relays / CURVE", "64 B, QZMQ program / CURVE", "CPU of both relays, 64 KiB", "far relay, each of 50 idle connections", "connections opened and closed, over 500ms", "descriptors of both relays"} {
		if !strings.Contains(string(table), row) {
			t.Errorf("there is no row %q:\n%s", row, table)
		}
	}
}

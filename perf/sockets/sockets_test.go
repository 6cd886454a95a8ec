package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets this binary be the program at either end, as the measuring one is.
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
	table, err := os.ReadFile(filepath.Join(dir, "sockets.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{"PUB to 10 SUB, 1 MiB, QZMQ, received by all", "PUSH to PULL, 64 B, PUSH, allocations for each message",
		"ROUTER, 100 clients, resident memory for each"}
	// A rival that is not there is missing, and that is all there can be.
	for rival, more := range map[string][]string{
		"libzmq": {"REQ to REP, 1 MiB, QZMQ / CURVE", "PUB to 1 SUB, 64 B, dropping, QZMQ / libzmq in clear"},
		zmq4:     {"PUB to 10 SUB, 64 B, QZMQ / zmq4 in clear"},
	} {
		if !strings.Contains(string(table), "| "+rival+" | | | | | | missing") {
			rows = append(rows, more...)
		}
	}
	for _, row := range rows {
		if !strings.Contains(string(table), row) {
			t.Errorf("there is no row %q:\n%s", row, table)
		}
	}
}

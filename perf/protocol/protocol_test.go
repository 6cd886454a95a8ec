package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// TestOneShortRound runs everything once, from flags to files, in the folder that
// make runs it in. No figure is asserted, only that each is there and possible.
func TestOneShortRound(t *testing.T) {
	t.Chdir("../..")
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-brief", "-rounds", "1", "-out", dir}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	text, err := os.ReadFile(filepath.Join(dir, "protocol.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Machine.CPU == "" || r.Machine.Go == "" || r.Machine.LoadBefore == "" || r.Rounds != 1 {
		t.Errorf("the machine is not described: %+v", r)
	}
	seen := make(map[string]bool)
	for _, l := range r.Rows {
		if seen[l.Name+l.Unit] {
			t.Errorf("%q in %s is there twice", l.Name, l.Unit)
		}
		seen[l.Name+l.Unit] = true
		if len(l.Samples) == 0 || math.IsNaN(l.Median) || math.IsInf(l.Median, 0) || l.Min > l.Median || l.Median > l.Max {
			t.Errorf("%q is no figure: %+v", l.Name, l)
		}
		if !strings.Contains(stdout.String(), "\n| "+l.Name+" | ") {
			t.Errorf("%q is missing in the table", l.Name)
		}
		if l.Goal != "" && l.Verdict == "" {
			t.Errorf("%q has a goal and no verdict", l.Name)
		}
	}
	for _, want := range expectedRows() {
		if !seen[want] {
			t.Errorf("no row %q", want)
		}
	}
	if file, err := os.ReadFile(filepath.Join(dir, "protocol.md")); err != nil || string(file) != stdout.String() {
		t.Errorf("protocol.md is not what was printed (%v)", err)
	}
}

// expectedRows is every row, name and unit.
func expectedRows() []string {
	rows := []string{
		"worker, inside to outside, aes256gcm, 1420 B, speed of the bare cipherx",
		"worker, outside to inside, aes256gcm, 1420 B, speed of the bare cipherx",
		"worker, inside to outside, aes256gcm, 1420 Bns/packet",
		"worker, outside to inside, aes256gcm, 1420 Bns/packet",
		"handshake / its primitives, both sides, garbage collector includedx",
		"ratchet, both ends, spread over the fewest records between two changes in servicens/record",
		"ratchet, the sealing worker at a change of keysns",
		"ratchet, a change of keys, both ends with all derivationsµs",
		"ratchet, records lost over all changes of a roundrecords",
		"memory of a session: its secrets, a TCP connection's records, one data stream each waybytes",
		"memory of a session, objects on the heapobjects",
		"bytes of a handshake, crypto/tls, X25519MLKEM768, Ed25519 certificatesbytes",
	}
	const tls, like = "crypto/tls, Ed25519 certificates", "QZMQ, Ed25519 identities"
	for _, side := range []string{"initiator", "responder", "both sides"} {
		rows = append(rows, "handshake / its primitives, "+side+"x",
			"QZMQ default suite / "+tls+", "+side+"x", like+" / "+tls+", "+side+"x")
		for _, who := range []string{"QZMQ default suite", "its primitives", like, tls} {
			if side == "both sides" {
				rows = append(rows, "handshake, "+who+", both sides, garbage collector includedµs")
				continue
			}
			rows = append(rows, "handshake, "+who+", "+side+"µs")
			if who != "its primitives" {
				rows = append(rows, "handshakes, "+who+", "+side+"/s per core")
			}
		}
	}
	for _, of := range []string{"seal, aes256gcm", "open, aes256gcm", "seal, chacha20poly1305", "open, chacha20poly1305"} {
		for _, size := range []string{", 64 B", ", 1420 B"} {
			rows = append(rows, "record "+of+size+"ns", "record "+of+size+", speed of the bare cipherx")
		}
	}
	for _, stranger := range []string{
		"wrong MAC, at the door", "wrong MAC, at a door of 8 names", "wrong MAC, through a machine",
		"wrong MAC, through the ZMTP responder", "no cookie, with the Retry",
	} {
		rows = append(rows, "refusal of a ClientHello, "+stranger+"µs", "refusal of a ClientHello, "+stranger+"allocations")
	}
	for _, msg := range []string{"all of it", "ClientHello", "ServerHello", "ClientKey", "Finished"} {
		rows = append(rows, "bytes of a handshake, QZMQ default suite, "+msg+"bytes")
	}
	for _, kem := range []string{"x25519", "mlkem768", "mlkem1024", "x25519+mlkem768", "x25519+mlkem1024"} {
		for _, sig := range []string{"ed25519", "mldsa44", "mldsa65", "mldsa87", "ed25519+mldsa44", "ed25519+mldsa65"} {
			rows = append(rows, "bytes of a handshake, "+kem+"/"+sig+", over all AEADs and hashesbytes")
		}
	}
	return rows
}

// TestPrimitivesAreThoseOfTheDefault fails when the default suite changes and what
// it is compared with does not.
func TestPrimitivesAreThoseOfTheDefault(t *testing.T) {
	const want = "x25519+mlkem768/mldsa44/aes256gcm/sha256"
	if got := handshake.DefaultSuite().String(); got != want {
		t.Errorf("the default suite is %s, the primitives are those of %s", got, want)
	}
}

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		goal          goal
		v             float64
		text, verdict string
	}{
		{goal{}, 5, "", ""},
		{atMost(1.2), 1.2, "≤ 1.20", "met"},
		{atMost(1.2), 1.21, "≤ 1.20", "MISSED"},
		{atMost(0), 0, "≤ 0", "met"},
		{atMost(0), 1, "≤ 0", "MISSED"},
		{atLeast(0.85), 0.9, "≥ 0.85", "met"},
		{atLeast(0.85), 0.84, "≥ 0.85", "MISSED"},
		{below(100e3, 16e3), 11e3, "≤ 100,000, aim 16,000", "met, aim too"},
		{below(100e3, 16e3), 20e3, "≤ 100,000, aim 16,000", "met, aim missed"},
		{below(100e3, 16e3), 2e5, "≤ 100,000, aim 16,000", "MISSED"},
	} {
		if text, verdict := c.goal.String(), c.goal.verdict(c.v); text != c.text || verdict != c.verdict {
			t.Errorf("%v of %+v: %q, %q", c.v, c.goal, text, verdict)
		}
	}
}

// TestMissedGoalIsMarked also sees that a median decides, and ratios come first.
func TestMissedGoalIsMarked(t *testing.T) {
	s := &sheet{}
	late, early := s.row(wire, "late", "bytes", atMost(10)), s.row(ratios, "early", "x", atMost(10))
	for _, v := range []float64{12, 1, 13} {
		late.add(v)
		early.add(v - 10)
	}
	var r result
	r.finish(s)
	_, table, _ := strings.Cut(r.markdown(), "|---|\n")
	const want = "| early | 2.00 | -9.00 | 3.00 | x | ≤ 10.0 | met |\n| late | 12.0 | 1.00 | 13.0 | bytes | ≤ 10.0 | **MISSED** |\n"
	if table != want || r.Missed != 1 {
		t.Errorf("%d missed:\n%s", r.Missed, table)
	}
}

func TestParseBenchmarks(t *testing.T) {
	const out = `goos: linux
BenchmarkOutbound/outer6=false/1420-2  	 100	  0.91 of-bare	 320.5 ns/packet
BenchmarkOutboundElse-2  	 100	  0.1 of-bare
BenchmarkOutbound/outer6=false/1420-2  	 120	  0.93 of-bare	 310 ns/packet
PASS
`
	got := parseBenchmarks(out, "BenchmarkOutbound")
	if len(got) != 2 || got[0]["of-bare"] != 0.91 || got[1]["ns/packet"] != 310 {
		t.Errorf("%v", got)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"more"}, {"-unknown"}} {
		var stdout, stderr bytes.Buffer
		if code := run(args, &stdout, &stderr); code != 2 || stderr.Len() == 0 || stdout.Len() != 0 {
			t.Errorf("%v: exit code %d, %q", args, code, &stderr)
		}
	}
}

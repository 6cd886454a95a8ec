package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/handshake"
)

// TestOneShortRound runs everything once, from flags to files. No figure is asserted, only that each is there and possible.
func TestOneShortRound(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := part().Run([]string{"-brief", "-rounds", "1", "-out", dir}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	text, err := os.ReadFile(filepath.Join(dir, "protocol.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r sheet.Result
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

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"more"}, {"-unknown"}} {
		var stdout, stderr bytes.Buffer
		if code := part().Run(args, &stdout, &stderr); code != 2 || stderr.Len() == 0 || stdout.Len() != 0 {
			t.Errorf("%v: exit code %d, %q", args, code, &stderr)
		}
	}
}

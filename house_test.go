// Package gateway_test keeps the house in order: which part may know which.
package gateway_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/qzmq/gateway/"

// may lists, for every package of ours, the packages of ours that it may reach,
// directly or not. Imports run one way: from the control plane down to records.
var may = map[string][]string{
	"cmd/qzmq-gateway":     {"controlplane", "dataplane", "dataplane/xsk", "dataplane/superframe", "bpf", "qzmq/relay", "qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"cmd/qzmqctl":          {"controlplane", "dataplane", "dataplane/xsk", "dataplane/superframe", "bpf", "qzmq/relay", "qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"controlplane":         {"dataplane", "dataplane/xsk", "dataplane/superframe", "bpf", "qzmq/relay", "qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"dataplane":            {"qzmq/record", "qzmq/record/vaes"},
	"dataplane/xsk":        {},
	"dataplane/superframe": {},
	"bpf":                  {},
	"qzmq":                 {"qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"qzmq/relay":           {"qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"qzmq/zmq4transport":   {"qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"qzmq/zmtp":            {"qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"qzmq/zmtp/raw":        {},
	"qzmq/handshake":       {"qzmq/record", "qzmq/record/vaes"},
	"qzmq/record":          {"qzmq/record/vaes"},
	"qzmq/record/vaes":     {},
	"docs":                 {},
	"tools/vectors":        {},
	"tools/chaos":          {"qzmq", "qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"perf/sheet":           {},
	"perf/protocol":        {"perf/sheet", "qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"perf/pipeline":        {"perf/sheet", "qzmq/record", "qzmq/record/vaes"},
	"perf/lab":             {},
	"perf/paths":           {"perf/sheet", "perf/lab"},
	"perf/forward":         {"perf/sheet", "perf/lab"},
	"perf/forwarder":       {"dataplane", "dataplane/xsk", "bpf", "qzmq/record", "qzmq/record/vaes"},
	"perf/aead":            {"perf/sheet", "qzmq/record/vaes"},
	"perf/model":           {"perf/sheet"},
	"perf/table":           {"perf/sheet"},
	"perf/profile":         {"perf/lab"},
	"perf/ends":            {},
	"perf/relay":           {"perf/sheet", "perf/ends", "controlplane", "dataplane", "dataplane/xsk", "dataplane/superframe", "bpf", "qzmq/relay", "qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"perf/sockets":         {"perf/sheet", "perf/ends", "qzmq", "qzmq/zmtp", "qzmq/zmtp/raw", "qzmq/handshake", "qzmq/record", "qzmq/record/vaes"},
	"perf/zmq":             {"perf/sheet", "perf/lab"},
}

func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Deps}} {{.}}{{end}}`, "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name, ours := strings.CutPrefix(fields[0], module)
		if !ours {
			continue // this test's own package
		}
		allowed, known := may[name]
		if !known {
			t.Errorf("package %s is not in the house's plan", name)
			continue
		}
		for _, dep := range fields[1:] {
			if dep, ours := strings.CutPrefix(dep, module); ours && !slices.Contains(allowed, dep) {
				t.Errorf("%s must not reach %s", name, dep)
			}
		}
	}
}

// TestUnsafeHasItsHomes keeps unsafe memory in the packages that exist for
// system calls.
func TestUnsafeHasItsHomes(t *testing.T) {
	homes := []string{module + "dataplane/xsk", module + "dataplane/superframe", module + "qzmq/zmtp/raw"}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		for _, dep := range fields[1:] {
			if dep == "unsafe" && !slices.Contains(homes, fields[0]) {
				t.Errorf("%s imports unsafe", fields[0])
			}
		}
	}
}

// TestNoNullCipher: what only copies is in no build that nobody asked it for.
func TestNoNullCipher(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .GoFiles " "}} without {{join .IgnoredGoFiles " "}}`, "./qzmq/record").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	built, left, _ := strings.Cut(string(out), " without ")
	if strings.Contains(built, "nullcipher") || !strings.Contains(left, "nullcipher.go") {
		t.Errorf("package record is built from %s and without %s", built, left)
	}
}

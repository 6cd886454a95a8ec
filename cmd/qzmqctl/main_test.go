package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qzmq/gateway/controlplane"
)

// ctl runs the tool and gives all that it leaves behind.
func ctl(args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestKeygenAndFingerprint(t *testing.T) {
	key := filepath.Join(t.TempDir(), "a.key")
	code, made, stderr := ctl("keygen", key)
	if code != 0 || stderr != "" {
		t.Fatalf("keygen: %d, %q", code, stderr)
	}
	if !strings.HasPrefix(made, "qz1") || len(made) != len("qz1")+58+len("\n") {
		t.Errorf("keygen printed %q", made)
	}
	code, read, stderr := ctl("fingerprint", key)
	if code != 0 || stderr != "" || read != made {
		t.Errorf("fingerprint: %d, %q, %q; keygen had printed %q", code, read, stderr, made)
	}

	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := ctl("keygen", key)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "file exists") {
		t.Errorf("keygen onto a key: %d, %q, %q", code, stdout, stderr)
	}
	after, err := os.ReadFile(key)
	if err != nil || string(after) != string(before) {
		t.Errorf("keygen touched a key that was there: %v", err)
	}

	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = ctl("fingerprint", key)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "has mode 0644") {
		t.Errorf("fingerprint of an open key: %d, %q, %q", code, stdout, stderr)
	}
}

func TestKeygenOfEveryAlgorithm(t *testing.T) {
	dir := t.TempDir()
	for _, algorithm := range []string{"mldsa44", "mldsa65", "mldsa87", "ed25519", "ed25519+mldsa44", "ed25519+mldsa65"} {
		key := filepath.Join(dir, algorithm)
		code, made, warning := ctl("keygen", "--algorithm", algorithm, key)
		if code != 0 || !strings.HasPrefix(made, "qz1") || (warning == "") != (algorithm == "mldsa44") || warning != "" && !strings.Contains(warning, algorithm) {
			t.Errorf("%s: %d, %q, %q", algorithm, code, made, warning)
		}
		id, err := controlplane.ReadIdentity(key)
		if err != nil || id.Algorithm().String() != algorithm || id.Fingerprint().String()+"\n" != made {
			t.Errorf("%s: %v, %v", algorithm, id, err)
		}
	}
	for _, algorithm := range []string{"rsa", "", "MLDSA44", "mldsa44+ed25519"} {
		key := filepath.Join(dir, "none")
		if code, stdout, stderr := ctl("keygen", "--algorithm", algorithm, key); code != 1 || stdout != "" || !strings.Contains(stderr, "is not an algorithm of identities") {
			t.Errorf("%q: %d, %q, %q", algorithm, code, stdout, stderr)
		}
		if _, err := os.Stat(key); err == nil {
			t.Errorf("%q: a file was left", algorithm)
		}
	}
}

func TestKnock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.knock")
	if code, stdout, stderr := ctl("knock", file); code != 0 || stdout != "" || stderr != "" {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	if _, err := controlplane.ReadKnock(file); err != nil {
		t.Error(err)
	}
	if code, stdout, stderr := ctl("knock", file); code != 1 || stdout != "" || !strings.Contains(stderr, "file exists") {
		t.Errorf("onto a knock: %d, %q, %q", code, stdout, stderr)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "a.key")
	code, own, stderr := ctl("keygen", key)
	if code != 0 {
		t.Fatal(stderr)
	}
	_, peer, _ := ctl("keygen", filepath.Join(dir, "b.key"))
	own, peer = strings.TrimSpace(own), strings.TrimSpace(peer)
	t.Setenv("QZMQ_IDENTITY", key)
	file := filepath.Join(dir, "a.yaml")
	const good = `gateway:
  name: site-a
  identity: ${QZMQ_IDENTITY}
  inside: { interface: eth1 }
  outside: { interface: eth2, address: 192.0.2.1 }
links:
  - name: site-b
    peer: PEER
    routes: [10.2.0.0/24]
`
	for _, tc := range []struct {
		name, text     string
		code           int
		stdout, stderr string
	}{
		{"fine", strings.Replace(good, "PEER", peer, 1), 0, file + ": fine; gateway site-a is " + own + ", links: 1\n", ""},
		{"own key as peer", strings.Replace(good, "PEER", own, 1), 1, "",
			file + ":8: links[0].peer: is the fingerprint of this gateway's own identity\n"},
		{"two mistakes", strings.NewReplacer("PEER", peer, "eth1", "eth2", "/24", "/33").Replace(good), 1, "",
			file + ":5: gateway.outside.interface: \"eth2\" is the inside interface too\n" +
				file + ":9: links[0].routes[0]: \"10.2.0.0/33\" is not a prefix\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(tc.text), 0o644); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := ctl("check", file)
			if code != tc.code || stdout != tc.stdout || stderr != tc.stderr {
				t.Errorf("got %d\n%s%s\nwant %d\n%s%s", code, stdout, stderr, tc.code, tc.stdout, tc.stderr)
			}
		})
	}
	if code, _, stderr := ctl("check", filepath.Join(dir, "none")); code != 1 || !strings.Contains(stderr, "no such file") {
		t.Errorf("check of no file: %d, %q", code, stderr)
	}
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir()) // where a mistaken keygen would leave its file
	for _, args := range [][]string{
		nil, {"keygen"}, {"keygen", "a", "b"}, {"keygen", "--force"}, {"keygen", "--algorithm", "mldsa65"}, {"keygen", "a", "--algorithm", "mldsa65"},
		{"knock"}, {"knock", "a", "b"}, {"knock", "--force"}, {"sign", "a"}, {"", ""}, {"--help"}, {"-h", "a"},
		{"show"}, {"show", "weather"}, {"show", "links", "queues"}, {"show", "links", "--colour"}, {"show", "--json"}, {"show", "links", "--socket"},
		{"top", "links"}, {"top", "--count"}, {"top", "--count", "-1"}, {"top", "--count", "many"}, {"rotate"}, {"rotate", "a", "b"}, {"rotate", "--force", "a"},
		{"ca"}, {"ca", "init"}, {"ca", "init", "--force"}, {"ca", "init", "a", "b"}, {"ca", "request"}, {"ca", "issue"}, {"ca", "issue", "a"},
		{"ca", "show"}, {"ca", "show", "--force", "a"}, {"ca", "show", "a", "b"}, {"ca", "revoke", "a"}, {"ca", "--help"},
	} {
		code, stdout, stderr := ctl(args...)
		if code != 2 || stdout != "" || stderr != usage {
			t.Errorf("%q: %d, %q, %q", args, code, stdout, stderr)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("files were left: %v, %v", left, err)
	}
}

// TestFullPipe: a fingerprint that nobody received must not look like success.
func TestFullPipe(t *testing.T) {
	key := filepath.Join(t.TempDir(), "a.key")
	var errs strings.Builder
	if code := run([]string{"keygen", key}, fullPipe{}, &errs); code != 1 || !strings.Contains(errs.String(), "full") {
		t.Errorf("got %d, %q", code, errs.String())
	}
}

type fullPipe struct{}

func (fullPipe) Write([]byte) (int, error) { return 0, errors.New("full") }

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// must runs the tool, which has to succeed without a word on standard error, and
// gives what it printed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := ctl(args...)
	if code != 0 || stderr != "" {
		t.Fatalf("%q: %d, %q", args, code, stderr)
	}
	return stdout
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCertificates is the life of a certificate, as an operator types it.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	ca := must(t, "ca", "init", in("ca.key"))
	if info, err := os.Stat(in("ca.key")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the authority's key: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(in("ca.key.pub")); err != nil || info.Mode()&0o022 != 0 {
		t.Errorf("the authority's public file: %v, %v", info.Mode(), err)
	}
	own := must(t, "keygen", in("b.key"))
	write(t, in("b.req"), must(t, "ca", "request", in("b.key")))
	write(t, in("b.cert"), must(t, "ca", "issue", "--ca", in("ca.key"), "--name", "site-b", "--routes", "fd00:2::/32,10.2.0.0/16", in("b.req")))

	if got, want := must(t, "ca", "show", in("ca.key.pub")), "authority\n  key        "+strings.TrimSpace(ca)+" (mldsa44)\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, want := must(t, "ca", "show", in("b.req")), "request\n  key        "+strings.TrimSpace(own)+" (mldsa44)\n  signature  genuine\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	pattern := `^certificate of site-b
  key        ` + strings.TrimSpace(own) + ` \(mldsa44\)
  roles      link
  routes     10\.2\.0\.0/16, fd00:2::/32
  valid      \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC to \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC
  issuer     ` + strings.TrimSpace(ca) + ` \(mldsa44\)
  serial     [0-9a-f]{32}
  signature  genuine
$`
	if got := must(t, "ca", "show", "--ca", in("ca.key.pub"), in("b.cert")); !regexp.MustCompile(pattern).MatchString(got) {
		t.Errorf("got\n%s", got)
	}
	if got := must(t, "ca", "show", in("b.cert")); !strings.Contains(got, "signature  not checked\n") {
		t.Errorf("got\n%s", got)
	}

	var s shown
	if err := json.Unmarshal([]byte(must(t, "ca", "show", "--json", "--ca", in("ca.key.pub"), in("b.cert"))), &s); err != nil {
		t.Fatal(err)
	}
	begin := time.Since(*s.NotBefore)
	if s.Kind != "certificate" || s.Name != "site-b" || s.Fingerprint+"\n" != own || s.Issuer+"\n" != ca || strings.Join(s.Routes, " ") != "10.2.0.0/16 fd00:2::/32" ||
		strings.Join(s.Roles, " ") != "link" || s.Signature != "genuine" || s.Warning != "" ||
		begin < backdated || begin > backdated+time.Minute || s.NotAfter.Sub(*s.NotBefore) != 30*24*time.Hour+backdated {
		t.Errorf("%+v", s)
	}

	// Another authority's public file does not make it genuine.
	must(t, "ca", "init", in("other.key"))
	code, stdout, stderr := ctl("ca", "show", "--ca", in("other.key.pub"), in("b.cert"))
	if code != 1 || stdout != "" || !strings.Contains(stderr, "not trusted here") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

// TestExpiryWarnings: a week before the end, show says so, and after it too.
func TestExpiryWarnings(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, "ca", "init", in("ca.key"))
	must(t, "keygen", in("b.key"))
	write(t, in("b.req"), must(t, "ca", "request", in("b.key")))
	made := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	out, err := issue([]string{"--ca", in("ca.key"), "--name", "site-b", "--roles", "zmtp", in("b.req")}, made)
	if err != nil {
		t.Fatal(err)
	}
	write(t, in("b.cert"), out.result)
	day := 24 * time.Hour
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{0, ""},
		{23 * day, ""},
		{23*day + time.Second, "the certificate of site-b expires on 2026-07-01 12:00:00 UTC, in 6 days"},
		{30*day - time.Second, "the certificate of site-b expires on 2026-07-01 12:00:00 UTC, in 0 days"},
		{30*day + time.Second, "the certificate of site-b has expired on 2026-07-01 12:00:00 UTC"},
		{-2 * time.Hour, "the certificate of site-b is not valid before 2026-06-01 11:00:00 UTC"},
	} {
		out, err := show([]string{"--ca", in("ca.key.pub"), in("b.cert")}, made.Add(c.after))
		if err != nil || out.warning != c.want {
			t.Errorf("%v after: %q, %v, want %q", c.after, out.warning, err, c.want)
		}
		out, err = show([]string{"--json", in("b.cert")}, made.Add(c.after))
		if err != nil || strings.Contains(out.result, `"warning"`) != (c.want != "") {
			t.Errorf("%v after: %s", c.after, out.result)
		}
	}
	// The warning goes to standard error and leaves the exit code alone.
	write(t, in("short.cert"), must(t, "ca", "issue", "--ca", in("ca.key"), "--name", "site-b", "--days", "7", "--routes", "10.2.0.0/16", in("b.req")))
	code, stdout, stderr := ctl("ca", "show", in("short.cert"))
	if code != 0 || !strings.HasPrefix(stdout, "certificate of site-b\n") || !strings.HasPrefix(stderr, "warning: the certificate of site-b expires on ") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

func TestIssueRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, "ca", "init", in("ca.key"))
	must(t, "keygen", in("b.key"))
	request := must(t, "ca", "request", in("b.key"))
	write(t, in("b.req"), request)
	write(t, in("cut.req"), request[:len(request)/2])
	open := must(t, "ca", "init", in("open.key"))
	if err := os.Chmod(in("open.key"), 0o640); err != nil || open == "" {
		t.Fatal(err)
	}
	good := []string{"--ca", in("ca.key"), "--name", "site-b", "--routes", "10.2.0.0/16"}
	for _, c := range []struct {
		name string
		args []string // after good; a later flag wins
		code int
		want string // a part of standard error
	}{
		{"name in capitals", []string{"--name", "Site", in("b.req")}, 1, "a certificate's name is 1 to 63 of a-z, 0-9 and -"},
		{"unknown role", []string{"--roles", "admin", in("b.req")}, 1, `"admin": handshake: roles are some of`},
		{"route with host bits", []string{"--routes", "10.2.0.1/16", in("b.req")}, 1, `"10.2.0.1/16" is not a prefix`},
		{"space between routes", []string{"--routes", "10.2.0.0/16, 10.3.0.0/16", in("b.req")}, 1, `" 10.3.0.0/16" is not a prefix`},
		{"link without routes", []string{"--routes", "", in("b.req")}, 1, "needs --routes"},
		{"no day", []string{"--days", "0", in("b.req")}, 1, "0 days: want 1 to 3650"},
		{"too many days", []string{"--days", "3651", in("b.req")}, 1, "3651 days: want 1 to 3650"},
		{"damaged request", []string{in("cut.req")}, 1, "cut.req: handshake: not a certificate request, or a damaged one"},
		{"a key for a request", []string{in("b.key")}, 1, "not a certificate request"},
		{"no request", []string{in("none")}, 1, "no such file"},
		{"an identity for an authority", []string{"--ca", in("b.key"), in("b.req")}, 1, "not the key file of an authority"},
		{"the public file for the key", []string{"--ca", in("ca.key.pub"), in("b.req")}, 1, "has mode 0644"},
		{"an open key", []string{"--ca", in("open.key"), in("b.req")}, 1, "has mode 0640"},
		{"no file", nil, 2, "usage:"},
		{"two files", []string{in("b.req"), in("b.req")}, 2, "usage:"},
		{"unknown flag", []string{"--force", in("b.req")}, 2, "usage:"},
		{"days that are no number", []string{"--days", "x", in("b.req")}, 2, "usage:"},
		{"no name", []string{"--name", "", in("b.req")}, 2, "usage:"},
		{"no authority", []string{"--ca", "", in("b.req")}, 2, "usage:"},
	} {
		code, stdout, stderr := ctl(append(append([]string{"ca", "issue"}, good...), c.args...)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: %d, %q, %q", c.name, code, stdout, stderr)
		}
	}
}

func TestAuthorityNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "ca.key")
	must(t, "ca", "init", key)
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	// Neither when both are there nor when one has gone.
	for _, gone := range []string{"", key + ".pub", key} {
		if gone != "" {
			if err := os.Rename(gone, gone+".away"); err != nil {
				t.Fatal(err)
			}
		}
		if code, stdout, stderr := ctl("ca", "init", key); code != 1 || stdout != "" || !strings.Contains(stderr, "file exists") {
			t.Errorf("without %q: %d, %q, %q", gone, code, stdout, stderr)
		}
		if gone != "" {
			if _, err := os.Stat(gone); err == nil {
				t.Errorf("%s was left behind by a failure", gone)
			}
			if err := os.Rename(gone+".away", gone); err != nil {
				t.Fatal(err)
			}
		}
	}
	if after, err := os.ReadFile(key); err != nil || string(after) != string(before) {
		t.Errorf("the key was touched: %v", err)
	}
	// An authority's key is no identity.
	if code, _, stderr := ctl("fingerprint", key); code != 1 || !strings.Contains(stderr, "not a key file") {
		t.Errorf("%d, %q", code, stderr)
	}
}

func TestShowRefuses(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "a.key")
	must(t, "keygen", key)
	for file, want := range map[string]string{
		key:                                    key + ": not a certificate, a request or an authority's public file, or a damaged one\n",
		filepath.Join(dir, "none"):             "no such file",
		dir:                                    "is not a regular file",
		write(t, filepath.Join(dir, "x"), "x"): "not a certificate",
	} {
		if code, stdout, stderr := ctl("ca", "show", file); code != 1 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %q, %q", file, code, stdout, stderr)
		}
	}
}

// TestCheckCertificate: check looks into every file that a configuration names.
func TestCheckCertificate(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, "ca", "init", in("ca.key"))
	own := strings.TrimSpace(must(t, "keygen", in("a.key")))
	write(t, in("a.req"), must(t, "ca", "request", in("a.key")))
	issue := func(days string) {
		write(t, in("a.cert"), must(t, "ca", "issue", "--ca", in("ca.key"), "--name", "site-a", "--days", days, "--routes", "10.1.0.0/16", in("a.req")))
	}
	issue("30")
	file := write(t, in("a.yaml"), `gateway:
  name: site-a
  identity: `+in("a.key")+`
  certificate: `+in("a.cert")+`
  inside: { interface: eth1 }
  outside: { interface: eth2, address: 192.0.2.1 }
qzmq:
  authorities: [`+in("ca.key.pub")+`]
links:
  - name: b
    peer_name: site-b
    routes: [10.2.0.0/24]
`)
	fine := file + ": fine; gateway site-a is " + own + ", links: 1\n"
	if got := must(t, "check", file); got != fine {
		t.Errorf("%q", got)
	}
	issue("6")
	if code, stdout, stderr := ctl("check", file); code != 0 || stdout != fine || !strings.HasPrefix(stderr, "warning: the certificate of site-a expires on ") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	if err := os.Chmod(in("ca.key.pub"), 0o666); err != nil {
		t.Fatal(err)
	}
	want := file + ":8: qzmq.authorities[0]: " + in("ca.key.pub") + " has mode 0666, which lets others than its owner decide who is trusted; it must be 0644 or less\n"
	if code, stdout, stderr := ctl("check", file); code != 1 || stdout != "" || stderr != want {
		t.Errorf("%d, %q, %q\nwant %q", code, stdout, stderr, want)
	}
}

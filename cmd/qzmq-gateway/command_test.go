package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gatewayCommand runs the program to its end, outside of any testbed: only for
// what must not touch the network.
func (b *testbed) gatewayCommand(args ...string) (code int, stdout, stderr string) {
	b.t.Helper()
	cmd := exec.CommandContext(b.ctx, "qzmq-gateway", args...)
	cmd.Env = b.environment(siteA)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestCheck(t *testing.T) {
	b := newSites(t)
	path := b.configure(siteA)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := b.gatewayCommand("--config", path, "--check"); code != 0 || !strings.Contains(stdout, path) || stderr != "" {
		t.Errorf("the configuration that we ship: exit code %d\n%s%s", code, stdout, stderr)
	}
	for _, tc := range []struct{ name, from, to, key string }{
		{"unknown key", "  name: site-a", "  name: site-a\n  colour: blue", "gateway.colour"},
		{"bad address", "address: 192.0.2.1", "address: 192.0.2.256", "gateway.outside.address"},
		{"no interface", "inside: { interface: eth1 }", "inside: {}", "gateway.inside.interface"},
		{"bad port", "port: 5580", "port: 65536", "gateway.outside.port"},
		{"bad route", "routes: [10.2.0.0/24", "routes: [10.2.0.0/33", "links[0].routes[0]"},
		{"own key as peer", "${QZMQ_PEER}", b.peers["a"], "links[0].peer"},
		{"variable not set", "${QZMQ_PEER}", "${QZMQ_NOWHERE}", "links[0].peer"},
		{"no such key file", "${QZMQ_IDENTITY}", b.dir + "/none.key", "gateway.identity"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			broken := strings.Replace(string(good), tc.from, tc.to, 1)
			if broken == string(good) {
				t.Fatalf("%q is not in the configuration that we ship", tc.from)
			}
			file := b.dir + "/broken.yaml"
			if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := b.gatewayCommand("--config", file, "--check")
			want := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(file) + `:[0-9]+: ` + regexp.QuoteMeta(tc.key) + ": .+")
			if code != 1 || stdout != "" || !want.MatchString(stderr) {
				t.Errorf("exit code %d, not 1 with file:line: %s:\n%s%s", code, tc.key, stdout, stderr)
			}
		})
	}
	t.Run("key that others can read", func(t *testing.T) {
		if err := os.Chmod(b.key("a"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"--config", path, "--check"}, {"--config", path}} {
			code, _, stderr := b.gatewayCommand(args...)
			if code != 1 || !strings.Contains(stderr, "gateway.identity") || !strings.Contains(stderr, "0644") {
				t.Errorf("%v: exit code %d\n%s", args, code, stderr)
			}
		}
	})
	t.Run("no such file", func(t *testing.T) {
		if code, _, stderr := b.gatewayCommand("--config", b.dir+"/none.yaml", "--check"); code != 1 || !strings.Contains(stderr, "none.yaml") {
			t.Errorf("exit code %d\n%s", code, stderr)
		}
	})
}

func TestUsage(t *testing.T) {
	b := newSites(t)
	path := b.configure(siteA)
	for _, args := range [][]string{nil, {"--check"}, {"--config"}, {"--colour"}, {"--config", path, "--check", "more"}, {"check", path},
		{"--config", path, "--keylog"}, {"--config", path, "--check", "--keylog", b.dir + "/keys"}, {"--keylog", b.dir + "/keys"}} {
		if code, stdout, stderr := b.gatewayCommand(args...); code != 2 || stdout != "" || stderr == "" {
			t.Errorf("%q: exit code %d, not 2\n%s%s", args, code, stdout, stderr)
		}
	}
}

// TestKeyLogIsRefused: what has to be kept is not written to, and nothing starts.
func TestKeyLogIsRefused(t *testing.T) {
	b := newSites(t)
	path := b.configure(siteA)
	key, err := os.ReadFile(b.key("a"))
	if err != nil {
		t.Fatal(err)
	}
	open := b.dir + "/open"
	if err := os.WriteFile(open, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{b.key("a"): "holds something else", open: "mode 0644", b.dir: "is a directory"} {
		if code, stdout, stderr := b.gatewayCommand("--config", path, "--keylog", file); code != 1 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d\n%s%s", file, code, stdout, stderr)
		}
	}
	if after, err := os.ReadFile(b.key("a")); err != nil || !bytes.Equal(after, key) {
		t.Errorf("the key file has changed, or %v", err)
	}
	if _, err := os.Stat(b.dir + "/keys"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key log was made by a command that did not run: %v", err)
	}
}

// guard gives the policy rules of a gateway.
func (b *testbed) guard(s site) string {
	b.t.Helper()
	return b.run(s.gateway, "ip", "rule", "show") + b.run(s.gateway, "ip", "-6", "rule", "show")
}

// guarded says whether the routes to the far hosts are blocked in the kernel.
func (b *testbed) guarded(s site) bool {
	b.t.Helper()
	rules := b.guard(s)
	prefix4, prefix6 := "10.2.0.0/24", "fd00:2::/64"
	if s.name == "b" {
		prefix4, prefix6 = "10.1.0.0/24", "fd00:1::/64"
	}
	return regexp.MustCompile("to "+prefix4+" iif eth1 blackhole").MatchString(rules) &&
		regexp.MustCompile("to "+prefix6+" iif eth1 blackhole").MatchString(rules)
}

// TestSecondGateway: one that finds its interfaces taken says so, ends, and
// leaves the first one alone, its guard included.
func TestSecondGateway(t *testing.T) {
	b := newTestbed(t, "")
	a, z := b.linked()
	if !b.guarded(siteA) {
		t.Fatal("gateway a has no guard")
	}
	shaken, rules := a.metrics().handshakes(), b.guard(siteA)
	path := b.configure(siteA)
	for _, tc := range []struct{ name, from, to string }{
		{"same configuration", "", ""},
		{"other routes", `[10.2.0.0/24, "fd00:2::/64"]`, "[10.9.0.0/24]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file := b.dir + "/second.yaml"
			if err := os.WriteFile(file, bytes.Replace(text, []byte(tc.from), []byte(tc.to), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			second := b.gatewayOn(siteA, file, "QZMQ_GATEWAY_ADMIN_LISTEN=127.0.0.1:9581", "QZMQ_GATEWAY_OUTSIDE_PORT=5581")
			b.within(5*time.Second, "the second gateway gives up", second.ended)
			if code := second.cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("the second gateway ended with code %d, not 1", code)
			}
			if said := second.out.lines("gateway failed", "eth1"); len(said) != 1 || len(second.out.lines("XDP")) == 0 {
				t.Errorf("the second gateway does not say what is wrong:\n%s", &second.out)
			}
			now := b.guard(siteA)
			for rule := range strings.Lines(rules) {
				if !strings.Contains(now, rule) {
					t.Errorf("the second gateway has taken this out of the guard of the first: %s", rule)
				}
			}
			if !b.xdp(siteA, "eth1") || !b.xdp(siteA, "eth2") {
				t.Error("the second gateway has taken the first one's XDP programs away")
			}
			if !b.ping("host-a", hostB4) || !b.ping("host-b", hostA6) {
				t.Error("no ping any more")
			}
			if n := a.metrics().handshakes(); n != shaken || !a.ready() || !z.ready() {
				t.Errorf("the link has suffered: %.0f handshakes", n-shaken)
			}
		})
	}
}

// TestShutdown: a gateway that is told to end does so in good order, and what it
// has protected stays off the wire.
func TestShutdown(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			b := newTestbed(t, "")
			a, z := b.linked()
			leaks := b.onWire((*frame).inClear)
			pings := b.crossfire()
			b.answered(pings, 5*time.Second, "traffic flows")
			a.signal(s)
			took := b.within(3*time.Second, "the gateway ends", a.ended)
			if code := a.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			t.Logf("ended after %v", took.Round(time.Millisecond))
			b.within(time.Second, "the peer takes note of the goodbye", func() bool {
				return len(z.out.lines("control channel ended", "the peer ended the session: close")) == 1
			})
			if b.xdp(siteA, "eth1") || b.xdp(siteA, "eth2") {
				t.Error("an XDP program is still attached")
			}
			if !b.guarded(siteA) {
				t.Errorf("the guard is gone:\n%s", b.guard(siteA))
			}
			if b.ping("host-a", hostB4) || b.ping("host-b", hostA4) {
				t.Error("hosts reach each other without gateway a")
			}
			for _, f := range leaks.all() {
				t.Errorf("in clear on the wire: %v", f)
			}
			z.running()
		})
	}
}

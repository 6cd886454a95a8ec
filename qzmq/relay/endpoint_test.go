package relay

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseEndpoint(t *testing.T) {
	for _, tc := range []struct {
		url  string
		want Endpoint
	}{
		{"tcp://127.0.0.1:5555", Endpoint{false, "tcp", "127.0.0.1:5555"}},
		{"tcp://*:5555", Endpoint{false, "tcp", ":5555"}},
		{"tcp://orders.example:5555", Endpoint{false, "tcp", "orders.example:5555"}},
		{"qzmq+tcp://[2001:db8::1]:5555", Endpoint{true, "tcp", "[2001:db8::1]:5555"}},
		{"ipc:///tmp/orders", Endpoint{false, "unix", "/tmp/orders"}},
		{"ipc://orders", Endpoint{false, "unix", "orders"}},
		{"ipc://@orders", Endpoint{false, "unix", "@orders"}},
		{"qzmq+ipc:///tmp/orders", Endpoint{true, "unix", "/tmp/orders"}},
	} {
		got, err := ParseEndpoint(tc.url)
		if err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v", tc.url, got, err)
		}
		if got.String() != tc.url {
			t.Errorf("%s is written %s", tc.url, got)
		}
	}
	for _, url := range []string{
		"", "5555", "127.0.0.1:5555", "tcp:127.0.0.1:5555", "tcp://", "tcp://127.0.0.1", "tcp://:5555", "tcp://127.0.0.1:",
		"tcp://127.0.0.1:http", "tcp://127.0.0.1:65536", "tcp://::1:5555", "udp://127.0.0.1:5555", "inproc://a",
		"qzmq://127.0.0.1:5555", "qzmq+qzmq+tcp://127.0.0.1:5555", "ipc://", "ipc://@", "ipc://a\x00b", "ipc://" + strings.Repeat("a", 108),
	} {
		if e, err := ParseEndpoint(url); err == nil {
			t.Errorf("%q is %+v", url, e)
		}
	}
}

// A socket that a dead process has left is taken over; one in use is not, and neither
// is any other file.
func TestStaleSocket(t *testing.T) {
	dir := t.TempDir()
	stale, used, file := filepath.Join(dir, "stale"), filepath.Join(dir, "used"), filepath.Join(dir, "file")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	other, err := net.Listen("unix", used)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{stale: "", used: "in use", file: "is no socket", filepath.Join(dir, "new"): ""} {
		l, err := Endpoint{Network: "unix", Address: path}.listen(t.Context())
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			l.Close()
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if _, err := net.Dial("unix", used); err != nil {
		t.Errorf("the socket that was in use: %v", err)
	}
}

// The file of a socket has the mode that the umask leaves, as documented.
func TestUmaskHasTheSay(t *testing.T) {
	c := newChain(t, "ipc")
	path := strings.TrimPrefix(c.front, "ipc://")
	for umask, mode := range map[string]os.FileMode{"022": 0o755, "007": 0o770, "077": 0o700, "0": 0o777} {
		c.near.kill()
		c.near = spawn(t, exec.Command("/bin/sh", append([]string{"-c", "umask " + umask + `; exec qzmqctl "$@"`, "sh"}, c.nearFlags...)...))
		c.near.started()
		if info, err := os.Lstat(path); err != nil || info.Mode() != os.ModeSocket|mode {
			t.Errorf("umask %s: %v, %v", umask, info.Mode(), err)
		}
	}
}

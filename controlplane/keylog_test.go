package controlplane

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestKeyLogOfLink: the side that was asked writes every kind of secret; the other has
// no file to write to. Every opening is warned of, and what is there is kept.
func TestKeyLogOfLink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	var before string
	for run := range 2 {
		a, b := pair(t)
		keyLog, err := OpenKeyLog(path, a.peering.log)
		if err != nil {
			t.Fatal(err)
		}
		a.peering.keyLog = keyLog
		a.begin(a.linkTo(b, true))
		b.begin(b.linkTo(a, false))
		up(t, a, b)
		exchange(t, a, b)
		a.stop()
		b.stop()
		if err := keyLog.Close(); err != nil {
			t.Fatal(err)
		}
		if a.log.count("level=WARN") == 0 || a.log.count("KEY LOG: THE KEYS OF ALL TRAFFIC") != 1 {
			t.Errorf("in run %d the log does not warn once", run)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		added, kept := strings.CutPrefix(string(text), before)
		if !kept {
			t.Fatal("what was there is gone")
		}
		for _, label := range []string{"QZMQ_INITIATOR_HANDSHAKE_SECRET", "QZMQ_RESPONDER_HANDSHAKE_SECRET", "QZMQ_INITIATOR_TRAFFIC_SECRET_0",
			"QZMQ_RESPONDER_TRAFFIC_SECRET_0", "QZMQ_INITIATOR_DATA_SECRET_0", "QZMQ_RESPONDER_DATA_SECRET_0"} {
			if strings.Count(added, label+" ") != 1 {
				t.Errorf("run %d has not added one %s:\n%s", run, label, added)
			}
		}
		if strings.Count(string(text), keyLogHead) != 1 {
			t.Error("the head of the file is not there once")
		}
		if b.log.count("KEY LOG") != 0 || b.peering.keyLog != nil {
			t.Error("the peer logs keys, and nobody asked it to")
		}
		before = string(text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
}

// TestKeyLogRefuses: nothing but a key log of one's own is written to.
func TestKeyLogRefuses(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	good := filepath.Join(dir, "good")
	f, err := OpenKeyLog(good, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		prepare func(t *testing.T, path string) error
		want    string
	}{
		{"group may read", keyFile([]byte(keyLogHead), 0o640), "it has mode 0640 and must have 0600"},
		{"others may write", keyFile(nil, 0o602), "it has mode 0602 and must have 0600"},
		{"something else", keyFile([]byte(strings.Repeat("x", 2*len(keyLogHead))), 0o600), "it holds something else, which is left alone"},
		{"something short", keyFile([]byte("x"), 0o600), "it holds something else, which is left alone"},
		{"of another user", func(t *testing.T, path string) error {
			return errors.Join(keyFile([]byte(keyLogHead), 0o600)(t, path), os.Chown(path, 65534, 65534))
		}, "it belongs to another user"},
		{"symbolic link", func(t *testing.T, path string) error { return os.Symlink(good, path) }, "too many levels of symbolic links"},
		{"directory", func(t *testing.T, path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		{"pipe", func(t *testing.T, path string) error { return syscall.Mkfifo(path, 0o600) }, "it is not a regular file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(tc.name, " ", "-"))
			if err := tc.prepare(t, path); err != nil {
				t.Fatal(err)
			}
			before := content(t, path)
			var warned bytes.Buffer
			f, err := OpenKeyLog(path, slog.New(slog.NewTextHandler(&warned, nil)))
			if f != nil || err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if warned.Len() > 0 {
				t.Error("it was warned of a file that was not opened")
			}
			if after := content(t, path); after != before {
				t.Errorf("the file now holds %q", after)
			}
		})
	}
	if _, err := OpenKeyLog(filepath.Join(dir, "none", "keys"), log); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that does not exist: %v", err)
	}
}

// content is what a regular file holds, or the one behind a link; nothing for others.
func content(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !info.Mode().IsRegular() {
		return ""
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFullKeyLogIsReported, once, and costs nobody the connection.
func TestFullKeyLogIsReported(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	a, b := pair(t)
	a.peering.keyLog = &keyLogFile{file: full, log: a.peering.log}
	a.begin(a.linkTo(b, true))
	b.begin(b.linkTo(a, false))
	up(t, a, b)
	exchange(t, a, b)
	if n := a.log.count("the key log is not complete"); n != 1 {
		t.Errorf("it was reported %d times", n)
	}
}

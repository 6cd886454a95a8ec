package controlplane

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/qzmq/gateway/qzmq/handshake"
)

func TestIdentitySurvivesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	made, err := CreateIdentity(path, handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("the key file has mode %v, want 0600", info.Mode())
	}
	read, err := ReadIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	if read.Fingerprint() != made.Fingerprint() {
		t.Errorf("read %v, made %v", read.Fingerprint(), made.Fingerprint())
	}
	other, err := CreateIdentity(path+"2", handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	if other.Fingerprint() == made.Fingerprint() {
		t.Error("two new identities are the same")
	}
}

func TestReadIdentityRefuses(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.key")
	if _, err := CreateIdentity(good, handshake.MLDSA44); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		prepare func(t *testing.T, path string) error
		want    string // after the path
	}{
		{"group may read", keyFile(key, 0o640), " has mode 0640, which lets others than its owner at the key; it must be 0600"},
		{"all may read", keyFile(key, 0o644), " has mode 0644, which lets others than its owner at the key; it must be 0600"},
		{"group may write", keyFile(key, 0o620), " has mode 0620, which lets others than its owner at the key; it must be 0600"},
		{"others may enter", keyFile(key, 0o601), " has mode 0601, which lets others than its owner at the key; it must be 0600"},
		{"directory", func(t *testing.T, path string) error { return os.Mkdir(path, 0o700) }, " is not a regular file"},
		{"pipe", func(t *testing.T, path string) error { return syscall.Mkfifo(path, 0o600) }, " is not a regular file"},
		{"too long", keyFile(make([]byte, mostKeyFile+1), 0o600), " is too long for a key file"},
		{"link to a readable key", func(t *testing.T, path string) error {
			if err := keyFile(key, 0o644)(t, path+".target"); err != nil {
				return err
			}
			return os.Symlink(path+".target", path)
		}, " has mode 0644, which lets others than its owner at the key; it must be 0600"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(tc.name, " ", "-"))
			if err := tc.prepare(t, path); err != nil {
				t.Fatal(err)
			}
			id, err := ReadIdentity(path)
			if id != nil || err == nil || err.Error() != path+tc.want {
				t.Errorf("got %v\nwant %s%s", err, path, tc.want)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		if _, err := ReadIdentity(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not a key", func(t *testing.T) {
		path := filepath.Join(dir, "text")
		if err := keyFile([]byte("nonsense\n"), 0o600)(t, path); err != nil {
			t.Fatal(err)
		}
		id, err := ReadIdentity(path)
		if id != nil || err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cut short", func(t *testing.T) {
		path := filepath.Join(dir, "cut")
		if err := keyFile(key[:len(key)/2], 0o600)(t, path); err != nil {
			t.Fatal(err)
		}
		if id, err := ReadIdentity(path); id != nil || err == nil {
			t.Error("half a key file was read")
		}
	})
	t.Run("owner may only read", func(t *testing.T) {
		path := filepath.Join(dir, "readonly")
		if err := keyFile(key, 0o400)(t, path); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadIdentity(path); err != nil {
			t.Errorf("mode 0400 was refused: %v", err)
		}
	})
}

// keyFile makes a file with exactly this mode, whatever the umask.
func keyFile(content []byte, mode fs.FileMode) func(*testing.T, string) error {
	return func(_ *testing.T, path string) error {
		return errors.Join(os.WriteFile(path, content, mode), os.Chmod(path, mode))
	}
}

func TestCreateIdentityNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.key")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, dangling} {
		if _, err := CreateIdentity(p, handshake.MLDSA44); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: got %v, want that it exists", p, err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file now holds %q, %v", b, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a symbolic link was followed")
	}
}

func TestCreateIdentityWhereNothingCanBeWritten(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.key")
	err := asNobody(t, func() error {
		_, err := CreateIdentity(path, handshake.MLDSA44)
		return err
	})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("in a directory that is not ours: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was left")
	}
	if _, err := CreateIdentity(filepath.Join(dir, "none", "a.key"), handshake.MLDSA44); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that does not exist: %v", err)
	}
}

// asNobody runs f without root's right to write anywhere. The thread that gives
// up the right is never used again: its goroutine ends with it locked.
func asNobody(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			const nobody = 65534
			if err := syscall.Setfsuid(nobody); err != nil {
				done <- err
				return
			}
		}
		done <- f()
	}()
	return <-done
}

// TestFailedWriteLeavesNoFile: the disk may fill up half way through a key.
func TestFailedWriteLeavesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	full := errors.New("disk full")
	err := createKeyFile(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half a k"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("the test writes elsewhere: %v", err)
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a key was left behind: %v", err)
	}
}

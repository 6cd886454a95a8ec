package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
)

// keyLogHead is the first line of every key log, and how one is told from a file that
// merely has the right mode, such as a key file.
const keyLogHead = "# qzmq key log: whoever has this file reads all that the gateway carries\n"

// OpenKeyLog opens the file into which the gateway is to write its keys (SPEC.md 2.12),
// and says so in the log every time. A file that is there is only ever appended to, and
// only if it is a key log of this user with mode 0600.
func OpenKeyLog(path string, log *slog.Logger) (io.WriteCloser, error) {
	const flags = os.O_RDWR | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the key log: %w", err)
	}
	if err := ownKeyLog(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s cannot be the key log: %w", path, err), f.Close())
	}
	log.Warn("KEY LOG: THE KEYS OF ALL TRAFFIC ARE WRITTEN TO A FILE. Whoever reads it reads everything. Run without --keylog unless you debug", "file", path)
	return &keyLogFile{file: f, log: log}, nil
}

// ownKeyLog looks at an open file, and begins it if it is empty.
func ownKeyLog(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Mode().Perm() != 0o600:
		return fmt.Errorf("it has mode %04o and must have 0600", info.Mode().Perm())
	case !ok || int(stat.Uid) != os.Geteuid():
		return errors.New("it belongs to another user")
	case info.Size() == 0:
		_, err := io.WriteString(f, keyLogHead)
		return err
	}
	head := make([]byte, len(keyLogHead))
	if _, err := f.ReadAt(head, 0); err != nil || !bytes.Equal(head, []byte(keyLogHead)) {
		return errors.New("it holds something else, which is left alone")
	}
	return nil
}

// keyLogFile takes whole lines from any goroutine. A handshake does not look at its
// errors, so it reports them itself, once.
type keyLogFile struct {
	file   *os.File
	log    *slog.Logger
	failed sync.Once
}

// Write implements [io.Writer].
func (k *keyLogFile) Write(line []byte) (int, error) {
	n, err := k.file.Write(line)
	if err != nil {
		k.failed.Do(func() { k.log.Error("the key log is not complete", "reason", err) })
	}
	return n, err
}

// Close implements [io.Closer].
func (k *keyLogFile) Close() error { return k.file.Close() }

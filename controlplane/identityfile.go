package controlplane

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// mostKeyFile is far more than the text of any identity, in bytes.
const mostKeyFile = 16 << 10

// ReadIdentity reads a key file. A file of which the group or others may do
// anything is refused: its key has to be taken for stolen.
func ReadIdentity(path string) (*handshake.Identity, error) {
	// The open file is examined rather than the path, so that what was checked
	// is what is read, also behind a symbolic link. O_NONBLOCK only keeps the
	// opening of a named pipe from waiting for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o, which lets others than its owner at the key; it must be 0600", path, mode)
	}
	if info.Size() > mostKeyFile {
		return nil, fmt.Errorf("%s is too long for a key file", path)
	}
	text := make([]byte, info.Size())
	defer clear(text)
	if _, err := io.ReadFull(f, text); err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	id, err := handshake.ParseKeyFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return id, nil
}

// CreateIdentity makes a new identity and writes it to a new file that only its
// owner can read. It never replaces a file: with the key, the name by which the
// peers know this gateway would be gone. On an error there is no file.
func CreateIdentity(path string) (*handshake.Identity, error) {
	id, err := handshake.GenerateIdentity()
	if err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	text := id.MarshalKeyFile()
	defer clear(text)
	err = createKeyFile(path, func(f io.Writer) error {
		_, err := f.Write(text)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("writing the key file: %w", err)
	}
	return id, nil
}

// createKeyFile makes a file with what write puts into it, on the disk when it
// returns, or no file.
func createKeyFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = syncDir(filepath.Dir(path)) // the name has to outlive a crash too
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

package controlplane

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// mostKeyFile is far more than the text of any identity, in bytes.
const mostKeyFile = 16 << 10

// ReadIdentity reads a key file. A file of which the group or others may do
// anything is refused: its key has to be taken for stolen.
func ReadIdentity(path string) (*handshake.Identity, error) {
	return readSecret(path, "the key", handshake.ParseKeyFile)
}

// readSecret reads a file that only its owner may touch. what is in it is for errors.
func readSecret[T any](path, what string, parse func([]byte) (T, error)) (secret T, err error) {
	text, err := readRegular(path, what+" file", mostKeyFile, func(mode fs.FileMode) error {
		if mode&0o077 != 0 {
			return fmt.Errorf("%s has mode %04o, which lets others than its owner at %s; it must be 0600", path, mode, what)
		}
		return nil
	})
	if err != nil {
		return secret, err
	}
	defer clear(text)
	if secret, err = parse(text); err != nil {
		return secret, fmt.Errorf("%s: %w", path, err)
	}
	return secret, nil
}

// readRegular reads a regular file of up to most bytes whose permissions are
// allowed. what names it in errors.
func readRegular(path, what string, most int64, allowed func(fs.FileMode) error) ([]byte, error) {
	// The open file is examined rather than the path, so that what was checked
	// is what is read, also behind a symbolic link. O_NONBLOCK only keeps the
	// opening of a named pipe from waiting for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := allowed(info.Mode().Perm()); err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s is too long for %s", path, strings.Replace(what, "the ", "a ", 1))
	}
	text := make([]byte, info.Size())
	if _, err := io.ReadFull(f, text); err != nil {
		clear(text)
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	return text, nil
}

// CreateIdentity makes a new identity of this algorithm and writes it to a new file
// that only its owner can read. It never replaces a file: with the key, the name by which the
// peers know this gateway would be gone. On an error there is no file.
func CreateIdentity(path string, alg handshake.Signature) (*handshake.Identity, error) {
	id, err := handshake.GenerateIdentityFor(alg)
	if err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	if err := createSecret(path, id.MarshalKeyFile()); err != nil {
		return nil, err
	}
	return id, nil
}

// createSecret writes a key file and wipes its text.
func createSecret(path string, text []byte) error {
	defer clear(text)
	err := createKeyFile(path, func(f io.Writer) error {
		_, err := f.Write(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing the key file: %w", err)
	}
	return nil
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

package qzmq

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Identity is a long-term signing key: who this program is.
type Identity = handshake.Identity

// Fingerprint names an identity; its text begins with "qz1".
type Fingerprint = handshake.Fingerprint

// ParseFingerprint reads a fingerprint's text.
func ParseFingerprint(s string) (Fingerprint, error) { return handshake.ParseFingerprint(s) }

// GenerateIdentity makes a new identity of the default suite's algorithm, ML-DSA-44.
func GenerateIdentity() (*Identity, error) { return handshake.GenerateIdentity() }

// GenerateIdentityFor makes a new identity of an algorithm.
func GenerateIdentityFor(s SignatureAlgorithm) (*Identity, error) {
	if s < 0 || int(s) >= len(signatures) {
		return nil, fmt.Errorf("%w: there is no signature algorithm %d", ErrInvalidOptions, int(s))
	}
	return handshake.GenerateIdentityFor(signatures[s].code)
}

// LoadIdentity reads a key file, as `qzmqctl keygen FILE` and SaveIdentity write it.
// One that others than its owner may read or write is refused.
func LoadIdentity(path string) (*Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("qzmq: reading the key file: %w", err)
	}
	defer f.Close()
	// The open file is examined, so that what was checked is what is read.
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("qzmq: reading the key file: %w", err)
	case !info.Mode().IsRegular() || info.Size() > mostKeyFile:
		return nil, fmt.Errorf("%w: %s is no key file", ErrInvalidOptions, path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w: %s has mode %04o, which lets others than its owner at the key; it must be 0600", ErrInvalidOptions, path, info.Mode().Perm())
	}
	text := make([]byte, info.Size())
	defer clear(text)
	if _, err := f.ReadAt(text, 0); err != nil {
		return nil, fmt.Errorf("qzmq: reading the key file: %w", err)
	}
	id, err := handshake.ParseKeyFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return id, nil
}

// mostKeyFile is more than any key file has.
const mostKeyFile = 4 << 10

// SaveIdentity writes a key file with mode 0600. A file that is there already is left
// alone, and an error.
func SaveIdentity(path string, id *Identity) error {
	text := id.MarshalKeyFile()
	defer clear(text)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("qzmq: %w", err)
	}
	if err != nil {
		return fmt.Errorf("qzmq: writing the key file: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("qzmq: writing the key file: %w", err)
	}
	return nil
}

// Peer is who is at the other end of a connection.
type Peer struct {
	// Fingerprint is the identity that the peer has proved, or zero where nothing is
	// proved: inproc, and under Options.InsecurePlaintext.
	Fingerprint Fingerprint
	// Name is what a trusted authority calls the peer; empty without a certificate.
	Name string
	// Address is where the peer is, or called from.
	Address string
	// RoutingID is what the peer calls itself. Whoever may in may call himself anything.
	RoutingID []byte
	// Type is what the peer's socket is.
	Type SocketType

	assigned bool // RoutingID is ours
}

// Authenticated says whether the peer has proved who it is.
func (p *Peer) Authenticated() bool { return !p.Fingerprint.IsZero() }

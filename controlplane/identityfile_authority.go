package controlplane

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// publicSuffix is what an authority's public file has behind the path of its key.
const publicSuffix = ".pub"

// CreateAuthority makes a new authority: its key in a new file that only its owner
// can read, and its public half beside it in a file that ends in .pub. It never
// replaces a file. On an error there is neither.
func CreateAuthority(path string) (*handshake.Authority, error) {
	key, err := handshake.GenerateAuthority(handshake.DefaultSuite().Sig)
	if err != nil {
		return nil, fmt.Errorf("making an authority: %w", err)
	}
	authority := key.Authority()
	// The public half first: a key without it would have to be thrown away.
	public := path + publicSuffix
	if err := createPublic(public, authority.MarshalFile()); err != nil {
		return nil, fmt.Errorf("writing the public file: %w", err)
	}
	if err := createSecret(path, key.MarshalKeyFile()); err != nil {
		os.Remove(public)
		return nil, err
	}
	return authority, nil
}

func createPublic(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}

// ReadAuthorityKey reads an authority's key file, under the rules of ReadIdentity.
func ReadAuthorityKey(path string) (*handshake.AuthorityKey, error) {
	return readSecret(path, "the key", handshake.ParseAuthorityKeyFile)
}

// ReadAuthority reads the public file of an authority. One that others than its
// owner may write is refused: whoever can change it can name anybody.
func ReadAuthority(path string) (*handshake.Authority, error) {
	text, err := readRegular(path, "the authority's file", handshake.MaxFile, ownersAlone(path))
	if err != nil {
		return nil, err
	}
	a, err := handshake.ParseAuthorityFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// ownersAlone refuses files that others may write.
func ownersAlone(path string) func(fs.FileMode) error {
	return func(mode fs.FileMode) error {
		if mode&0o022 != 0 {
			return fmt.Errorf("%s has mode %04o, which lets others than its owner decide who is trusted; it must be 0644 or less", path, mode)
		}
		return nil
	}
}

func anyMode(fs.FileMode) error { return nil }

// ReadCertificate reads a certificate. Its signature is not looked at.
func ReadCertificate(path string) (*handshake.Certificate, error) {
	text, err := readRegular(path, "the certificate", handshake.MaxFile, anyMode)
	if err != nil {
		return nil, err
	}
	c, err := handshake.ParseCertificateFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ReadRequest reads the request for a certificate and checks that whoever made it
// holds the key.
func ReadRequest(path string) (*handshake.Request, error) {
	text, err := readRegular(path, "the request", handshake.MaxFile, anyMode)
	if err != nil {
		return nil, err
	}
	q, err := handshake.ParseRequestFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return q, nil
}

package handshake

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

// Knock is a secret that a listener gives to its callers (2.3). Without it nobody can
// find out that the listener is there, not even who knows its fingerprint. It does not
// change, and any number of handshakes may use it at once.
type Knock struct {
	hidden
	secret [knockLen]byte
}

const knockLen = 32

// GenerateKnock makes a new one.
func GenerateKnock() (*Knock, error) {
	k := &Knock{}
	if _, err := rand.Read(k.secret[:]); err != nil {
		return nil, fmt.Errorf("handshake: generate a knock: %w", err)
	}
	return k, nil
}

// A knock's file is two lines of text, the second one secret: a knock has no public
// half by which it could be named.
const (
	knockComment = "# qzmq knock\n"
	knockPrefix  = "qz-knock"
)

// ErrKnockFile reports bytes that are not a knock's file. It says nothing of them.
var ErrKnockFile = errors.New(`handshake: not a knock's file, or a damaged one: want the line "# qzmq knock", then one qz-knock1 line`)

// MarshalFile writes the knock's file. The result is secret; the caller writes it with
// mode 0600 and wipes it.
func (k *Knock) MarshalFile() []byte {
	return []byte(knockComment + bech32mText(knockPrefix, k.secret[:]) + "\n")
}

// ParseKnockFile reads what MarshalFile wrote and nothing else. The only error is
// ErrKnockFile.
func ParseKnockFile(b []byte) (*Knock, error) {
	line, ok := strings.CutPrefix(string(b), knockComment)
	line, ended := strings.CutSuffix(line, "\n")
	if !ok || !ended {
		return nil, ErrKnockFile
	}
	secret, err := bech32mBytes(knockPrefix, line, knockLen)
	if err != nil {
		return nil, ErrKnockFile
	}
	defer clear(secret)
	return &Knock{secret: [knockLen]byte(secret)}, nil
}

package handshake

import (
	"errors"
	"strings"
)

// A key file is two lines of text, the second one secret:
//
//	# qzmq identity qz1...
//	qz-secret-key1...
//
// The second line is bech32m of the algorithm's code and the seed. The seed is
// kept rather than the expanded key, because an expanded key can be malformed in
// ways that no reader notices.
const (
	keyFileComment = "# qzmq identity "
	keyFilePrefix  = "qz-secret-key"
)

// ErrKeyFile reports bytes that are not a key file. It says nothing of them.
var ErrKeyFile = errors.New("handshake: not a key file: a comment line with the fingerprint, then one qz-secret-key1 line")

// MarshalKeyFile writes the key file. The result is secret; the caller writes it
// with mode 0600 and wipes it.
func (i *Identity) MarshalKeyFile() []byte { return marshalSecret(keyFileComment, keyFilePrefix, i) }

// ParseKeyFile reads what MarshalKeyFile wrote and nothing else; the fingerprint
// in the comment must be that of the key. The only error is ErrKeyFile.
func ParseKeyFile(b []byte) (*Identity, error) {
	id := parseSecret(keyFileComment, keyFilePrefix, b)
	if id == nil {
		return nil, ErrKeyFile
	}
	return id, nil
}

func marshalSecret(comment, prefix string, i *Identity) []byte {
	secret := append([]byte{byte(i.alg)}, i.seed[:]...)
	defer clear(secret)
	return []byte(comment + i.fingerprint.String() + "\n" + bech32mText(prefix, secret) + "\n")
}

// parseSecret gives nil for anything but what marshalSecret wrote.
func parseSecret(wantComment, prefix string, b []byte) *Identity {
	comment, rest, ok := strings.Cut(string(b), "\n")
	line, end, ended := strings.Cut(rest, "\n")
	if !ok || !ended || end != "" {
		return nil
	}
	secret, err := bech32mBytes(prefix, line, 1+seedLen)
	if err != nil {
		return nil
	}
	defer clear(secret)
	id, err := newIdentity(Signature(secret[0]), [seedLen]byte(secret[1:]))
	if err != nil || comment != wantComment+id.fingerprint.String() {
		return nil
	}
	return id
}

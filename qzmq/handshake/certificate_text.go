package handshake

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// Authorities, requests and certificates are kept and sent as text, like key files
// but not secret:
//
//	# qzmq certificate site-b qz1...
//	AQID...                            base64 of the binary form, 64 characters a line
//	qz-certificate1...                 bech32m of the SHA-256 of the binary form
//
// What stands in the comment follows from the content, and the last line finds
// every damage, so a file has one text; a reader takes that and nothing else.
const (
	kindAuthority   = "authority"
	kindRequest     = "request"
	kindCertificate = "certificate"

	textColumns = 64
)

// MaxFile is more than the length in bytes of any of these files.
const MaxFile = 32 << 10

// Errors of text files. They say nothing of the content.
var (
	ErrAuthorityFile   = errors.New("handshake: not an authority's public file, or a damaged one")
	ErrRequestFile     = errors.New("handshake: not a certificate request, or a damaged one")
	ErrCertificateFile = errors.New("handshake: not a certificate, or a damaged one")
)

func marshalFile(kind, about string, content []byte) []byte {
	var b strings.Builder
	b.WriteString("# qzmq " + kind + " " + about + "\n")
	text := base64.StdEncoding.EncodeToString(content)
	for len(text) > textColumns {
		b.WriteString(text[:textColumns] + "\n")
		text = text[textColumns:]
	}
	sum := sha256.Sum256(content)
	b.WriteString(text + "\n" + bech32mText("qz-"+kind, sum[:]) + "\n")
	return []byte(b.String())
}

// parseFile gives the content of a file whose sum is right, nil for any other. The
// caller checks that marshalling gives the same file again.
func parseFile(kind string, file []byte) []byte {
	lines := strings.Split(string(file), "\n")
	if len(file) > MaxFile || len(lines) < 4 {
		return nil
	}
	// The comment, the content, the sum, and nothing after the last newline.
	content, err := base64.StdEncoding.DecodeString(strings.Join(lines[1:len(lines)-2], ""))
	if err != nil {
		return nil
	}
	want, err := bech32mBytes("qz-"+kind, lines[len(lines)-2], sha256.Size)
	if sum := sha256.Sum256(content); err != nil || !bytes.Equal(want, sum[:]) {
		return nil
	}
	return content
}

// MarshalFile writes the public file of an authority.
func (a *Authority) MarshalFile() []byte {
	return marshalFile(kindAuthority, a.fingerprint.String(), a.Marshal())
}

// ParseAuthorityFile reads what MarshalFile wrote and nothing else. The only error
// is ErrAuthorityFile.
func ParseAuthorityFile(file []byte) (*Authority, error) {
	a, err := ParseAuthority(parseFile(kindAuthority, file))
	if err != nil || !bytes.Equal(a.MarshalFile(), file) {
		return nil, ErrAuthorityFile
	}
	return a, nil
}

// MarshalFile writes the request's file.
func (q *Request) MarshalFile() []byte {
	return marshalFile(kindRequest, q.Fingerprint().String(), q.Marshal())
}

// ParseRequestFile reads what MarshalFile wrote and nothing else, and checks the
// proof. The only errors are ErrRequestFile and ErrPossession.
func ParseRequestFile(file []byte) (*Request, error) {
	q, err := ParseRequest(parseFile(kindRequest, file))
	if errors.Is(err, ErrPossession) {
		return nil, err
	}
	if err != nil || !bytes.Equal(q.MarshalFile(), file) {
		return nil, ErrRequestFile
	}
	return q, nil
}

// MarshalFile writes the certificate's file.
func (c *Certificate) MarshalFile() []byte {
	return marshalFile(kindCertificate, c.Name+" "+c.Fingerprint().String(), c.Marshal())
}

// ParseCertificateFile reads what MarshalFile wrote and nothing else. It does not
// look at the signature. The only error is ErrCertificateFile.
func ParseCertificateFile(file []byte) (*Certificate, error) {
	c, err := ParseCertificate(parseFile(kindCertificate, file))
	if err != nil || !bytes.Equal(c.MarshalFile(), file) {
		return nil, ErrCertificateFile
	}
	return c, nil
}

// The key file of an authority is that of an identity under other names:
//
//	# qzmq authority key qz1...
//	qz-authority-key1...
const (
	authorityFileComment = "# qzmq authority key "
	authorityFilePrefix  = "qz-authority-key"
)

// ErrAuthorityKeyFile reports bytes that are not an authority's key file. It says
// nothing of them.
var ErrAuthorityKeyFile = errors.New("handshake: not the key file of an authority: a comment line with the fingerprint, then one qz-authority-key1 line")

// MarshalKeyFile writes the key file. The result is secret; the caller writes it
// with mode 0600 and wipes it.
func (k *AuthorityKey) MarshalKeyFile() []byte {
	return marshalSecret(authorityFileComment, authorityFilePrefix, k.key)
}

// ParseAuthorityKeyFile reads what MarshalKeyFile wrote and nothing else. The only
// error is ErrAuthorityKeyFile.
func ParseAuthorityKeyFile(b []byte) (*AuthorityKey, error) {
	key := parseSecret(authorityFileComment, authorityFilePrefix, b)
	if key == nil {
		return nil, ErrAuthorityKeyFile
	}
	return &AuthorityKey{key: key}, nil
}

package handshake

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// A certificate is one statement of an authority about one key: its name, what it
// may do, what networks may lie behind it, and until when. It is identity form 1
// of the sealed flights. All integers are big endian:
//
//	version 1 | serial 16 | subject: algorithm 1, public key
//	| name: length 1, text | roles 1 | routes: count 1, {family 1, bits 1, address 4 or 16}
//	| not before 8 | not after 8 | issuer: algorithm 1, fingerprint 32 | signature
//
// The signature is the issuer's, over signedUnder("QZMQ1 certificate", SHA-256 of
// everything before it). Every length follows from what stands before it; routes
// are masked and strictly ascending, and nothing is optional, so that one
// certificate has one encoding. The serial is random and comes first: who asks
// for a certificate cannot choose what is hashed.
//
// # Why not X.509
//
// Nobody who would read it can. Go 1.26 has no ML-DSA in crypto/x509, OpenSSL has
// it from 3.5 on and Debian 12 ships 3.0, and neither knows the composite of ML-DSA
// and Ed25519 (RFC 9881 has ML-DSA alone). The two things that a link asks of a
// certificate, roles by purpose and routes, would be private extensions that no
// tool checks. And the price is the largest parser that strangers can reach in
// most products, for an encoding that lets one value be written in many ways. This
// format has no chains, no extensions and no revocation lists: certificates are
// short-lived, and rotation of a session is a full handshake, which looks at the
// date again. When the tools can read ML-DSA, X.509 can be identity form 2.
//
//	certificate.go            the format
//	certificate_roles.go      roles and routes: what is allowed
//	certificate_request.go    the holder of a key asks for one
//	certificate_authority.go  an authority issues
//	certificate_check.go      a peer's certificate is judged
//	certificate_silence.go    calling somebody known only by name
//	certificate_text.go       all of these as text files

const (
	certificateVersion = 1
	serialLen          = 16

	// MaxName is the length in bytes of the longest name: that of a DNS label.
	MaxName = 63
	// MaxRoutes bounds the routes of one certificate.
	MaxRoutes = 64

	// latest is the last second of the year 9999, the last that every tool prints.
	latest = 253402300799
)

// DefaultValidity is for how long certificates are made unless told otherwise.
const DefaultValidity = 30 * 24 * time.Hour

// WarnBefore is how long before its end a certificate is to be complained about.
const WarnBefore = 7 * 24 * time.Hour

// Certificate is what an authority says of a key. It is a plain value and never
// secret; having one proves nothing, neither that it is genuine, which Check says,
// nor that whoever sent it holds the key.
type Certificate struct {
	Serial    [serialLen]byte
	Name      string // 1..MaxName of a-z, 0-9 and -
	Roles     Roles
	Routes    []netip.Prefix // masked; what may lie behind the subject, none if empty
	NotBefore time.Time      // whole seconds, UTC
	NotAfter  time.Time      // the last second in which it holds
	Issuer    Fingerprint

	alg       Signature // the subject's
	public    []byte
	issuerAlg Signature
	signature []byte
}

// Fingerprint names the subject: that of its key, whoever certified it.
func (c *Certificate) Fingerprint() Fingerprint { return newFingerprint(c.alg, c.public) }

// Algorithm is what the subject signs with.
func (c *Certificate) Algorithm() Signature { return c.alg }

// IssuerAlgorithm is what the issuer signed with.
func (c *Certificate) IssuerAlgorithm() Signature { return c.issuerAlg }

// Marshal writes the certificate.
func (c *Certificate) Marshal() []byte { return append(c.unsigned(), c.signature...) }

// unsigned writes everything before the signature.
func (c *Certificate) unsigned() []byte {
	b := append([]byte{certificateVersion}, c.Serial[:]...)
	b = append(append(b, byte(c.alg)), c.public...)
	b = append(append(b, byte(len(c.Name))), c.Name...)
	b = append(b, byte(c.Roles), byte(len(c.Routes)))
	for _, r := range c.Routes {
		b = append(b, marshalRoute(r)...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(c.NotBefore.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.NotAfter.Unix()))
	b = append(b, byte(c.issuerAlg))
	return append(b, c.Issuer[:]...)
}

// digest is what the issuer signs.
func (c *Certificate) digest() []byte {
	d := sha256.Sum256(c.unsigned())
	return d[:]
}

// ParseCertificate reads what Marshal wrote and nothing else. It does not look at
// the signature. The only error is ErrCertificate.
func ParseCertificate(b []byte) (*Certificate, error) {
	in := cursor{rest: b}
	c := &Certificate{}
	v := in.u8()
	copy(c.Serial[:], in.take(serialLen))
	c.alg = Signature(in.u8())
	c.public = bytes.Clone(in.take(c.alg.publicLen()))
	c.Name = string(in.take(int(in.u8())))
	c.Roles = Roles(in.u8())
	c.Routes = takeRoutes(&in)
	c.NotBefore = takeTime(&in)
	c.NotAfter = takeTime(&in)
	c.issuerAlg = Signature(in.u8())
	copy(c.Issuer[:], in.take(len(c.Issuer)))
	c.signature = bytes.Clone(in.take(c.issuerAlg.signatureLen()))
	if !in.done() || v != certificateVersion || !c.alg.Valid() || !c.issuerAlg.Valid() || c.sound() != nil {
		return nil, ErrCertificate
	}
	return c, nil
}

// sound checks what an authority must not get wrong and a parser must not take.
func (c *Certificate) sound() error {
	switch {
	case !validName(c.Name):
		return errName
	case !c.Roles.valid():
		return errRoles
	case len(c.Routes) > MaxRoutes:
		return errRoutes
	case c.NotBefore.Unix() < 0 || c.NotAfter.Unix() > latest || !c.NotBefore.Before(c.NotAfter):
		return errValidity
	}
	for i, r := range c.Routes {
		if !r.IsValid() || r != r.Masked() || r.Addr().Is4In6() ||
			i > 0 && bytes.Compare(marshalRoute(c.Routes[i-1]), marshalRoute(r)) >= 0 {
			return errRoutes
		}
	}
	return nil
}

// ExpiresSoon says whether now is within WarnBefore of the end, or after it.
func (c *Certificate) ExpiresSoon(now time.Time) bool {
	return now.Add(WarnBefore).After(c.NotAfter)
}

// takeTime reads seconds since 1970. What is too large for a year that can be
// printed is bad.
func takeTime(in *cursor) time.Time {
	b := in.take(8)
	if b == nil {
		return time.Time{}
	}
	seconds := binary.BigEndian.Uint64(b)
	if seconds > latest {
		in.bad = true
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// validName says whether s can stand in a configuration, a metric and a log line
// without quotes.
func validName(s string) bool {
	return 0 < len(s) && len(s) <= MaxName && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	})
}

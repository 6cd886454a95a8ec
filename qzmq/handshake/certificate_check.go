package handshake

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The reasons for which a certificate does not do. ErrCertificate, in errors.go,
// is that it cannot be read.
var (
	ErrNoCertificate       error = &fault{"the peer shows no certificate, and only its name is known", AlertAccessDenied}
	ErrUnknownAuthority    error = &fault{"the certificate is of an authority that is not trusted here", AlertAccessDenied}
	ErrCertificateForged   error = &fault{"the certificate's signature is not its issuer's", AlertAccessDenied}
	ErrCertificateExpired  error = &fault{"the certificate has expired", AlertAccessDenied}
	ErrCertificateNotYet   error = &fault{"the certificate is not valid yet", AlertAccessDenied}
	ErrCertificateRole     error = &fault{"the certificate does not allow this role for this purpose", AlertAccessDenied}
	ErrCertificateName     error = &fault{"the certificate is of another name", AlertAccessDenied}
	ErrCertificateOfOthers error = &fault{"the certificate is for another key", AlertAccessDenied}
	// ErrHalfKey reports a key that is, or has as its half, a key of the issuer or
	// of this side: a certificate that signs itself is the plainest case.
	ErrHalfKey error = &fault{"the certified key has a half in common with another key", AlertAccessDenied}
)

// Errors of files and grants.
var (
	ErrRequest    = errors.New("handshake: the request does not follow its layout")
	ErrPossession = errors.New("handshake: the request does not prove that its sender holds the key")
	ErrAuthority  = errors.New("handshake: the authority's key does not follow its layout")

	errName     = fmt.Errorf("handshake: a certificate's name is 1 to %d of a-z, 0-9 and -", MaxName)
	errRoles    = errors.New("handshake: roles are some of link, zmtp, link-initiator, link-responder, zmtp-initiator, zmtp-responder")
	errRoutes   = fmt.Errorf("handshake: a certificate has at most %d routes, each a prefix", MaxRoutes)
	errValidity = errors.New("handshake: a certificate ends after it begins, between the years 1970 and 9999")
)

// MaxAuthorities leaves room, among the names that a responder answers to, for its
// own and for its certificate's issuer.
const MaxAuthorities = maxNames - 2

// Check says whether one of the authorities has made this certificate and whether
// it holds at now. Roles, names and routes are looked at by who knows what for.
func (c *Certificate) Check(authorities []*Authority, now time.Time) error {
	at := slices.IndexFunc(authorities, func(a *Authority) bool { return a.fingerprint == c.Issuer })
	if at < 0 {
		return ErrUnknownAuthority
	}
	a := authorities[at]
	switch {
	// The fingerprint covers the algorithm; comparing it keeps the issuer's half
	// from being asked to verify.
	case a.alg != c.issuerAlg || !a.alg.verify(a.public, signedUnder(labelCertificate, a.alg, c.digest()), c.signature):
		return ErrCertificateForged
	case shareHalf(c.alg, c.public, a.alg, a.public):
		return ErrHalfKey
	}
	return c.CheckTime(now)
}

// CheckTime is the part of Check about the date alone.
func (c *Certificate) CheckTime(now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		return ErrCertificateNotYet
	case now.Truncate(time.Second).After(c.NotAfter):
		return ErrCertificateExpired
	}
	return nil
}

// certified judges what a peer in role r has shown. It gives nil without an error
// when nothing was shown, or nobody here could judge it.
func (c *Config) certified(shown *Certificate, r role) (*Certificate, error) {
	if shown == nil || len(c.Authorities) == 0 {
		return nil, nil
	}
	if err := shown.Check(c.Authorities, c.Now); err != nil {
		return nil, err
	}
	if shown.Roles&roleFor(r, c.Purpose) == 0 {
		return nil, ErrCertificateRole
	}
	for _, own := range c.identities() {
		if shareHalf(shown.alg, shown.public, own.alg, own.public) {
			return nil, ErrHalfKey
		}
	}
	return shown, nil
}

// admitInitiator decides at a responder on a peer that has proved to hold the key
// of this fingerprint, and of the certificate if it has shown one. A pin is enough
// by itself. It gives the certificate if that is genuine and in force; a resumed
// session is decided again, with the certificate of the session before.
func (c *Config) admitInitiator(peer Fingerprint, shown *Certificate) (*Certificate, error) {
	certificate, err := c.certified(shown, roleInitiator)
	switch {
	case c.Authorize != nil && c.Authorize(peer):
		return certificate, nil
	case err != nil:
		return nil, err
	case certificate != nil && c.AuthorizeCertified != nil && c.AuthorizeCertified(certificate):
		return certificate, nil
	}
	return nil, ErrAccessDenied
}

// admitResponder decides at an initiator, as admitInitiator does at a responder:
// the pin, the name, or both must be right, whichever the config has.
func (c *Config) admitResponder(peer Fingerprint, shown *Certificate) (*Certificate, error) {
	if !c.Peer.IsZero() && peer != c.Peer {
		return nil, ErrWrongPeer
	}
	certificate, err := c.certified(shown, roleResponder)
	switch {
	case c.PeerName == "":
		return certificate, nil // the pin is enough
	case shown == nil:
		return nil, ErrNoCertificate
	case err != nil:
		return nil, err
	case certificate.Name != c.PeerName:
		return nil, ErrCertificateName
	}
	return certificate, nil
}

// checkCertificates is the part of checked for certificates. It replaces the
// identity by one that shows the certificate.
func (c *Config) checkCertificates() error {
	if len(c.Authorities) > MaxAuthorities {
		return fmt.Errorf("handshake: config: %d authorities, at most %d have room", len(c.Authorities), MaxAuthorities)
	}
	for _, a := range c.Authorities {
		if !c.Mode.admitsKey(a.alg) {
			return fmt.Errorf("handshake: config: %w: authority of %v in mode %v", ErrInsufficientSecurity, a.alg, c.Mode)
		}
	}
	if len(c.Authorities) > 0 && c.Now.IsZero() {
		return errors.New("handshake: config: authorities, but no time to compare certificates with")
	}
	if (c.PeerName != "" || c.AuthorizeCertified != nil) && len(c.Authorities) == 0 {
		return errors.New("handshake: config: peers are known by name, but there is no authority to name them")
	}
	if c.PeerName != "" && !validName(c.PeerName) {
		return errName
	}
	c.Authorities = slices.Clone(c.Authorities)
	if c.Certificate == nil {
		return nil
	}
	own, err := ParseCertificate(c.Certificate)
	if err != nil {
		return err
	}
	if own.Fingerprint() != c.Identity.fingerprint {
		return fmt.Errorf("handshake: config: %w than the identity's", ErrCertificateOfOthers)
	}
	c.Identity = c.Identity.showing(own)
	return nil
}

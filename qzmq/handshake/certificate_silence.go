package handshake

import "slices"

// An initiator that knows only its peer's name cannot key the ClientHello's MAC
// with the peer's fingerprint, and takes the authority's. A responder that has a
// certificate therefore answers to its own fingerprint, to its issuer's, and to
// those of the authorities that it trusts itself: while one authority takes over
// from another, both sides list both, and whichever the caller puts first is
// answered. Everybody who knows an authority's fingerprint can find out who
// answers to it; a knock closes that too.

// calls is whose fingerprint keys the MAC of this initiator's ClientHello.
func (c *Config) calls() Fingerprint {
	if c.Peer.IsZero() {
		return c.Authorities[0].fingerprint
	}
	return c.Peer
}

// answersTo gives the fingerprints that a ClientHello may be made for, at most
// 2 + MaxAuthorities.
func (c *Config) answersTo() []Fingerprint {
	names := []Fingerprint{c.Identity.fingerprint}
	if c.Identity.certificate == nil {
		return names // nothing to show to who knows only a name
	}
	names = append(names, c.Identity.certificate.Issuer)
	for _, a := range c.Authorities {
		if !slices.Contains(names, a.fingerprint) {
			names = append(names, a.fingerprint)
		}
	}
	return names
}

// showing gives an identity whose flights carry a certificate.
func (i *Identity) showing(certificate *Certificate) *Identity {
	with := *i
	with.certificate = certificate
	return &with
}

// shown is what this identity puts into a flight.
func (i *Identity) shown() (identityForm, []byte) {
	if i.certificate != nil {
		return formCertificate, i.certificate.Marshal()
	}
	return formKey, i.public
}

package controlplane

import (
	"errors"
	"fmt"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// readAuthority reads the files from which names of peers come and checks all that
// can be wrong with them before a peer calls.
func (c *Config) readAuthority(id *handshake.Identity, now time.Time) (_ *authority, err error) {
	trusted, err1 := c.readTrusted()
	keys, err2 := c.readKeys()
	own, err3 := c.readOwn(id.Fingerprint(), trusted, now)
	knock, knocks, err4 := c.readKnocks()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	a := newAuthority(id.Fingerprint(), c.Links, trusted, keys)
	a.certificate, a.knock, a.knocks = own, knock, knocks
	if a.relays, err = c.readRelays(id, a, now); err != nil {
		return nil, err
	}
	// What is left to be wrong, the handshake knows best: an algorithm that the
	// mode does not admit, for one.
	probe := handshake.Config{
		Identity: id, Suites: []handshake.Suite{c.QZMQ.DefaultSuite}, Mode: c.QZMQ.Mode,
		Purpose: handshake.PurposeLink, Peer: handshake.Fingerprint{1},
	}
	a.show(&probe, now)
	if _, err := handshake.NewInitiator(probe); err != nil && len(a.trusted) > 0 {
		return nil, c.blame(c.authorityLines[0], "qzmq.authorities", err)
	}
	return a, nil
}

// unborne reports links whose peer's name nobody can bear. A gateway does not start
// so; one that runs may come to it, when the last key of a name is revoked.
func (c *Config) unborne(a *authority) error {
	var errs []error
	for i, l := range c.Links {
		if l.PeerName != "" && len(a.trusted) == 0 && len(a.keysOf(l.PeerName)) == 0 {
			errs = append(errs, c.blame(c.peerLines[i], fmt.Sprintf("links[%d].peer_name", i),
				fmt.Errorf("%q has no key in %s, and there are no authorities", l.PeerName, c.QZMQ.AuthorisedKeys)))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) readTrusted() (trusted []*handshake.Authority, err error) {
	var errs []error
	seen := map[handshake.Fingerprint]int{}
	for i, file := range c.QZMQ.Authorities {
		t, err := ReadAuthority(file)
		if err == nil {
			if first, again := seen[t.Fingerprint()]; again {
				err = fmt.Errorf("%s is the authority of qzmq.authorities[%d] again", file, first)
			}
		}
		if err != nil {
			errs = append(errs, c.blame(c.authorityLines[i], itemPath("qzmq.authorities", i), err))
			continue
		}
		seen[t.Fingerprint()] = i
		trusted = append(trusted, t)
	}
	return trusted, errors.Join(errs...)
}

func (c *Config) readKeys() ([]authorisedKey, error) {
	if c.QZMQ.AuthorisedKeys == "" {
		return nil, nil
	}
	keys, err := readAuthorisedKeys(c.QZMQ.AuthorisedKeys)
	if err != nil {
		return nil, c.blame(c.keysLine, "qzmq.authorised_keys", err)
	}
	return keys, nil
}

// readOwn reads the certificate that this gateway shows. What its peers would
// refuse is refused here, where the operator sees it.
func (c *Config) readOwn(self handshake.Fingerprint, trusted []*handshake.Authority, now time.Time) (*handshake.Certificate, error) {
	own, err := c.ReadCertificate()
	if own == nil || err != nil {
		return nil, err
	}
	// A gateway may have relays alone.
	roles := handshake.LinkRoles
	if len(c.Links) == 0 && len(c.Relays) > 0 {
		roles |= handshake.ZMTPRoles
	}
	if err := fits(own, c.Gateway.Certificate, self, roles, trusted, now); err != nil {
		return nil, c.blame(c.certificateLine, "gateway.certificate", err)
	}
	return own, nil
}

// fits says whether a certificate is for our key, for one of the roles, and in force.
func fits(own *handshake.Certificate, file string, self handshake.Fingerprint, roles handshake.Roles, trusted []*handshake.Authority, now time.Time) error {
	switch {
	case own.Fingerprint() != self:
		return fmt.Errorf("%s is for another key, %v; this gateway is %v", file, own.Fingerprint(), self)
	case own.Roles&roles == 0 && roles == handshake.LinkRoles:
		return fmt.Errorf("%s is for %v, not for links", file, own.Roles)
	case own.Roles&roles == 0:
		return fmt.Errorf("%s is for %v, not for %v", file, own.Roles, roles)
	}
	// Only its peers need to trust who issued it; who does not know the authority
	// cannot check its signature, but can read a date.
	err := own.Check(trusted, now)
	if errors.Is(err, handshake.ErrUnknownAuthority) {
		err = own.CheckTime(now)
	}
	if err != nil {
		return fmt.Errorf("%s: %v (it is valid from %v to %v)", file, inWords(err), inUTC(own.NotBefore), inUTC(own.NotAfter))
	}
	return nil
}

func inUTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

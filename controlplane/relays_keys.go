package controlplane

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// relayKeys is what the files of one relay say: who it is, and who may call it.
type relayKeys struct {
	identities  []*handshake.Identity
	certificate *handshake.Certificate           // of the first of them, nil for none
	knock       *handshake.Knock                 // that callers need, or that the peer demands
	allowed     map[handshake.Fingerprint]string // by AllowFile, with the names there
}

// readRelays reads the files of all relays. id is the gateway's identity, for those
// that have none of their own.
func (c *Config) readRelays(id *handshake.Identity, a *authority, now time.Time) (map[string]*relayKeys, error) {
	all := map[string]*relayKeys{}
	var errs []error
	for i := range c.Relays {
		k, err := c.readRelay(i, id, a, now)
		all[c.Relays[i].Name] = k
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}

func (c *Config) readRelay(i int, id *handshake.Identity, a *authority, now time.Time) (*relayKeys, error) {
	r, path := &c.Relays[i], itemPath("relays", i)
	k := &relayKeys{identities: []*handshake.Identity{id}}
	var err1, err2, err3, err4 error
	if len(r.Identities) > 0 {
		k.identities, err1 = c.readRelayIdentities(r, path)
	}
	if err1 != nil {
		return nil, err1 // nothing else can be compared
	}
	if k.certificate, err2 = c.relayCertificate(r, path, k.identities[0], a, now); k.certificate == nil && k.identities[0].Fingerprint() == a.own {
		k.certificate = a.certificate
	}
	if r.Listen.Sealed {
		k.knock = a.knock
	}
	if r.Knock != "" {
		if k.knock, err3 = ReadKnock(r.Knock); err3 != nil {
			err3 = c.blame(r.lines.knock, path+".knock", err3)
		}
	}
	if r.AllowFile != "" {
		k.allowed, err4 = readAllowed(r.AllowFile)
		if err4 != nil {
			err4 = c.blame(r.lines.allowFile, path+".allow_file", err4)
		}
	}
	for _, own := range k.identities {
		if f := own.Fingerprint(); r.Peer == f || slices.Contains(r.Allow, f) {
			return nil, errors.Join(err2, err3, err4, c.blame(r.lines.item, path, errOwnKey))
		}
	}
	return k, errors.Join(err2, err3, err4)
}

func (c *Config) readRelayIdentities(r *RelayConfig, path string) (ids []*handshake.Identity, err error) {
	var errs []error
	for i, file := range r.Identities {
		line := r.lines.item
		if i < len(r.lines.identities) {
			line = r.lines.identities[i]
		}
		id, err := ReadIdentity(file)
		if err == nil && !c.QZMQ.Mode.Admits(withKey(c.QZMQ.DefaultSuite, id)) {
			err = fmt.Errorf("%s is a key for %v, which the mode %v does not allow", file, id.Algorithm(), c.QZMQ.Mode)
		}
		if err == nil && slices.ContainsFunc(ids, func(o *handshake.Identity) bool { return o.Fingerprint() == id.Fingerprint() }) {
			err = fmt.Errorf("%s has a key that is named twice", file)
		}
		if err != nil {
			errs = append(errs, c.blame(line, itemPath(path+".identities", i), err))
			continue
		}
		ids = append(ids, id)
	}
	return ids, errors.Join(errs...)
}

// withKey is a suite for a responder with this key.
func withKey(s handshake.Suite, id *handshake.Identity) handshake.Suite {
	s.Sig = id.Algorithm()
	return s
}

func (c *Config) relayCertificate(r *RelayConfig, path string, id *handshake.Identity, a *authority, now time.Time) (*handshake.Certificate, error) {
	if r.Certificate == "" {
		return nil, nil
	}
	own, err := ReadCertificate(r.Certificate)
	if err == nil {
		role := handshake.ZMTPInitiator
		if r.Listen.Sealed {
			role = handshake.ZMTPResponder
		}
		err = fits(own, r.Certificate, id.Fingerprint(), role, a.trusted, now)
	}
	if err != nil {
		return nil, c.blame(r.lines.certificate, path+".certificate", err)
	}
	return own, nil
}

// readAllowed reads who may call. A file without keys is the end of revoking one after
// the other, and lets nobody in.
func readAllowed(path string) (map[handshake.Fingerprint]string, error) {
	keys, err := readAuthorisedKeys(path)
	if err != nil && !errors.Is(err, errNoKeys) {
		return nil, err
	}
	allowed := map[handshake.Fingerprint]string{}
	for _, k := range keys {
		allowed[k.fingerprint] = k.name
	}
	return allowed, nil
}

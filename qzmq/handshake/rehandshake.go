package handshake

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A session on one TCP connection is replaced by a whole handshake inside its own
// records (2.8): same messages, same checks, and a prologue that says which session
// it is in. Who has stolen the old session's keys cannot take part without a
// signing key, and the new keys depend on nothing that he has.

// Rehandshake ties a handshake to the session in which it runs, as Config.Within.
// It may be used for any number of attempts, and after the session was closed.
type Rehandshake struct {
	hidden
	role      role
	own, peer Fingerprint
	prologue  []byte
}

// ErrSessionClosed reports a use of a session after Close.
var ErrSessionClosed = errors.New("handshake: the session is closed")

// Rehandshake gives what a handshake inside this session needs. Who was initiator
// is so again.
func (s *Session) Rehandshake() (*Rehandshake, error) {
	if s.exporter == nil {
		return nil, ErrSessionClosed
	}
	value := export(s.suite.Hash, s.exporter, labelRehandshake, s.t7, withinLen)
	defer clear(value)
	prologue := append([]byte(labelPrologue), transportWithin)
	return &Rehandshake{role: s.role, own: s.own, peer: s.peer, prologue: append(prologue, value...)}, nil
}

// checkWithin makes c the config of a handshake in side r of a session: what has
// its place on a new connection only is switched off, and our name stays.
func (c *Config) checkWithin(r role) error {
	w := c.Within
	if w == nil {
		return nil
	}
	if w.role != r {
		return errors.New("handshake: config: the initiator of a session is that of its replacement")
	}
	own := slices.IndexFunc(c.identities(), func(id *Identity) bool { return id.fingerprint == w.own })
	if own < 0 || !c.Peer.IsZero() && c.Peer != w.peer {
		return fmt.Errorf("handshake: config: %w", ErrIdentityChanged)
	}
	c.Identity, c.MoreIdentities = c.identities()[own], nil
	if r == roleResponder {
		c.Suites = slices.DeleteFunc(c.Suites, func(s Suite) bool { return s.Sig != c.Identity.alg })
	}
	c.Cookies, c.CookieDemanded, c.Reconnect = nil, nil, false
	return nil
}

// samePeer says whether the session may be replaced by one with this peer.
func (c *Config) samePeer(peer Fingerprint) bool { return c.Within == nil || c.Within.peer == peer }

// maxExportLabel keeps "qzmq1 " and a label within the byte that counts them.
const maxExportLabel = 249

// Export derives n bytes for a use of the caller's, such as binding something else
// to this session. Both sides get the same, and nobody gets it from any other label
// or context. The protocol's own labels, which begin with "QZMQ1", are refused, as
// are an empty label, one over 249 bytes, and n over 255 hash lengths.
func (s *Session) Export(label string, context []byte, n int) ([]byte, error) {
	switch {
	case s.exporter == nil:
		return nil, ErrSessionClosed
	case label == "" || len(label) > maxExportLabel || strings.HasPrefix(label, reservedLabels):
		return nil, errors.New("handshake: no label for an export")
	case n < 1 || n > 255*s.suite.Hash.Size():
		return nil, errors.New("handshake: no length for an export")
	}
	return export(s.suite.Hash, s.exporter, label, context, n), nil
}

// prologue is what this initiator's handshake begins with. The responder's greeting
// may be missing still; nobody hashes it then.
func (i *Initiator) prologue() []byte {
	if w := i.config.Within; w != nil {
		return w.prologue
	}
	return prologueZMTP(&i.own, &i.peer)
}

package controlplane

import (
	"fmt"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// A suite names the algorithm of the responder's key (SPEC.md 2.2). That of a link is
// for calling the peer, so its Sig is the peer's; two gateways whose keys are for
// different algorithms run different suites in the two directions.

// answers is the suite of the link when it is the peer that calls, and own is the
// algorithm of this gateway's key.
func (l *LinkConfig) answers(own handshake.Signature) handshake.Suite {
	suite := l.Suite
	suite.Sig = own
	return suite
}

// permits holds a session that the peer has called for to the link's own policy. The
// handshake ran under the weakest of all links, since nobody knew yet who calls
// (SPEC.md 2.3, order of checks).
func (l *LinkConfig) permits(s *handshake.Session, own handshake.Signature) error {
	if want := l.answers(own); s.Suite() != want {
		return fmt.Errorf("the peer asks for %v, this link is for %v alone", s.Suite(), want)
	}
	callers := l.answers(s.PeerAlgorithm())
	if !l.Mode.Admits(callers) {
		return fmt.Errorf("the peer's key is for %v, which the link's mode %v does not allow", callers.Sig, l.Mode)
	}
	return nil
}

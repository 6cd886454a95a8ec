package controlplane

import (
	"reflect"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/relay"
)

// RelayConfig is one relay: plain ZMTP on one side, QZMQ over a stream on the other.
type RelayConfig struct {
	Name    string // unique among the relays
	Listen  relay.Endpoint
	Connect relay.Endpoint // sealed if Listen is not
	Service string         // what callers have to ask for, the same at both ends; may be empty

	// Who it is: paths of key files; nil for the gateway's identity. The first calls,
	// and has the certificate. A relay that listens sealed answers to all of them,
	// while one key takes over from another.
	Identities  []string
	Certificate string // path; empty for the gateway's, where that is for the first key
	// Knock is the path of the secret that callers have to know, in place of the
	// gateway's, or that the peer demands; empty for none of its own.
	Knock string

	// Whom it calls, where Connect is sealed: as in LinkConfig.
	Peer     handshake.Fingerprint
	PeerName string
	// Who may call, where Listen is sealed: keys, those in a file, and whoever bears
	// one of the names, of which Anybody stands for all.
	Allow      []handshake.Fingerprint
	AllowFile  string // path of a file of authorised keys, whose names hold at this relay
	AllowNames []string
	// Rules bind some of them; who has none may everything.
	Rules []RelayRules

	lines relayLines
}

// Anybody, among the names that are allowed, is everybody who bears a name.
const Anybody = "*"

// relayLines are where a relay and the files that it names stand in the
// configuration; 0 for what it does not have.
type relayLines struct {
	item, certificate, knock, allowFile int
	identities                          []int
}

// RelayRules are the rules of a peer, by its key or by its name, or with Anybody as
// its name of all that have none of their own.
type RelayRules struct {
	Peer     handshake.Fingerprint
	PeerName string
	relay.Rules
}

// same says whether two configurations ask for the same, wherever they stand.
func (c RelayConfig) same(o RelayConfig) bool {
	c.lines, o.lines = relayLines{}, relayLines{}
	return reflect.DeepEqual(c, o)
}

// rulesOf gives the rules of a peer: those of its key, or else those of its name, or
// else those of anybody.
func (c *RelayConfig) rulesOf(f handshake.Fingerprint, name string) *relay.Rules {
	var named, others *relay.Rules
	for i := range c.Rules {
		switch r := &c.Rules[i]; {
		case r.Peer == f:
			return &r.Rules
		case r.PeerName == Anybody:
			others = &r.Rules
		case r.PeerName != "" && r.PeerName == name:
			named = &r.Rules
		}
	}
	if named == nil {
		return others
	}
	return named
}

package zmq4transport

import (
	"errors"
	"slices"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

// ErrSocketType reports two sockets of types that do not fit together, or of a type
// that zmq4 does not know.
var ErrSocketType = errors.New("zmq4transport: the peer's socket does not fit this one")

// ErrIdentity reports a peer whose socket has an identity that cannot be, or that a
// connection of somebody else has.
var ErrIdentity = errors.New("zmq4transport: the peer's socket cannot have this identity")

const (
	socketType = "Socket-Type"
	identity   = "Identity"

	maxIdentity = 255 // RFC 37
)

// peersOf gives the types that fit a type, RFC 37 section "The Socket-Type Property".
func peersOf(own string) []string {
	switch own {
	case "REQ":
		return []string{"REP", "ROUTER"}
	case "REP":
		return []string{"REQ", "DEALER"}
	case "DEALER":
		return []string{"REP", "DEALER", "ROUTER"}
	case "ROUTER":
		return []string{"REQ", "DEALER", "ROUTER"}
	case "PUB", "XPUB":
		return []string{"SUB", "XSUB"}
	case "SUB", "XSUB":
		return []string{"PUB", "XPUB"}
	case "PUSH":
		return []string{"PULL"}
	case "PULL":
		return []string{"PUSH"}
	case "PAIR":
		return []string{"PAIR"}
	}
	return nil
}

// fit says whether zmq4 may be told of this peer: it ends its process over a type that
// it does not know.
func fit(own, peer zmtp.Metadata) error {
	ours, _ := own.Get(socketType)
	theirs, _ := peer.Get(socketType)
	if !slices.Contains(peersOf(string(ours)), string(theirs)) {
		return ErrSocketType
	}
	if name, _ := peer.Get(identity); len(name) > maxIdentity {
		return ErrIdentity
	}
	return nil
}

// introduction is the READY that zmq4 has of a peer. It uses no other property.
func introduction(peer zmtp.Metadata) []byte {
	var said zmtp.Metadata
	for _, name := range []string{socketType, identity} {
		if value, there := peer.Get(name); there {
			said = append(said, zmtp.Property{Name: name, Value: value})
		}
	}
	return zmtp.AppendCommand(nil, readyName, said.Append(nil))
}

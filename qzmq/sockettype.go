package qzmq

import (
	"fmt"
	"slices"
)

// SocketType is the pattern that a socket follows.
type SocketType int

// The socket types, of RFC 28 to 31.
const (
	REQ    SocketType = iota // asks, and waits for the reply
	REP                      // replies to what is asked
	DEALER                   // sends and receives, to and from all in turn
	ROUTER                   // sends to whom it names
	PUB                      // sends to all who have subscribed
	SUB                      // receives what it has subscribed to
	XPUB                     // PUB that is told of subscriptions
	XSUB                     // SUB that says subscriptions as messages
	PUSH                     // sends to one, in turn
	PULL                     // receives from all, in turn
	PAIR                     // sends to and receives from one
	STREAM                   // not there: see NewSocket
)

// socketTypes has, for each type, its name and which it may talk to (RFC 37).
var socketTypes = [...]struct {
	name  string
	peers []SocketType
}{
	REQ:    {"REQ", []SocketType{REP, ROUTER}},
	REP:    {"REP", []SocketType{REQ, DEALER}},
	DEALER: {"DEALER", []SocketType{REP, DEALER, ROUTER}},
	ROUTER: {"ROUTER", []SocketType{REQ, DEALER, ROUTER}},
	PUB:    {"PUB", []SocketType{SUB, XSUB}},
	SUB:    {"SUB", []SocketType{PUB, XPUB}},
	XPUB:   {"XPUB", []SocketType{SUB, XSUB}},
	XSUB:   {"XSUB", []SocketType{PUB, XPUB}},
	PUSH:   {"PUSH", []SocketType{PULL}},
	PULL:   {"PULL", []SocketType{PUSH}},
	PAIR:   {"PAIR", []SocketType{PAIR}},
	STREAM: {"STREAM", nil},
}

// String gives the name that ZMTP has for the type.
func (t SocketType) String() string {
	if t < 0 || int(t) >= len(socketTypes) {
		return "UNKNOWN"
	}
	return socketTypes[t].name
}

// drops says whether the type drops what there is no room for, and does not wait.
func (t SocketType) drops() bool { return slices.Contains(dropping, t) }

var dropping = []SocketType{REP, ROUTER, PUB, XPUB, XSUB}

// parseSocketType reads what a peer says that it is.
func parseSocketType(name []byte) (SocketType, error) {
	for t := range socketTypes {
		if socketTypes[t].name == string(name) {
			return SocketType(t), nil
		}
	}
	return 0, fmt.Errorf("%w: the peer is a %q", errPeerType, name)
}

// talksTo says whether sockets of these types may be connected.
func (t SocketType) talksTo(peer SocketType) error {
	if !slices.Contains(socketTypes[t].peers, peer) {
		return fmt.Errorf("%w: a %v does not talk to a %v", errPeerType, t, peer)
	}
	return nil
}

// hasRoutingID says whether a peer is told the socket's name.
func (t SocketType) hasRoutingID() bool { return t == REQ || t == DEALER || t == ROUTER }

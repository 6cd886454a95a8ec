package relay

import (
	"fmt"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// The properties that name the peer. libzmq shows them to a program that asks for
// them, zmq_msg_gets(msg, "User-Id"), so a program behind a relay can tell who sent
// a message. What the peer itself says under these names never arrives.
const (
	userID   = "User-Id"     // its name: by certificate or authorised key, else its fingerprint
	peerName = "X-QZMQ-Peer" // its fingerprint
)

// introduce gives the metadata that a plain program is told about a peer.
func introduce(said zmtp.Metadata, name string, peer handshake.Fingerprint) zmtp.Metadata {
	fingerprint := peer.String()
	if name == "" {
		name = fingerprint
	}
	return said.Without(userID, peerName).With(userID, []byte(name)).With(peerName, []byte(fingerprint))
}

// onward gives the metadata of a plain program as its peer is told it, sealed.
func onward(said zmtp.Metadata) ([]byte, error) {
	b := said.Without(userID, peerName).Append(nil)
	if len(b) > handshake.MaxMetadata {
		return nil, fmt.Errorf("relay: READY has %d bytes of properties, at most %d have room", len(b), handshake.MaxMetadata)
	}
	return b, nil
}

package controlplane

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// Commands of the control channel. A set-up is LINK_OFFER from the side that
// dialled, LINK_ACCEPT in answer, LINK_READY from the side that dialled; then
// PING from both, with one epoch byte for each stream, and ROTATE from the side that cannot rotate itself.
const (
	commandOffer  = "LINK_OFFER"
	commandAccept = "LINK_ACCEPT"
	commandReady  = "LINK_READY"
	commandPing   = "PING"
	commandRotate = "ROTATE"
	commandSpread = "SPREAD"
)

const (
	offerLen     = 16 + 4 + 2 + 2 + 2 + 4
	maxStreams   = 256
	leastWireMTU = 576
)

// offer is the body of LINK_OFFER and LINK_ACCEPT: what one side brings to a
// link set-up.
//
//	nonce 16 | session u32 | streams u16 | wire MTU u16 | UDP port u16 | options u32
type offer struct {
	nonce   [16]byte // fresh, so that no set-up can repeat the keys of another
	session uint32   // what the sender wants to see in records sent to it
	streams uint16   // how many the sender will send, numbered from 0
	wireMTU uint16   // bytes of outer IP packet
	port    uint16   // where the sender takes records
	options uint32   // features the sender could use; used are those both name
}

// optionShare: the sender would put several packets of one batch into a record.
const optionShare = 1 << 0

func newOffer(session uint32, streams, wireMTU int, port uint16, options uint32) offer {
	o := offer{session: session, streams: uint16(streams), wireMTU: uint16(min(wireMTU, 0xffff)), port: port, options: options}
	rand.Read(o.nonce[:])
	return o
}

func (o *offer) marshal() []byte {
	b := make([]byte, 0, offerLen)
	b = append(b, o.nonce[:]...)
	b = binary.BigEndian.AppendUint32(b, o.session)
	b = binary.BigEndian.AppendUint16(b, o.streams)
	b = binary.BigEndian.AppendUint16(b, o.wireMTU)
	b = binary.BigEndian.AppendUint16(b, o.port)
	return binary.BigEndian.AppendUint32(b, o.options)
}

var errOffer = errors.New("the peer's link offer makes no sense")

func parseOffer(b []byte) (o offer, err error) {
	if len(b) != offerLen {
		return o, errOffer
	}
	copy(o.nonce[:], b)
	o.session = binary.BigEndian.Uint32(b[16:])
	o.streams = binary.BigEndian.Uint16(b[20:])
	o.wireMTU = binary.BigEndian.Uint16(b[22:])
	o.port = binary.BigEndian.Uint16(b[24:])
	o.options = binary.BigEndian.Uint32(b[26:])
	if o.session == 0 || o.streams == 0 || o.streams > maxStreams || o.wireMTU < leastWireMTU || o.port == 0 {
		return o, errOffer
	}
	return o, nil
}

// setupHash binds the data keys to the whole exchange: SHA-256(OFFER | ACCEPT).
func setupHash(offered, accepted []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(offered)
	h.Write(accepted)
	return [sha256.Size]byte(h.Sum(nil))
}

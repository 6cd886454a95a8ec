package handshake

import (
	"encoding/binary"

	"github.com/qzmq/gateway/qzmq/record"
)

// version is the protocol version in both hellos. Another version would be
// another ZMTP mechanism, so there is no version negotiation to attack.
const version = 1

// messageType is the first byte of a handshake message.
type messageType uint8

const (
	typeClientHello messageType = 0x01
	typeServerHello messageType = 0x02
	typeClientKey   messageType = 0x03
	typeFinished    messageType = 0x04
	typeRetry       messageType = 0x05
	typeEarlyData   messageType = 0x06
	typeAlert       messageType = 0x30
)

// HeaderLen is the length in bytes of a message's header: type u8, length u24.
const HeaderLen = 4

// Limits in bytes of a whole message, header included. They hold before the peer
// is authenticated, so they bound what a stranger can make us keep.
const (
	MaxClientHello = 4 << 10
	MaxServerHello = 32 << 10
	MaxClientKey   = 32 << 10
	MaxFinished    = 4 << 10
	MaxRetry       = HeaderLen + cookieLen + silenceMACLen // it has no other length
)

// Limits in bytes of what the two sealed extensions carry. Metadata is smaller
// than 4 KiB because Finished, with a ticket beside the metadata, must fit its limit.
const (
	MaxMetadata = 3584
	MaxService  = 255
)

// extensionType is a u16 as in TLS where TLS has the same thing.
type extensionType uint16

const (
	extPSK       extensionType = 0x0029 // ClientHello, the last one: ticket 16, binder L
	extEarlyData extensionType = 0x002A // ClientHello: EarlyData follows; ServerHello, sealed: it is taken; both empty
	extCookie    extensionType = 0x002C // ClientHello: cookieLen bytes, as a Retry gave them
	extKeyShare  extensionType = 0x0033 // ClientHello: {kem u8, share}, one or two
	extPQOnly    extensionType = 0xFF01 // ClientHello, empty: the initiator insists on ML-KEM and ML-DSA
	extMetadata  extensionType = 0xFF02 // ClientKey, Finished: 1..MaxMetadata bytes
	extService   extensionType = 0xFF03 // ClientKey: 1..MaxService bytes
	extTicket    extensionType = 0xFF04 // Finished: ticket 16, lifetime u32 in seconds
	extRefused   extensionType = 0xFF05 // sealed Alert: {code u8}
)

// identityForm says what the bytes of an identity are.
type identityForm uint8

const (
	formKey         identityForm = 0
	formCertificate identityForm = 1 // certificate.go
)

// Purpose is what the initiator called for. One gateway key serves several
// doors; without this byte a connection could be moved from one to another.
type Purpose uint8

// The purposes of version 1.
const (
	PurposeZMTP Purpose = 1 // ZMTP messages: library and relay
	PurposeLink Purpose = 2 // the control channel of a link
)

func (p Purpose) valid() bool { return p == PurposeZMTP || p == PurposeLink }

const (
	randomLen     = 32
	suiteLen      = 4
	greetingLen   = 64
	silenceMACLen = 32         // SHA-256 in every suite
	cookieLen     = 1 + 4 + 32 // key id, time, HMAC-SHA256
	padTo         = 256        // sealed flights hide the lengths of names and keys
	maxShares     = 2
	maxExtensions = 16 // bounds the search for duplicates before the MAC is checked
	maxSuites     = 255
	maxNames      = 8 // fingerprints that a responder answers to: each costs a stranger's ClientHello one short MAC
)

// The transport byte of the prologue.
const (
	transportZMTP   = 1 // both greetings follow
	transportWithin = 2 // withinLen bytes of the session's exporter follow
	withinLen       = 32
)

// The labels of the key schedule (2.4) and of signatures (2.3).
const (
	labelPrologue     = "qzmq1"
	labelSilence      = "qzmq1 silence"
	labelDerived      = "derived"
	labelFinished     = "finished"
	labelInitiatorHS  = "c hs traffic"
	labelResponderHS  = "s hs traffic"
	labelInitiatorApp = "c ap traffic"
	labelResponderApp = "s ap traffic"
	labelExporter     = "exp master"
	labelBinder       = "res binder"
	labelEarly        = "c e traffic"
	labelResMaster    = "res master"
	labelResumption   = "resumption"
	labelExport       = "exporter"
	labelData         = "QZMQ1 data"
	labelRehandshake  = "QZMQ1 rehandshake"
	reservedLabels    = "QZMQ1"

	labelInitiatorSigns = "QZMQ1 initiator"
	labelResponderSigns = "QZMQ1 responder"
	labelCertificate    = "QZMQ1 certificate"
	labelPossession     = "QZMQ1 possession"
	signatureContext    = "QZMQ1"
	labelCompositeMLDSA = "composite mldsa"
	labelCompositeEd    = "composite ed25519"
)

// A Finished with the largest metadata and a ticket of 20 bytes fits its limit.
const _ = uint(MaxFinished - HeaderLen - record.TagLen -
	(2+4+MaxMetadata+4+ticketBodyLen+padTo-1)/padTo*padTo)

func (t messageType) limit() int {
	switch t {
	case typeClientHello:
		return MaxClientHello
	case typeServerHello:
		return MaxServerHello
	case typeClientKey:
		return MaxClientKey
	case typeFinished, typeAlert:
		return MaxFinished
	case typeEarlyData:
		return HeaderLen + MaxEarlyData + record.TagLen
	case typeRetry:
		return MaxRetry
	}
	return 0
}

// MessageLength reads the header of a handshake message, its first [HeaderLen]
// bytes, and gives the length of the whole message in bytes, header included.
// ok is false when header is too short, the type is unknown or the length is
// over the limit of its type: the caller then has nothing to wait for.
func MessageLength(header []byte) (total int, ok bool) {
	if len(header) < HeaderLen {
		return 0, false
	}
	word := binary.BigEndian.Uint32(header)
	total = HeaderLen + int(word&0xffffff)
	if total > messageType(header[0]).limit() {
		return 0, false
	}
	return total, true
}

// appendHeader starts a message whose body will have n bytes.
func appendHeader(dst []byte, t messageType, n int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(t)<<24|uint32(n))
}

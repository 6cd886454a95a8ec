// Package record protects bytes under keys that a handshake agreed: the record
// layer of QZMQ version 1, for UDP and for TCP.
//
// A traffic secret covers one direction of one stream. [NewKeys] takes it, and
// the sealer or opener made from those keys consumes them, so that a (key,
// nonce) pair cannot be used twice: a [Sealer] owns its counter, an [Opener]
// its replay window, and nobody passes a nonce or reads a key back.
//
// On UDP one record is one datagram, and every byte of it is authenticated:
//
//	 0      1       2         4              8                                16
//	+------+-------+---------+--------------+--------------------------------+-----------
//	| type | epoch | stream  | session      | seq                            | ciphertext, tag 16
//	+------+-------+---------+--------------+--------------------------------+-----------
//	 0x10    u8      u16       receiver's id  u64                        all big endian
//
// On TCP the transport keeps order, so the same header is authenticated but not
// sent ([StreamSealer], [StreamOpener]).
//
// The nonce is iv XOR (stream u32 | seq u64), as in TLS 1.3 and QUIC. seq never
// restarts within a stream. A key stops at the limits of RFC 9001 section 6.6
// and appendix B, long after its owner was told to replace it (see Usage).
package record

import (
	"encoding/binary"
	"fmt"
	"log/slog"
)

const (
	// HeaderLen is the length in bytes of the header of a UDP record.
	HeaderLen = 16
	// TagLen is the length in bytes of the tag that ends every record.
	TagLen = 16
	// Overhead is what a UDP record adds to its payload, in bytes.
	Overhead = HeaderLen + TagLen
	// TypeData is the first byte of every UDP record.
	TypeData = 0x10

	typeStream   = 0x11 // authenticated in TCP records, never sent
	tcpStream    = 1    // a TCP connection is one stream in each direction
	nonceLen     = 12
	blockLen     = 16 // what the limits of a key are counted in
	headerBlocks = HeaderLen / blockLen
)

// Header is the visible part of a UDP record.
type Header struct {
	Epoch   uint8
	Stream  uint16
	Session uint32 // chosen by the receiver
	Seq     uint64
}

// ParseHeader reads the header of a UDP record. It is false for what cannot be
// one: a length without room for header and tag, or another type.
func ParseHeader(b []byte) (Header, bool) {
	if len(b) < Overhead || b[0] != TypeData {
		return Header{}, false
	}
	return Header{
		Epoch:   b[1],
		Stream:  binary.BigEndian.Uint16(b[2:]),
		Session: binary.BigEndian.Uint32(b[4:]),
		Seq:     binary.BigEndian.Uint64(b[8:]),
	}, true
}

func (h Header) put(b []byte, kind byte) {
	b[0] = kind
	b[1] = h.Epoch
	binary.BigEndian.PutUint16(b[2:], h.Stream)
	binary.BigEndian.PutUint32(b[4:], h.Session)
	binary.BigEndian.PutUint64(b[8:], h.Seq)
}

// putNonce writes iv XOR (stream | seq) into n. It reads n nowhere: a load that
// straddles stores which are still on their way costs as much as the header.
func putNonce(n *[nonceLen]byte, iv *[nonceLen]byte, stream uint16, seq uint64) {
	binary.BigEndian.PutUint32(n[0:], binary.BigEndian.Uint32(iv[0:])^uint32(stream))
	binary.BigEndian.PutUint64(n[4:], binary.BigEndian.Uint64(iv[4:])^seq)
}

// blocks counts a record's 16-byte blocks as RFC 9001 appendix B does:
// associated data and plaintext.
func blocks(payload int) uint64 {
	return headerBlocks + uint64(payload+blockLen-1)/blockLen
}

// hidden is embedded in every type that holds a secret, so that no format verb,
// logger or JSON encoder can print what is inside.
type hidden struct{}

// Format implements [fmt.Formatter] for every verb.
func (hidden) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[secret]") }

// LogValue implements [slog.LogValuer].
func (hidden) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText implements [encoding.TextMarshaler], which JSON uses too.
func (hidden) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

package handshake

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
)

// silenceKey is the key of the MAC that ends a ClientHello and a Retry (2.3). In
// a ClientHello the MAC shows that the sender knows whom it calls, so that a
// responder is silent to scanners and does no public-key work for them; in a
// Retry it shows that the sender is at least someone who knows who was called.
type silenceKey [sha256.Size]byte

// newSilenceKey makes the key for calling one responder. A knock is a secret of
// the listener's, or nil.
func newSilenceKey(responder Fingerprint, knock *Knock) (key silenceKey) {
	name := append([]byte(labelSilence), responder[:]...)
	if knock == nil {
		return sha256.Sum256(name)
	}
	m := hmac.New(sha256.New, knock.secret[:])
	m.Write(name)
	m.Sum(key[:0])
	return key
}

// mac is over everything before the MAC. Hashing the message first means that a
// responder with several names pays one short HMAC for each.
func (k *silenceKey) mac(message []byte) [silenceMACLen]byte {
	return k.ofDigest(sha256.Sum256(message))
}

func (k *silenceKey) ofDigest(digest [sha256.Size]byte) [silenceMACLen]byte {
	return shortMAC((*[sha256.Size]byte)(k), digest[:])
}

// nameMACs computes what shortMAC does under each of a Door's names in half the
// time: crypto/hmac keeps the states of both its hashes behind the key, so that
// a name costs two blocks instead of four. It takes memory once, so a Door keeps
// as many as can be at work.
type nameMACs struct {
	hidden
	states []hash.Hash
	digest [sha256.Size]byte // of the message, here because arguments of an interface escape
	sum    [sha256.Size]byte
}

func newNameMACs(names []callName) *nameMACs {
	m := &nameMACs{states: make([]hash.Hash, len(names))}
	for i := range names {
		m.states[i] = hmac.New(sha256.New, names[i].key[:])
	}
	return m
}

// of gives the MAC of the digest under one name, lent until the next call.
func (m *nameMACs) of(name int) []byte {
	h := m.states[name]
	h.Reset()
	h.Write(m.digest[:])
	return h.Sum(m.sum[:0])
}

// maxShortMAC is the longest message of shortMAC.
const maxShortMAC = sha256.BlockSize

// shortMAC is HMAC-SHA256 (RFC 2104) of a message of up to maxShortMAC bytes. It
// runs for every stranger, and where crypto/hmac takes five allocations this
// takes none, because hash states behind interfaces escape and arrays do not.
func shortMAC(key *[sha256.Size]byte, message []byte) [sha256.Size]byte {
	const inner, outer = 0x36, 0x5c
	if len(message) > maxShortMAC {
		panic("handshake: the message is too long for a short MAC")
	}
	var b [sha256.BlockSize + maxShortMAC]byte
	copy(b[:], key[:])
	for i := range sha256.BlockSize {
		b[i] ^= inner
	}
	n := copy(b[sha256.BlockSize:], message)
	digest := sha256.Sum256(b[:sha256.BlockSize+n])
	for i := range sha256.BlockSize {
		b[i] ^= inner ^ outer
	}
	copy(b[sha256.BlockSize:], digest[:])
	return sha256.Sum256(b[:sha256.BlockSize+sha256.Size])
}

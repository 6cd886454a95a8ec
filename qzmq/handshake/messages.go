package handshake

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// clientHello is message 0x01:
//
//	header 4 | version 1 | purpose 1 | random 32 | suites 1+4n | ext_len 2, extensions | mac 32
//
// Its slices are lent from the message.
type clientHello struct {
	purpose    Purpose
	random     []byte
	suites     []byte // 4 bytes each, in the initiator's order
	extensions extensions
	mac        []byte
}

// parseClientHello checks the framing only and does not allocate: it runs for
// strangers. What is inside is checked after the MAC.
func parseClientHello(msg []byte) (clientHello, error) {
	body, err := parseHeader(msg, typeClientHello)
	if err != nil {
		return clientHello{}, err
	}
	c := cursor{rest: body}
	v := c.u8()
	var h clientHello
	h.purpose = Purpose(c.u8())
	h.random = c.take(randomLen)
	h.suites = c.take(int(c.u8()) * suiteLen)
	h.extensions = takeExtensions(&c)
	h.mac = c.take(silenceMACLen)
	if !c.done() || v != version || !h.purpose.valid() || len(h.suites) == 0 {
		return clientHello{}, ErrMalformed
	}
	return h, nil
}

// unauthenticated writes everything before the MAC, which is also what the MAC
// is over. The header counts the MAC already.
func (h *clientHello) unauthenticated() []byte {
	n := 1 + 1 + randomLen + 1 + len(h.suites) + 2 + len(h.extensions) + silenceMACLen
	b := appendHeader(make([]byte, 0, HeaderLen+n), typeClientHello, n)
	b = append(b, version, byte(h.purpose))
	b = append(b, h.random...)
	b = append(b, byte(len(h.suites)/suiteLen))
	b = append(b, h.suites...)
	return h.extensions.append(b)
}

// cookieDigest is what of a ClientHello a cookie is bound to: all that the second
// one after a Retry has in common with the first.
func (h *clientHello) cookieDigest() [sha256.Size]byte {
	share, _ := h.extensions.get(extKeyShare)
	var b [MaxClientHello]byte // a hash state would be allocated
	n := copy(b[:], h.random)
	b[n] = byte(len(h.suites) / suiteLen)
	n++
	n += copy(b[n:], h.suites)
	n += copy(b[n:], share)
	return sha256.Sum256(b[:n])
}

func (h *clientHello) marshal() []byte { return append(h.unauthenticated(), h.mac...) }

// offered gives the suites in order, unknown ones included. One that is named
// twice makes the list malformed.
func (h *clientHello) offered() ([]Suite, error) {
	var list []Suite
	for b := range slices.Chunk(h.suites, suiteLen) {
		s := suiteFrom(b)
		if slices.Contains(list, s) {
			return nil, ErrMalformed
		}
		list = append(list, s)
	}
	return list, nil
}

// check holds the extensions to what a ClientHello may have. Their bodies are
// checked even where nobody asks for them, so that one value has one encoding.
func (h *clientHello) check() error {
	if err := h.extensions.only(extKeyShare, extCookie, extEarlyData, extPQOnly, extPSK); err != nil {
		return err
	}
	if psk, ok := h.extensions.get(extPSK); ok && (!h.extensions.endWith(extPSK) || !pskBodyLen(len(psk))) {
		return ErrMalformed
	}
	if early, ok := h.extensions.get(extEarlyData); ok && (len(early) != 0 || !h.extensions.endWith(extPSK)) {
		return ErrMalformed
	}
	if cookie, ok := h.extensions.get(extCookie); ok && len(cookie) != cookieLen {
		return ErrMalformed
	}
	if assertion, _ := h.extensions.get(extPQOnly); len(assertion) != 0 {
		return ErrMalformed
	}
	return nil
}

// keyShare is the initiator's public key for one KEM.
type keyShare struct {
	kem   KEM
	share []byte
}

// keyShares reads the key_share extension: one share for every registered KEM
// that the list of suites names, no other, at most maxShares. A share of an
// unregistered KEM has no known length, so it cannot be skipped and is refused.
func (h *clientHello) keyShares(offered []Suite) ([]keyShare, error) {
	body, _ := h.extensions.get(extKeyShare)
	var shares []keyShare
	for c := (cursor{rest: body}); len(c.rest) > 0; {
		k := KEM(c.u8())
		if !k.Valid() || len(shares) == maxShares || hasShare(shares, k) ||
			!slices.ContainsFunc(offered, func(s Suite) bool { return s.KEM == k }) {
			return nil, ErrKeyShare
		}
		share := c.take(k.shareLen())
		if c.bad {
			return nil, ErrKeyShare
		}
		shares = append(shares, keyShare{k, share})
	}
	for _, s := range offered {
		if s.KEM.Valid() && !hasShare(shares, s.KEM) {
			return nil, ErrKeyShare
		}
	}
	return shares, nil
}

func hasShare(shares []keyShare, k KEM) bool {
	return slices.ContainsFunc(shares, func(s keyShare) bool { return s.kem == k })
}

// serverHello is message 0x02:
//
//	header 4 | version 1 | random 32 | suite 4 | psk accepted 1 | share | sealed
//
// The share's length follows from the suite. Its slices are lent from the message.
type serverHello struct {
	clear  []byte // header to share: what T1 takes in
	random []byte
	suite  Suite
	psk    bool
	share  []byte
	sealed []byte
}

func parseServerHello(msg []byte) (serverHello, error) {
	body, err := parseHeader(msg, typeServerHello)
	if err != nil {
		return serverHello{}, err
	}
	c := cursor{rest: body}
	v := c.u8()
	var h serverHello
	h.random = c.take(randomLen)
	if s := c.take(suiteLen); s != nil {
		h.suite = suiteFrom(s)
	}
	psk := c.u8()
	h.psk = psk == 1
	h.share = c.take(h.suite.KEM.ciphertextLen())
	h.sealed = c.rest
	if c.bad || v != version || psk > 1 || !h.suite.KEM.Valid() || !sealedLen(len(h.sealed)) {
		return serverHello{}, ErrMalformed
	}
	h.clear = msg[:len(msg)-len(h.sealed)]
	return h, nil
}

// upToShare writes header to share of a message whose sealed part will have n
// bytes, for which there is room behind.
func (h *serverHello) upToShare(n int) []byte {
	n += 1 + randomLen + suiteLen + 1 + len(h.share)
	b := appendHeader(make([]byte, 0, HeaderLen+n), typeServerHello, n)
	b = append(b, version)
	b = append(b, h.random...)
	b = h.suite.append(b)
	psk := byte(0)
	if h.psk {
		psk = 1
	}
	b = append(b, psk)
	return append(b, h.share...)
}

// parseSealed checks a message that is all sealed, ClientKey or Finished, and
// gives its sealed part.
func parseSealed(msg []byte, t messageType) ([]byte, error) {
	body, err := parseHeader(msg, t)
	if err != nil {
		return nil, err
	}
	if !sealedLen(len(body)) {
		return nil, ErrMalformed
	}
	return body, nil
}

// peerAlert recognises an alert in clear. It is nil for every other message.
func peerAlert(msg []byte) *PeerAlert {
	if body, err := parseHeader(msg, typeAlert); err == nil {
		if a, ok := parseClearAlert(body); ok {
			return &PeerAlert{Code: a}
		}
	}
	return nil
}

// kind is the type of a message, 0 when it has none.
func kind(msg []byte) messageType {
	if len(msg) < HeaderLen {
		return 0
	}
	return messageType(binary.BigEndian.Uint32(msg) >> 24)
}

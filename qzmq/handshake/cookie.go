package handshake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// Cookies makes and checks the cookies of all responders of a process: proof that
// an initiator receives what is sent to its address, before any public-key work
// is done for it. Nothing is kept for a cookie. Any number of goroutines may use it.
//
// A cookie is key id u8 | time u32 | HMAC-SHA256, and the HMAC is over id, time,
// the initiator's IP address and SHA-256(random | n | suites | key_share) of its
// ClientHello. The port is left out, since a second connection has another one.
type Cookies struct {
	hidden
	secret  [sha256.Size]byte
	timeout time.Duration
}

// NewCookies makes a fresh random key. A cookie is good for timeout, which is
// between 1 s and a day; the key of a new one changes as often.
func NewCookies(timeout time.Duration) (*Cookies, error) {
	if timeout < time.Second || timeout > 24*time.Hour {
		return nil, errors.New("handshake: the timeout of cookies lies between 1 s and 24 h")
	}
	c := &Cookies{timeout: timeout}
	if _, err := rand.Read(c.secret[:]); err != nil {
		return nil, ErrRandom
	}
	return c, nil
}

// issue makes a cookie at a time of the caller's monotonic clock.
func (c *Cookies) issue(now time.Duration, from netip.Addr, hello [sha256.Size]byte) [cookieLen]byte {
	return c.make(uint32(now/time.Second), from, hello)
}

// check says whether the cookie was issued for this address and ClientHello, and
// not longer than the timeout ago.
func (c *Cookies) check(now time.Duration, from netip.Addr, hello [sha256.Size]byte, cookie []byte) bool {
	if len(cookie) != cookieLen || !from.IsValid() {
		return false // a caller that gives no address must not let everybody in
	}
	issued := binary.BigEndian.Uint32(cookie[1:])
	age := now - time.Duration(issued)*time.Second
	want := c.make(issued, from, hello)
	return hmac.Equal(want[:], cookie) && age >= 0 && age <= c.timeout
}

// make is the cookie of a second. Each period of timeout has its own key, derived
// from the process's secret by the period's number, so that the present and the
// previous key need neither a lock nor a timer; a cookie of an older key is too
// old by its time.
func (c *Cookies) make(second uint32, from netip.Addr, hello [sha256.Size]byte) (cookie [cookieLen]byte) {
	var period [8]byte
	binary.BigEndian.PutUint64(period[:], uint64(time.Duration(second)*time.Second/c.timeout))
	key := shortMAC(&c.secret, period[:])

	var b [1 + 4 + 16 + sha256.Size]byte
	b[0] = period[7]
	binary.BigEndian.PutUint32(b[1:], second)
	address := from.Unmap().As16()
	copy(b[5:], address[:])
	copy(b[21:], hello[:])
	mac := shortMAC(&key, b[:])
	copy(cookie[:], b[:5])
	copy(cookie[5:], mac[:])
	return cookie
}

// retry is message 0x05:
//
//	header 4 | cookie 37 | mac 32
//
// It says nothing else, so there is nothing in it to be downgraded.
func appendRetry(dst []byte, key *silenceKey, cookie [cookieLen]byte) []byte {
	start := len(dst)
	dst = appendHeader(dst, typeRetry, cookieLen+silenceMACLen)
	dst = append(dst, cookie[:]...)
	mac := key.mac(dst[start:])
	return append(dst, mac[:]...)
}

// parseRetry checks a Retry against the key of whom we called and gives its cookie.
func parseRetry(msg []byte, key *silenceKey) ([]byte, error) {
	body, err := parseHeader(msg, typeRetry)
	if err != nil {
		return nil, err
	}
	c := cursor{rest: body}
	cookie, mac := c.take(cookieLen), c.take(silenceMACLen)
	if !c.done() {
		return nil, ErrMalformed
	}
	want := key.mac(msg[:len(msg)-silenceMACLen])
	if !hmac.Equal(want[:], mac) {
		return nil, ErrRetry
	}
	return cookie, nil
}

package handshake

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"
)

// Door is a listener's side of every handshake: a checked Config, and what of it
// is computed once. Any number of goroutines may use it. It makes a [Responder]
// for each connection, and before that tells strangers from callers at the price
// of a few hashes and no memory:
//
//	switch door.Admit(clientHello, address) {
//	case handshake.Silent:   // close, without a word
//	case handshake.AskRetry: // door.Retry, or what follows
//	case handshake.Admitted: // door.Responder(address, now), and give it the message
//	}
//
// A Responder makes the same checks again and answers the same, so a caller whose
// connections are there anyway needs Admit only before it makes one.
type Door struct {
	hidden
	config Config
	source source
	names  []callName
	macs   chan *nameMACs // that are at rest; each belongs to one goroutine at a time
}

// callName is a name by which this listener can be called.
type callName struct {
	key      silenceKey
	identity *Identity
}

// Verdict is what a Door says of a stranger's ClientHello.
type Verdict uint8

// The verdicts.
const (
	Silent   Verdict = iota // nothing may be answered
	AskRetry                // right MAC, but a cookie is demanded that it does not have
	Admitted                // public-key work is due
)

// String gives the verdict's name for logs and counters.
func (v Verdict) String() string {
	switch v {
	case Silent:
		return "silent"
	case AskRetry:
		return "retry"
	case Admitted:
		return "admitted"
	}
	return fmt.Sprintf("verdict_%d", uint8(v))
}

// NewDoor checks a responder's config. Errors are those of [NewResponder].
func NewDoor(c Config) (*Door, error) { return newDoor(c, production()) }

func newDoor(c Config, s source) (*Door, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	if err := c.checkWithin(roleResponder); err != nil {
		return nil, err
	}
	if err := c.checkResponder(); err != nil {
		return nil, err
	}
	d := &Door{config: c, source: s}
	for _, f := range c.answersTo() {
		d.names = append(d.names, callName{newSilenceKey(f, c.Knock), c.Identity})
	}
	for _, id := range c.MoreIdentities {
		d.names = append(d.names, callName{newSilenceKey(id.fingerprint, c.Knock), id})
	}
	if len(d.names) > maxNames {
		return nil, fmt.Errorf("handshake: config: %d names to be called by, at most %d", len(d.names), maxNames)
	}
	d.macs = make(chan *nameMACs, runtime.GOMAXPROCS(0))
	return d, nil
}

// checkResponder is what a Config needs at a responder only.
func (c *Config) checkResponder() error {
	if c.Authorize == nil && c.AuthorizeCertified == nil {
		return errors.New("handshake: config: a responder authorises its peers")
	}
	own := c.identities()
	for i, id := range own {
		if id == nil || slices.ContainsFunc(own[:i], func(o *Identity) bool { return o.fingerprint == id.fingerprint }) {
			return errors.New("handshake: config: an identity is nil or named twice")
		}
		if !c.Mode.admitsKey(id.alg) {
			return fmt.Errorf("handshake: config: %w: %v key in mode %v", ErrInsufficientSecurity, id.alg, c.Mode)
		}
		if !slices.ContainsFunc(c.Suites, func(s Suite) bool { return s.Sig == id.alg }) {
			return fmt.Errorf("handshake: config: no suite can be signed by a key of %v", id.alg)
		}
	}
	for _, s := range c.Suites {
		if !slices.ContainsFunc(own, func(id *Identity) bool { return id.alg == s.Sig }) {
			return fmt.Errorf("handshake: config: suite %v cannot be signed by a key of %v", s, c.Identity.alg)
		}
	}
	if c.Cookies == nil && c.CookieDemanded != nil {
		return errors.New("handshake: config: a cookie is demanded and there are no Cookies")
	}
	return nil
}

// Responder makes a machine for a connection from this address. now replaces
// Config.Now, the wall clock that certificates are compared with.
func (d *Door) Responder(from netip.Addr, now time.Time) *Responder {
	r := &Responder{door: d, from: from, config: d.config, source: d.source, state: responderWaitsClientHello}
	r.config.Now = now
	if w := d.config.Within; w != nil {
		r.prologue = w.prologue
	}
	return r
}

// Admit looks at a stranger's first message: length, layout, MAC, and the cookie
// if one is demanded now. It does no public-key work, keeps nothing and does not
// allocate.
func (d *Door) Admit(msg []byte, from netip.Addr) Verdict {
	h, name, err := d.match(msg)
	switch {
	case err != nil || name == nil:
		return Silent
	case !d.cookieHolds(&h, from):
		return AskRetry
	}
	return Admitted
}

// Retry appends the answer to a ClientHello for which Admit said AskRetry. For any
// other message it appends nothing.
func (d *Door) Retry(dst, msg []byte, from netip.Addr) []byte {
	h, name, err := d.match(msg)
	if err != nil || d.config.Cookies == nil {
		return dst
	}
	return d.appendRetry(dst, name, &h, from)
}

func (d *Door) appendRetry(dst []byte, name *callName, h *clientHello, from netip.Addr) []byte {
	return appendRetry(dst, &name.key, d.config.Cookies.issue(d.config.Clock(), from, h.cookieDigest()))
}

// match is the first step at a responder: layout, and which of our names the
// ClientHello was made for. The name is nil only with an error.
func (d *Door) match(msg []byte) (clientHello, *callName, error) {
	h, err := parseClientHello(msg)
	if err != nil {
		return clientHello{}, nil, err
	}
	m := d.borrow()
	defer d.giveBack(m)
	m.digest = sha256.Sum256(msg[:len(msg)-silenceMACLen])
	for i := range d.names {
		if hmac.Equal(m.of(i), h.mac) {
			return h, &d.names[i], nil
		}
	}
	return clientHello{}, nil, ErrSilenceMAC
}

// borrow gives a nameMACs that was used before, unless all are in use.
func (d *Door) borrow() *nameMACs {
	select {
	case m := <-d.macs:
		return m
	default:
		return newNameMACs(d.names)
	}
}

func (d *Door) giveBack(m *nameMACs) {
	select {
	case d.macs <- m:
	default:
	}
}

// cookieHolds says whether there is nothing to ask for: no cookie is demanded
// now, or the right one is there.
func (d *Door) cookieHolds(h *clientHello, from netip.Addr) bool {
	c := &d.config
	if c.Cookies == nil || c.CookieDemanded != nil && !c.CookieDemanded() {
		return true
	}
	cookie, _ := h.extensions.get(extCookie)
	return c.Cookies.check(c.Clock(), from, h.cookieDigest(), cookie)
}

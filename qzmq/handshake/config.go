package handshake

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"
)

// Config is what one side brings to a handshake. New copies it, so it may be
// used again; identity and Authorize are shared.
type Config struct {
	hidden

	Identity *Identity // own; needed on both sides
	// MoreIdentities are further names by which a responder can be called; the
	// ClientHello's MAC tells which one was. With Identity at most 8.
	MoreIdentities []*Identity

	// Suites are offered in this order by an initiator, and allowed by a
	// responder, whose Sig must be that of its identity. The initiator's order
	// decides. nil is the default suite alone.
	Suites []Suite
	Mode   Mode // what every suite and the peer's key must meet; the zero value is hybrid

	Purpose Purpose // both: what the connection is for
	// Service is what the initiator calls for, and the only one that the
	// responder serves; up to MaxService bytes. Both may leave it empty.
	Service  string
	Metadata []byte // sent sealed to the peer, which sees it only with the session; up to MaxMetadata bytes

	Peer Fingerprint // initiator: the exact responder; the zero value when only its name is known
	// Authorize, at a responder, says whether an initiator that has proved this
	// identity may in. It runs inside Handle and must not block.
	Authorize func(Fingerprint) bool

	// Authorities are trusted to name peers; up to MaxAuthorities. An initiator
	// without Peer calls by the first one's fingerprint.
	Authorities []*Authority
	Now         time.Time // wall clock, for the validity of certificates; needed with Authorities
	Certificate []byte    // own, for the key of Identity, shown in its place; nil for none
	PeerName    string    // initiator: what the responder's certificate must say, besides Peer if that is set
	// AuthorizeCertified, at a responder, is asked about initiators that Authorize
	// does not let in. The certificate is genuine, in force, for this purpose and
	// for the key that the initiator has proved. It must not block.
	AuthorizeCertified func(*Certificate) bool

	// Cookies, at a responder, lets it ask initiators for a cookie; one for all
	// listeners of a process. nil never asks. CookieDemanded says whether to ask
	// now, as a rule when many handshakes are in flight; nil is always. It runs
	// for strangers and must not block.
	Cookies        *Cookies
	CookieDemanded func() bool
	PeerAddr       netip.Addr // responder: where the initiator calls from; what a cookie is bound to

	// Tickets are given and kept where a store is: ServerTickets at a responder,
	// ClientTickets at an initiator, each one for the whole process. nil is none.
	ServerTickets *ServerTickets
	ClientTickets *ClientTickets
	// Reconnect lets an initiator resume with a ticket, so that nobody signs. It is
	// for a connection that was lost; rotation leaves it false.
	Reconnect bool

	// SafeTopics, at a responder, lets it take early data of these topics; nil takes
	// none. Early is what an initiator that reconnects says early, or with the
	// session when it cannot; it is for one handshake.
	SafeTopics *SafeTopics
	Early      *EarlyData

	// Within runs the handshake inside a session, to replace it: no greetings, no
	// ticket, no cookie, and both identities as they are.
	Within *Rehandshake

	// Clock is the caller's monotonic clock, since machines have none: time since
	// some fixed moment, best CLOCK_BOOTTIME. Cookies and tickets need it.
	Clock func() time.Duration

	Knock *Knock // optional secret of the listener: hides it from those who know its fingerprint

	// KeyLog gets every secret from which keys come, one line for each, in one Write
	// that any goroutine may make. It undoes all that the handshake is for: nil, the
	// default, is the only value for traffic that matters.
	KeyLog io.Writer
}

// source is where a machine's randomness comes from. Vectors replace it.
type source struct {
	reader io.Reader
	hedged bool
}

func production() source { return source{reader: rand.Reader, hedged: true} }

// random gives n fresh bytes.
func (s source) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.reader, b); err != nil {
		return nil, ErrRandom
	}
	return b, nil
}

// checked is a copy of c with its defaults, or what is wrong with it.
func (c Config) checked() (Config, error) {
	if c.Identity == nil {
		return c, errors.New("handshake: config: no identity")
	}
	if !c.Purpose.valid() {
		return c, fmt.Errorf("handshake: config: purpose %d", c.Purpose)
	}
	if len(c.Service) > MaxService || len(c.Metadata) > MaxMetadata {
		return c, fmt.Errorf("handshake: config: service name over %d or metadata over %d bytes", MaxService, MaxMetadata)
	}
	if c.Clock == nil && (c.Cookies != nil || c.ServerTickets != nil || c.ClientTickets != nil) {
		return c, errors.New("handshake: config: cookies and tickets need a Clock")
	}
	if c.Suites == nil {
		c.Suites = []Suite{DefaultSuite()}
	}
	if err := c.checkSuites(); err != nil {
		return c, err
	}
	if err := c.checkCertificates(); err != nil {
		return c, err
	}
	c.Suites = slices.Clone(c.Suites)
	c.MoreIdentities = slices.Clone(c.MoreIdentities)
	c.Metadata = slices.Clone(c.Metadata)
	return c, nil
}

func (c *Config) checkSuites() error {
	if len(c.Suites) == 0 || len(c.Suites) > maxSuites {
		return fmt.Errorf("handshake: config: %d suites", len(c.Suites))
	}
	if !c.Mode.admitsKey(c.Identity.alg) {
		return fmt.Errorf("handshake: config: %w: %v key in mode %v", ErrInsufficientSecurity, c.Identity.alg, c.Mode)
	}
	for i, s := range c.Suites {
		if err := s.built(); err != nil {
			return err
		}
		if !c.Mode.Admits(s) {
			return fmt.Errorf("handshake: config: %w: %v in mode %v", ErrInsufficientSecurity, s, c.Mode)
		}
		if slices.Contains(c.Suites[:i], s) {
			return fmt.Errorf("handshake: config: %v is named twice", s)
		}
	}
	return nil
}

// identities gives every own name, Identity first.
func (c *Config) identities() []*Identity {
	return append([]*Identity{c.Identity}, c.MoreIdentities...)
}

// isOwn says whether f names this side.
func (c *Config) isOwn(f Fingerprint) bool {
	return slices.ContainsFunc(c.identities(), func(id *Identity) bool { return id.fingerprint == f })
}

// kems gives the KEMs of the suites, each once, in order.
func (c *Config) kems() []KEM {
	var list []KEM
	for _, s := range c.Suites {
		if !slices.Contains(list, s.KEM) {
			list = append(list, s.KEM)
		}
	}
	return list
}

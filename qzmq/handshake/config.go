package handshake

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Config is what one side brings to a handshake. New copies it, so it may be
// used again; identity and Authorize are shared.
type Config struct {
	hidden

	Identity *Identity // own; needed on both sides

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

	Peer Fingerprint // initiator: the exact responder
	// Authorize, at a responder, says whether an initiator that has proved this
	// identity may in. It runs inside Handle and must not block.
	Authorize func(Fingerprint) bool

	Knock []byte // optional secret of the listener, 32 bytes: hides it from those who know its fingerprint
}

const knockLen = 32

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
	if c.Knock != nil && len(c.Knock) != knockLen {
		return c, fmt.Errorf("handshake: config: a knock has %d bytes", knockLen)
	}
	if c.Suites == nil {
		c.Suites = []Suite{DefaultSuite()}
	}
	if err := c.checkSuites(); err != nil {
		return c, err
	}
	c.Suites = slices.Clone(c.Suites)
	c.Metadata = slices.Clone(c.Metadata)
	c.Knock = slices.Clone(c.Knock)
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

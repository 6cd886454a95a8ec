package controlplane

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

const (
	// halfOpenPerSource bounds the handshakes that an IPv4 address or an IPv6
	// /64 may have under way.
	halfOpenPerSource = 8
	// reservedShare of the places is for configured peers, whose addresses are
	// known: a flood from elsewhere leaves it free.
	reservedShare = 16
	// cookiesFrom is how many handshakes under way make a gateway ask for
	// cookies, in mode auto.
	cookiesFrom = 64
)

// callers bounds what those may cost who have proved nothing yet: places for
// their handshakes, cookies, and lines in the log. Any goroutine may use it.
type callers struct {
	limits  AntiDoSConfig
	cookies *handshake.Cookies
	log     *slog.Logger

	relayed atomic.Int64 // connections that come up at relays; counted in mode auto

	mu       sync.Mutex
	known    map[netip.Prefix]bool // where configured peers call from
	halfOpen map[netip.Prefix]int
	pending  int // sum of halfOpen
	refusals map[string]bool
	oldest   time.Time // when refusals was last emptied
}

func newCallers(limits AntiDoSConfig, log *slog.Logger) (*callers, error) {
	cookies, err := handshake.NewCookies(limits.CookieTimeout)
	return &callers{
		limits: limits, cookies: cookies, log: log,
		halfOpen: map[netip.Prefix]int{}, refusals: map[string]bool{},
	}, err
}

// expect says where configured peers call from, from now on.
func (c *callers) expect(known map[netip.Prefix]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = known
}

func (c *callers) expects(source netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[source]
}

// cookieDemanded says whether callers have to show a cookie now.
func (c *callers) cookieDemanded() bool {
	switch c.limits.Cookie {
	case CookieOn:
		return true
	case CookieOff:
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending+int(c.relayed.Load()) > cookiesFrom
}

// sourceOf is what counts as one caller: an IPv4 address or an IPv6 /64.
func sourceOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	source, _ := addr.Prefix(bits) // an address has so many bits
	return source
}

// enter counts a half-open connection, or refuses it: limits come before
// anything that costs. The caller leaves once.
func (c *callers) enter(a net.Addr) (source netip.Prefix, leave func(), ok bool) {
	remote, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return source, nil, false
	}
	source = sourceOf(remote.Addr())
	c.mu.Lock()
	defer c.mu.Unlock()
	places := c.limits.MaxConcurrent
	if !c.known[source] {
		places -= places / reservedShare
	}
	if c.pending >= places || c.halfOpen[source] >= halfOpenPerSource {
		return source, nil, false
	}
	c.pending++
	c.halfOpen[source]++
	return source, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.pending--
		if c.halfOpen[source]--; c.halfOpen[source] == 0 {
			delete(c.halfOpen, source)
		}
	}, true
}

const (
	refusalsMost  = 256
	refusalsReset = 10 * time.Minute
)

// refuse logs why a caller got no link: once for each source and reason, so that
// nobody can fill the log.
func (c *callers) refuse(source netip.Prefix, err error) {
	why := cause(err)
	said := source.String() + " " + why
	c.mu.Lock()
	if now := time.Now(); now.Sub(c.oldest) > refusalsReset {
		clear(c.refusals)
		c.oldest = now
	}
	known := c.refusals[said] || len(c.refusals) >= refusalsMost
	if !known {
		c.refusals[said] = true
	}
	c.mu.Unlock()
	if !known {
		c.log.Warn("a caller was refused", "source", source, "reason", why)
	}
}

// cause is an error's text without the addresses that package net puts into
// it: their ports differ each time, and the same reason is logged once.
func cause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

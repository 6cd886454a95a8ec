package relay

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// said writes what went wrong into the log once for each source and reason, so that
// nobody can fill it.
type said struct {
	log *slog.Logger

	mu    sync.Mutex
	known map[string]bool
	since time.Time
}

const (
	saidMost  = 256
	saidReset = 10 * time.Minute
)

func newSaid(log *slog.Logger) *said { return &said{log: log, known: map[string]bool{}} }

func (s *said) refused(from string, err error) { s.once("no connection came up", from, err) }
func (s *said) ended(from string, err error)   { s.once("a connection was broken off", from, err) }

func (s *said) once(what, from string, err error) {
	why := cause(err)
	key := what + " " + from + " " + why
	now := time.Now()
	s.mu.Lock()
	if now.Sub(s.since) > saidReset {
		clear(s.known)
		s.since = now
	}
	again := s.known[key] || len(s.known) >= saidMost
	if !again {
		s.known[key] = true
	}
	s.mu.Unlock()
	if !again {
		s.log.Warn(what, "from", from, "reason", why)
	}
}

// cause is an error's text without the addresses that package net puts into it:
// their ports differ each time.
func cause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// sourceOf is where a connection comes from, without the port.
func sourceOf(nc net.Conn) string {
	if a, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		return a.Addr().Unmap().String()
	}
	return nc.LocalAddr().String() // a unix socket's caller has no name
}

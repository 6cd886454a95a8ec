// Package zmq4transport gives QZMQ to programs written with go-zeromq/zmq4: they
// register a transport, and say qzmq+tcp:// where they said tcp://.
//
//	import (
//		"github.com/go-zeromq/zmq4"
//		"github.com/go-zeromq/zmq4/transport"
//	)
//
//	t, err := zmq4transport.New[transport.Dialer](zmq4transport.Config{Handshake: handshake.Config{
//		Identity:  id,
//		Peer:      server,                                    // whom Dial calls
//		Authorize: func(f handshake.Fingerprint) bool { ... }, // who may in where this program listens
//	}})
//	err = zmq4.RegisterTransport("qzmq+tcp", t)
//	err = socket.Dial("qzmq+tcp://192.0.2.1:5555")
//
// Who listens is the responder. zmq4's transports are global by name, and one that is
// registered stays: a program that calls several servers, or is several identities,
// registers one transport for each under names of its own.
//
// zmq4's own interface for security cannot carry QZMQ, since it has one value for all
// connections of a socket and writes a frame's length before it is encrypted. So each
// connection that zmq4 gets is the end of a ZMTP connection under NULL that exists in
// memory only, and what is said on it travels under QZMQ1:
//
//	zmq4                    conn                          peer
//	greeting  ----------->  kept
//	          <-----------  greeting
//	READY     ----------->  what ClientKey or Finished says of us
//	                        handshake  <--------------->
//	          <-----------  READY, of what the peer says of itself
//	frames    <---------->  MESSAGE(record)  <--------->
//
// zmq4 v0.17.0 ends its process when a peer says certain things, and waits for ever for
// one who says nothing. It never meets such peers:
//
//   - Accept returns connections whose peer has proved its identity, is authorised and
//     has a socket that fits. What others do costs nobody but them.
//   - A message arrives whole or not at all, and within limits.
//   - PING is answered here; zmq4 would take it, as any command, for a message.
//   - Of two peers with the same identity a ROUTER has one, and nobody takes the place of
//     another.
//   - When a socket is closed its connections end, whether zmq4 still knows of them or not.
//
// What zmq4's sockets do among themselves stays as it is; docs/migration.md has a list.
// This package does not import zmq4, and so the module does not need it: interop/ is a
// module of its own, with the tests against it.
package zmq4transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// Dialer is zmq4's transport.Dialer, the type to instantiate this package with: a
// method that takes that very type is what zmq4 asks for, and naming it is left to who
// imports it.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Config says who we are and who the peers may be.
type Config struct {
	// Network is what QZMQ1 runs on, tcp or unix. Empty is tcp.
	Network string
	// Handshake has our identity and what we ask of a peer. Purpose, Metadata and Now
	// are the transport's own.
	Handshake handshake.Config
	// MaxMessage and MaxParts bound a message, either way, as in zmtp.Options. zmq4
	// holds up to about twelve for each peer.
	MaxMessage, MaxParts int
	// Lifetime is when a session is replaced by a new one.
	Lifetime zmtp.Lifetime
	// Log is told who was refused and why connections have ended. nil is nobody.
	Log *slog.Logger
}

// Transport is a zmq4 transport. Any goroutine may use it, for any number of sockets.
type Transport[D Dialer] struct {
	cfg   Config
	turns *zmtp.Turns // of all its listeners
}

// New checks a config. Errors say what is wrong with it.
func New[D Dialer](cfg Config) (*Transport[D], error) {
	switch cfg.Network {
	case "":
		cfg.Network = "tcp"
	case "tcp", "unix":
	default:
		return nil, fmt.Errorf("zmq4transport: %q is neither tcp nor unix", cfg.Network)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &cfg.Handshake
	h.Purpose, h.Metadata, h.Now = handshake.PurposeZMTP, nil, time.Now()
	calls := h.Peer != (handshake.Fingerprint{}) || h.PeerName != ""
	listens := h.Authorize != nil || h.AuthorizeCertified != nil
	if !calls && !listens {
		return nil, errors.New("zmq4transport: nobody is named who could be called, and nobody may in")
	}
	if calls {
		if _, err := handshake.NewInitiator(*h); err != nil {
			return nil, err
		}
	}
	if listens {
		if _, err := handshake.NewDoor(*h); err != nil {
			return nil, err
		}
	}
	if cfg.MaxMessage < 0 || cfg.MaxParts < 0 || cfg.Lifetime.MaxAge < 0 {
		return nil, errors.New("zmq4transport: a limit is negative")
	}
	return &Transport[D]{cfg, zmtp.NewTurns()}, nil
}

// Dial connects. The handshake follows when zmq4 has said what it is, so its errors
// are those of the socket's Dial. The connection ends with ctx.
func (t *Transport[D]) Dial(ctx context.Context, d D, addr string) (net.Conn, error) {
	nc, err := d.DialContext(ctx, t.cfg.Network, addr)
	if err != nil {
		return nil, err
	}
	c := newConn(ctx, nc, &t.cfg)
	c.ready = c.call
	return c, nil
}

// Listen listens. The listener, and all connections that it has accepted, end with ctx.
func (t *Transport[D]) Listen(ctx context.Context, addr string) (net.Listener, error) {
	return listen(ctx, addr, &t.cfg, t.turns)
}

// Addr gives the address in an endpoint, as zmq4's tcp transport does: * or nothing for
// a host is every address, and for a port one that is free.
func (t *Transport[D]) Addr(endpoint string) (string, error) {
	if t.cfg.Network == "unix" {
		return endpoint, nil
	}
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return "", err
	}
	if host == "" || host == "*" {
		host = "0.0.0.0"
	}
	if port == "" || port == "*" {
		port = "0"
	}
	return net.JoinHostPort(host, port), nil
}

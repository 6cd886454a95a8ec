package qzmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// wire is a connection on which messages flow: a session of QZMQ1, or plain ZMTP.
type wire interface {
	ReadMessages() (zmtp.Messages, error)
	WriteMessages(runs []zmtp.Messages) error
	WriteCommand(name string, body []byte) error
	Close() error
}

// opened is a connection that is ready, and who is there.
type opened struct {
	wire   wire
	sealed *zmtp.Conn // the same, nil if it is plain
	peer   *Peer
	early  []handshake.EarlyMessage // what the peer has said before

	rotations rotations
}

// Names of properties in READY, RFC 37.
const (
	typeName     = "Socket-Type"
	identityName = "Identity"
)

// metadata is what a peer is told about the socket.
func (s *socket) metadata(set *settings) zmtp.Metadata {
	m := zmtp.Metadata{{Name: typeName, Value: []byte(s.kind.String())}}
	if s.kind.hasRoutingID() {
		m = append(m, zmtp.Property{Name: identityName, Value: set.routingID})
	}
	return m
}

// introduced reads what a peer says of itself, and whether the sockets fit.
func (s *socket) introduced(m zmtp.Metadata, p *Peer) error {
	name, _ := m.Get(typeName)
	kind, err := parseSocketType(name)
	if err != nil {
		return err
	}
	p.Type = kind
	if id, ok := m.Get(identityName); ok && len(id) > 0 {
		if len(id) > mostRoutingID || id[0] == 0 {
			return fmt.Errorf("%w: a routing id of %d bytes", ErrHandshakeFailed, len(id))
		}
		p.RoutingID = append([]byte(nil), id...)
	}
	return s.kind.talksTo(kind)
}

// mostRoutingID is libzmq's; names that begin with 0 are for those that we give.
const mostRoutingID = 255

// open makes a connection of what has been accepted or, by a dialer, called.
func (s *socket) open(ctx context.Context, nc net.Conn, d *dialer, set *settings) (*opened, error) {
	ctx, stop := context.WithTimeoutCause(ctx, set.handshake, fmt.Errorf("%w: it took longer than %v", ErrHandshakeFailed, set.handshake))
	defer stop()
	responder := d == nil
	if set.role != RoleAuto {
		responder = set.role == RoleResponder
	}
	switch {
	case s.transport.opts.InsecurePlaintext:
		return s.openPlain(ctx, nc, set)
	case responder:
		return s.respond(ctx, nc, set)
	}
	return s.initiate(ctx, nc, d, set)
}

func (s *socket) openPlain(ctx context.Context, nc net.Conn, set *settings) (*opened, error) {
	n, err := zmtp.OpenNull(ctx, nc, zmtp.NullOptions{MaxMessage: set.limit(), WriteTimeout: -1, Pool: &s.transport.pool})
	if err != nil {
		return nil, err
	}
	err = n.WriteReady(ctx, s.metadata(set))
	var said zmtp.Metadata
	if err == nil {
		said, err = n.ReadReady(ctx)
	}
	peer := &Peer{Address: addressOf(nc)}
	if err == nil {
		err = s.introduced(said, peer)
	}
	if err != nil {
		n.Close()
		return nil, err
	}
	return &opened{wire: n, peer: peer}, nil
}

// respond is the side that is called.
func (s *socket) respond(ctx context.Context, nc net.Conn, set *settings) (*opened, error) {
	peer := &Peer{Address: addressOf(nc)}
	c, err := s.transport.door.Respond(ctx, nc, zmtp.Caller{Judge: func(ctx context.Context, caller *handshake.Caller) ([]byte, error) {
		peer.Fingerprint = caller.Peer
		if caller.Certificate != nil {
			peer.Name = caller.Certificate.Name
		}
		said, err := zmtp.ParseMetadata(caller.Metadata)
		if err == nil {
			err = s.introduced(said, peer)
		}
		if err == nil {
			err = s.transport.authorise(ctx, *peer)
		}
		return s.metadata(set).Append(nil), err
	}})
	if err != nil {
		return nil, err
	}
	return s.configure(c, set, &opened{peer: peer, early: c.Early()})
}

// initiate is the side that calls.
func (s *socket) initiate(ctx context.Context, nc net.Conn, d *dialer, set *settings) (*opened, error) {
	c := s.transport.initiator
	c.Peer = set.peer
	c.Metadata, c.Now = s.metadata(set).Append(nil), time.Now()
	var early *earlyRuns
	if d != nil && d.before {
		c.Reconnect = true
		if s.transport.safe != nil {
			early = d.takeEarly(s.transport)
			c.Early = early.data
		}
	}
	conn, err := zmtp.Initiate(ctx, nc, c)
	if err != nil {
		early.putBack()
		return nil, err
	}
	session := conn.Session()
	early.refused(session.RejectedEarly())
	o := &opened{peer: &Peer{Address: addressOf(nc), Fingerprint: session.Peer()}}
	if cert := session.PeerCertificate(); cert != nil {
		o.peer.Name = cert.Name
	}
	said, err := zmtp.ParseMetadata(session.PeerMetadata())
	if err == nil {
		err = s.introduced(said, o.peer)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s.configure(conn, set, o)
}

// configure sets what a session is held to.
func (s *socket) configure(c *zmtp.Conn, set *settings, o *opened) (*opened, error) {
	o.wire, o.sealed = c, c
	rotation := s.transport.opts.KeyRotation
	replaced := c.Session()
	err := c.Configure(zmtp.Options{
		MaxMessage: set.limit(), WriteTimeout: -1,
		Lifetime: zmtp.Lifetime{MaxMessages: rotation.MaxMessages, MaxBytes: rotation.MaxBytes, MaxAge: rotation.MaxAge},
		Rotated: func(next *handshake.Session, err error) {
			s.rotated(o, err)
			if err == nil {
				replaced.Close()
				replaced = next
			}
		},
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	return o, nil
}

// unlimited is more than any memory has.
const unlimited = 1 << 46

// limit is maxmsgsize as package zmtp has it.
func (s *settings) limit() int {
	if s.maxMessage < 0 {
		return unlimited
	}
	return int(s.maxMessage)
}

// opening counts the outcome of a handshake, and names its error.
func (t *transport) opening(o *opened, err error) error {
	switch {
	case err == nil:
		if o.sealed != nil {
			t.expire()
			t.stats.completed.Add(1)
			if o.sealed.Session().Resumed() {
				t.stats.resumed.Add(1)
			}
		}
		return nil
	case errors.Is(err, record.ErrBadRecord):
		t.stats.replays.Add(1)
	}
	t.stats.failed.Add(1)
	if isAuthentication(err) {
		t.stats.auth.Add(1)
		return fmt.Errorf("%w: %w", ErrAuthenticationFailed, err)
	}
	return fmt.Errorf("%w: %w", ErrHandshakeFailed, err)
}

// isAuthentication says whether a handshake has failed because of who somebody is.
func isAuthentication(err error) bool {
	var told *handshake.PeerAlert
	if errors.As(err, &told) {
		return told.Code == handshake.AlertAccessDenied
	}
	var own *handshake.Error
	return errors.As(err, &own) && (own.Alert == handshake.AlertAccessDenied || errors.Is(err, handshake.ErrSignature) ||
		errors.Is(err, handshake.ErrFinished) || errors.Is(err, handshake.ErrSilenceMAC))
}

func addressOf(nc net.Conn) string {
	if a := nc.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

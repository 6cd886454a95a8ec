package qzmq

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// Transport makes sockets that have their identity, tickets and figures in common, and
// the names of inproc endpoints. Any number of goroutines may use it.
type Transport interface {
	// NewSocket makes a socket of a type. STREAM is refused: it is raw TCP, which has
	// nothing that QZMQ1 could protect.
	NewSocket(SocketType) (Socket, error)
	// SetOption sets an option of the sockets that are made from now on.
	SetOption(key string, value any) error
	// GetOption gives such an option, or socket_count, backend.
	GetOption(key string) (any, error)
	// Stats gives the figures.
	Stats() *Stats
	// Close closes all sockets, each with its linger.
	Close() error
}

type transport struct {
	opts  Options
	log   *slog.Logger
	start time.Time
	stats counters

	initiator  handshake.Config // of who calls; a connection adds what is its own
	door       *zmtp.Door       // of who is called
	doorErr    error            // why nobody can call us
	safe       *handshake.SafeTopics
	clientKept *handshake.ClientTickets
	serverKept *handshake.ServerTickets
	expired    atomic.Int64 // when tickets were looked at last, by clock
	shaking    *zmtp.Places // handshakes under way at listeners
	pool       zmtp.Pool

	mu      sync.Mutex // guards what follows
	set     settings   // of new sockets
	sockets map[*socket]struct{}
	inproc  inprocNames
	closed  bool
}

// ticketLifetime is for how long a connection that was lost can be resumed.
const ticketLifetime = 24 * time.Hour

// New makes a Transport. An error says what is wrong with the options.
func New(o Options) (Transport, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	t := &transport{opts: o, log: o.Log, start: time.Now(), sockets: map[*socket]struct{}{}, set: o.defaults(), shaking: zmtp.NewPlaces(mostShaking, mostOfSource)}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if o.InsecurePlaintext {
		return t, nil
	}
	if err := t.secure(); err != nil {
		return nil, err
	}
	return t, nil
}

// secure computes what all handshakes have in common.
func (t *transport) secure() (err error) {
	o := &t.opts
	mode := handshake.Mode(o.Mode)
	c := handshake.Config{Identity: o.Identity, Mode: mode, Purpose: handshake.PurposeZMTP, Service: o.Service, Knock: o.Knock, Clock: t.clock}
	if c.Suites, err = o.Suite.offered(mode); err != nil {
		return err
	}
	if t.clientKept, err = handshake.NewClientTickets(ticketLifetime); err != nil {
		return err
	}
	if t.serverKept, err = handshake.NewServerTickets(ticketLifetime); err != nil {
		return err
	}
	if o.ZeroRTT {
		if t.safe, err = handshake.NewSafeTopics(o.SafeTopics...); err != nil {
			return fmt.Errorf("%w: SafeTopics: %w", ErrInvalidOptions, err)
		}
	}
	if err := t.certificates(&c); err != nil {
		return err
	}
	t.initiator = c
	t.initiator.ClientTickets = t.clientKept
	t.door, t.doorErr = t.makeDoor(c)
	return nil
}

// makeDoor is for being called. That it cannot be made is an error of Bind.
func (t *transport) makeDoor(c handshake.Config) (door *zmtp.Door, err error) {
	o := &t.opts
	if c.Suites, err = o.Suite.served(c.Mode, o.Identity.Algorithm()); err != nil {
		return nil, err
	}
	c.PeerName = ""
	c.ServerTickets, c.SafeTopics = t.serverKept, t.safe
	c.Authorize = func(f Fingerprint) bool { return o.Authorize != nil || slices.Contains(o.Allow, f) }
	if o.Certificates != nil {
		c.AuthorizeCertified = func(cert *handshake.Certificate) bool { return slices.Contains(o.Certificates.AllowNames, cert.Name) }
	}
	if o.AntiDoS {
		if c.Cookies, err = handshake.NewCookies(cookieTime); err != nil {
			return nil, err
		}
		c.CookieDemanded = func() bool { return t.shaking.Taken() >= cookieFrom }
	}
	c.Now = time.Now()
	if door, err = zmtp.NewDoor(c, zmtp.NewTurns()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidOptions, err)
	}
	return door, nil
}

const (
	mostShaking  = 2048 // handshakes under way at all listeners; who comes then is closed
	mostOfSource = 1024 // of one address; those who come back later get their turn
	cookieFrom   = 64   // from so many on a cookie is asked for
	cookieTime   = time.Minute
)

// certificates adds what peers are known by name by.
func (t *transport) certificates(c *handshake.Config) error {
	o := t.opts.Certificates
	if o == nil {
		return nil
	}
	authority, err := handshake.ParseAuthorityFile(o.CACert)
	if err != nil {
		return fmt.Errorf("%w: Certificates.CACert: %w", ErrInvalidOptions, err)
	}
	c.Authorities, c.PeerName = []*handshake.Authority{authority}, o.PeerName
	if o.Cert == nil {
		return nil
	}
	own, err := handshake.ParseCertificateFile(o.Cert)
	if err != nil {
		return fmt.Errorf("%w: Certificates.Cert: %w", ErrInvalidOptions, err)
	}
	if own.Fingerprint() != t.opts.Identity.Fingerprint() {
		return fmt.Errorf("%w: Certificates.Cert is for another key than Identity", ErrInvalidOptions)
	}
	c.Certificate = own.Marshal()
	return nil
}

// expire deletes tickets that are too old, now and then.
func (t *transport) expire() {
	now := t.clock()
	if last := t.expired.Load(); now-time.Duration(last) > time.Minute && t.expired.CompareAndSwap(last, int64(now)) {
		t.clientKept.Expire(now)
		t.serverKept.Expire(now)
	}
}

// clock is the monotonic clock of tickets and cookies.
func (t *transport) clock() time.Duration { return time.Since(t.start) }

// authorise has the last word about a caller who may in by Authorize's first answer.
func (t *transport) authorise(ctx context.Context, p Peer) error {
	if t.opts.Authorize == nil || slices.Contains(t.opts.Allow, p.Fingerprint) {
		return nil
	}
	if p.Name != "" && slices.Contains(t.opts.Certificates.AllowNames, p.Name) {
		return nil
	}
	if err := t.opts.Authorize(ctx, p); err != nil {
		return fmt.Errorf("%w: %w", handshake.ErrAccessDenied, err)
	}
	return nil
}

func (t *transport) NewSocket(kind SocketType) (Socket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	s, err := newSocket(t, kind)
	if err != nil {
		return nil, err
	}
	t.sockets[s] = struct{}{}
	return s, nil
}

// forget is for a socket that has closed.
func (t *transport) forget(s *socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sockets, s)
}

func (t *transport) SetOption(key string, value any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.set.apply(key, value)
}

func (t *transport) GetOption(key string) (any, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch key {
	case "socket_count":
		return len(t.sockets), nil
	case "backend":
		return "go", nil
	}
	return t.set.read(key)
}

func (t *transport) Stats() *Stats { return t.stats.read() }

func (t *transport) Close() error {
	t.mu.Lock()
	t.closed = true
	sockets := make([]*socket, 0, len(t.sockets))
	for s := range t.sockets {
		sockets = append(sockets, s)
	}
	t.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range sockets {
		all.Go(func() { s.Close() })
	}
	all.Wait()
	return nil
}

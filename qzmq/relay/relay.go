package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// Config says what a relay does.
type Config struct {
	Name    string // for logs
	Listen  Endpoint
	Connect Endpoint // one of both is sealed

	// Handshake has our identity and what we ask of a peer. Where the relay connects
	// sealed it names whom to call, and where it listens sealed who may in. Purpose
	// and Metadata are the relay's own; without a Clock it has SinceBoot.
	Handshake handshake.Config
	// Otherwise are further ways to call the peer, with another key that it may have:
	// tried in turn when it does not answer to one.
	Otherwise []handshake.Config
	// Judge has the last word about a peer that may in by Handshake, where the relay
	// listens sealed. See zmtp.Judge for what its errors mean. nil is always yes.
	Judge func(ctx context.Context, caller *handshake.Caller) error
	// RulesOf gives what a peer may call itself and ask for, where the relay listens
	// sealed. nil, or nil Rules, allow everything.
	RulesOf func(handshake.Fingerprint, *handshake.Certificate) *Rules
	// MayStay says whether a peer may have a connection still; see Recheck. nil is
	// always yes.
	MayStay func(handshake.Fingerprint, *handshake.Certificate) bool
	// NameOf gives the name of a peer for User-Id. nil, or an empty name, makes it
	// the fingerprint.
	NameOf func(handshake.Fingerprint, *handshake.Certificate) string

	// Lifetime is when a session is replaced by a new one.
	Lifetime zmtp.Lifetime

	// Turns bounds public-key work for callers, and Pool is where memory comes from;
	// both are best one for all of a process. nil means one of its own.
	Turns *zmtp.Turns
	Pool  *zmtp.Pool
	// Coming counts sealed connections that are accepted and not up yet, here and
	// wherever it is given, for those who ask for cookies when there are many. nil
	// is not looked at.
	Coming *atomic.Int64
	Log    *slog.Logger
}

const (
	// mostHandshakes is how many connections may be on their way to come up. One more
	// is closed at once.
	mostHandshakes = 1024
	// mostOfSource is how many of them may be from one source where a relay listens
	// sealed. Plain programs are on this host or near it, and all may start at once.
	mostOfSource = mostHandshakes / 8
)

// Relay is a running relay. Any goroutine may use it.
type Relay struct {
	cfg      Config
	asks     atomic.Pointer[asks]
	listener net.Listener
	meter    *meter
	said     *said
	places   *zmtp.Places
	far      far

	mu    sync.Mutex
	pairs map[*pair]struct{}
}

// New checks a config and listens. Errors say what is wrong with it, or that there is
// no listening.
func New(ctx context.Context, cfg Config) (*Relay, error) {
	if cfg.Listen.Sealed == cfg.Connect.Sealed {
		return nil, fmt.Errorf("relay: of %v and %v one is plain and one is sealed, %s", cfg.Listen, cfg.Connect, sealedPrefix)
	}
	if cfg.Lifetime.MaxAge < 0 {
		return nil, errors.New("relay: the age of a session is not negative")
	}
	if cfg.Pool == nil {
		cfg.Pool = new(zmtp.Pool)
	}
	if cfg.Turns == nil {
		cfg.Turns = zmtp.NewTurns()
	}
	if cfg.Coming == nil || cfg.Connect.Sealed {
		cfg.Coming = new(atomic.Int64)
	}
	r := &Relay{
		cfg: cfg, meter: newMeter(), said: newSaid(cfg.Log), places: zmtp.NewPlaces(mostHandshakes, mostHandshakes),
		pairs: map[*pair]struct{}{},
	}
	if cfg.Listen.Sealed {
		r.places = zmtp.NewPlaces(mostHandshakes, mostOfSource)
	}
	err := r.Renew(cfg.Handshake, cfg.Otherwise...)
	if err != nil {
		return nil, err
	}
	if r.listener, err = cfg.Listen.listen(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// asks is what a relay asks of its peers.
type asks struct {
	ways []handshake.Config
	door *zmtp.Door // where it listens sealed
}

// Renew asks something else of peers from the next connection on, by what were
// Config.Handshake and Otherwise. On an error, which says what is wrong with it,
// nothing changes.
func (r *Relay) Renew(h handshake.Config, otherwise ...handshake.Config) (err error) {
	next := &asks{ways: append([]handshake.Config{h}, otherwise...)}
	for i := range next.ways {
		way := &next.ways[i]
		way.Purpose, way.Metadata = handshake.PurposeZMTP, nil
		if way.Clock == nil {
			way.Clock = SinceBoot
		}
		if r.cfg.Listen.Sealed {
			next.door, err = zmtp.NewDoor(*way, r.cfg.Turns)
		} else {
			// What a config lacks is better known now than when the first program comes.
			_, err = handshake.NewInitiator(*way)
		}
		if err != nil {
			return err
		}
	}
	r.asks.Store(next)
	return nil
}

// Name is Config.Name.
func (r *Relay) Name() string { return r.cfg.Name }

// Endpoint is where the relay listens: Config.Listen, with the port that it was given
// if that is 0.
func (r *Relay) Endpoint() Endpoint {
	e := r.cfg.Listen
	if e.Network == "tcp" {
		e.Address = r.listener.Addr().String()
	}
	return e
}

// Close stops listening. A relay that runs ends with Run's context instead.
func (r *Relay) Close() error { return r.listener.Close() }

// Stats gives the figures.
func (r *Relay) Stats() Stats { return r.meter.read() }

// Run carries connections until ctx ends; then it closes them in good order.
func (r *Relay) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	stop := context.AfterFunc(ctx, func() { r.listener.Close() })
	defer stop()
	for {
		nc, err := r.listener.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			r.said.once("a connection cannot be accepted", r.Endpoint().String(), err)
			sleep(ctx, 100*time.Millisecond) // out of descriptors, most likely
			continue
		}
		r.meter.accept()
		leave, ok := r.places.Enter(nc)
		if !ok {
			r.meter.failed("busy")
			nc.Close()
			continue
		}
		r.cfg.Coming.Add(1)
		all.Go(func() {
			defer leave()
			defer r.cfg.Coming.Add(-1)
			from := sourceOf(nc)
			// What public-key work has made of this goroutine's stack is not kept for
			// as long as the connection.
			if p := r.connect(ctx, nc, from); p != nil {
				all.Go(func() { r.carry(ctx, p, from) })
			}
		})
	}
}

// connect makes a pair for a connection that was accepted, nil if there is none.
func (r *Relay) connect(ctx context.Context, nc net.Conn, from string) *pair {
	other := r.call
	if r.cfg.Listen.Sealed {
		other = r.answer
	}
	p, err := other(ctx, nc)
	if err != nil {
		if ctx.Err() == nil {
			r.meter.failed(outcome(err))
			r.said.refused(from, err)
		}
		return nil
	}
	p.peer = r.meter.came(p.sealed.Session().Peer(), p.sealed.HandshakeTime())
	return p
}

// carry runs a pair to its end.
func (r *Relay) carry(ctx context.Context, p *pair, from string) {
	r.mu.Lock()
	r.pairs[p] = struct{}{}
	r.recheck(p) // its right may be gone since it was looked at
	r.mu.Unlock()
	err := p.run(ctx)
	r.mu.Lock()
	delete(r.pairs, p)
	r.mu.Unlock()
	if ctx.Err() != nil {
		r.meter.gone(p.peer, "stopped")
		return
	}
	r.meter.gone(p.peer, ending(err))
	if err != nil {
		r.said.ended(from, err)
	}
}

// Recheck ends the connections of peers that may not stay: to be called when
// somebody's right was taken away. It does not wait for the end.
func (r *Relay) Recheck() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.pairs {
		r.recheck(p)
	}
}

func (r *Relay) recheck(p *pair) {
	s := p.sealed.Session()
	if may := r.cfg.MayStay; may != nil && !may(s.Peer(), s.PeerCertificate()) {
		p.revoke()
	}
}

// sleep returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

package zmq4transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

const (
	// mostHandshakes is how many connections may be on their way to come up. One more is
	// closed at once.
	mostHandshakes = 1024
	// mostOfSource is how many of them may be from one IPv4 address or IPv6 /64.
	mostOfSource = mostHandshakes / 8
)

// listener takes connections, and gives zmq4 those whose peer may in. zmq4 opens one
// after the other, which never has to wait for a peer: both sides have said all when
// Accept returns.
type listener struct {
	ctx      context.Context
	end      context.CancelFunc
	below    net.Listener
	cfg      *Config
	door     *zmtp.Door
	places   *zmtp.Places
	accepted chan *conn
	all      sync.WaitGroup

	mu    sync.Mutex
	named map[string]*named
}

// named is who has an identity.
type named struct {
	peer handshake.Fingerprint
	c    *conn
}

func listen(ctx context.Context, addr string, cfg *Config, turns *zmtp.Turns) (*listener, error) {
	door, err := zmtp.NewDoor(cfg.Handshake, turns)
	if err != nil {
		return nil, err
	}
	below, err := new(net.ListenConfig).Listen(ctx, cfg.Network, addr)
	if err != nil {
		return nil, err
	}
	l := &listener{
		below: below, cfg: cfg, door: door, places: zmtp.NewPlaces(mostHandshakes, mostOfSource),
		accepted: make(chan *conn), named: map[string]*named{},
	}
	l.ctx, l.end = context.WithCancel(ctx)
	l.all.Go(l.serve)
	context.AfterFunc(l.ctx, func() { below.Close() })
	return l, nil
}

// Addr is where it listens.
func (l *listener) Addr() net.Addr { return l.below.Addr() }

// Accept gives the next connection whose peer has proved its identity and may in. The
// only error is net.ErrClosed: zmq4 would ask again at once, and for ever.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops listening and ends all connections that came in here.
func (l *listener) Close() error {
	l.end()
	err := l.below.Close()
	l.all.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil // the end of the context was faster
	}
	return err
}

func (l *listener) serve() {
	for {
		nc, err := l.below.Accept()
		if l.ctx.Err() != nil {
			if err == nil {
				nc.Close()
			}
			return
		}
		if err != nil {
			l.cfg.Log.Error("a connection cannot be accepted", "error", err)
			select { // out of descriptors, most likely
			case <-l.ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		leave, ok := l.places.Enter(nc)
		if !ok {
			nc.Close()
			continue
		}
		l.all.Go(func() {
			defer leave()
			if c := l.answer(nc); c != nil {
				// What public-key work has made of this goroutine's stack is not kept.
				l.all.Go(c.receive)
			}
		})
	}
}

// answer opens a session for who calls, and has zmq4 take it in between. It is nil for
// who was refused.
func (l *listener) answer(nc net.Conn) *conn {
	c := newConn(l.ctx, nc, l.cfg)
	own := make(chan zmtp.Metadata, 1)
	c.ready = func(m zmtp.Metadata) error { own <- m; return nil }
	var said zmtp.Metadata
	sealed, err := l.door.Respond(c.ctx, nc, zmtp.Caller{Judge: func(ctx context.Context, caller *handshake.Caller) (answer []byte, err error) {
		if said, err = zmtp.ParseMetadata(caller.Metadata); err != nil {
			return nil, err
		}
		return l.admit(ctx, c, caller.Peer, said, own)
	}})
	if err == nil {
		err = c.begin(sealed, said, nil)
	}
	if err == nil {
		return c
	}
	c.settle(nil, nil, err)
	c.Close()
	if !errors.Is(err, handshake.ErrSilent) && l.ctx.Err() == nil {
		l.cfg.Log.Warn("a peer was refused", "peer", nc.RemoteAddr(), "reason", err)
	}
	return nil
}

// admit lets zmq4 have the connection, and gives what it says of itself.
func (l *listener) admit(ctx context.Context, c *conn, peer handshake.Fingerprint, said zmtp.Metadata, own <-chan zmtp.Metadata) ([]byte, error) {
	// A type that fits none is known before zmq4 is troubled.
	if theirs, _ := said.Get(socketType); peersOf(string(theirs)) == nil {
		return nil, ErrSocketType
	}
	unavailable := fmt.Errorf("%w: the program does not accept", handshake.ErrUnavailable)
	select {
	case l.accepted <- c:
	case <-ctx.Done():
		return nil, unavailable
	}
	select {
	case m := <-own:
		err := fit(m, said)
		if err == nil {
			err = l.claim(c, peer, m, said)
		}
		return m.Append(nil), err
	case <-c.up: // zmq4 has closed it
	case <-ctx.Done():
	}
	return nil, unavailable
}

// claim gives a peer of a ROUTER its identity. Whoever comes back has it again, and the
// connection from before, of which the peer knows nothing any more, ends.
func (l *listener) claim(c *conn, peer handshake.Fingerprint, own, said zmtp.Metadata) error {
	name, _ := said.Get(identity)
	if kind, _ := own.Get(socketType); string(kind) != "ROUTER" || len(name) == 0 {
		return nil
	}
	l.mu.Lock()
	before := l.named[string(name)]
	if before != nil && before.peer != peer {
		l.mu.Unlock()
		return ErrIdentity
	}
	mine := &named{peer, c}
	l.named[string(name)] = mine
	l.mu.Unlock()
	c.whenGone(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.named[string(name)] == mine {
			delete(l.named, string(name))
		}
	})
	if before != nil {
		before.c.Close()
	}
	return nil
}

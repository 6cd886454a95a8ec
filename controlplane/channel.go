package controlplane

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// setupTime is for the link set-up, after the handshake.
const setupTime = 5 * time.Second

// channel is one control connection and the data session that it set up. The
// session may outlive the connection.
type channel struct {
	link    *link
	conn    *zmtp.Conn
	dialled bool   // by this side
	id      uint32 // of the session, chosen by this side
	path    dataplane.Path
	born    time.Duration // by sinceBoot, as all ages of keys
	heard   atomic.Int64  // when the peer was last heard, Unix nanoseconds
	removed sync.Once

	// Guarded by the link's lock.
	alive   bool // the control connection is there
	retired bool // replaced: to be removed after the grace
	closed  bool // the peer has closed it and opens nothing any more
}

// rank says how good the channel's session is to seal with: best while its
// connection is there, then when it only lost that, then when it was to be
// replaced by another that is gone itself. 0 is no good at all.
func (c *channel) rank() int {
	switch {
	case c.closed:
		return 0
	case c.retired:
		return 1
	case !c.alive:
		return 2
	}
	return 3
}

// setUp agrees on the data streams of a fresh control connection (review 2.6).
// The receiver of a stream opens it before the sender hears of it, so that no
// record arrives too early. On an error nothing is left behind, but for a while
// the openers of a peer that may have been about to use them.
func (l *link) setUp(conn *zmtp.Conn, dialled bool) (c *channel, err error) {
	p := l.peering
	// The session that the data keys come from is replaced with its connection.
	if err := conn.Configure(zmtp.Options{Lifetime: zmtp.Lifetime{Never: true}}); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(setupTime)); err != nil {
		return nil, fmt.Errorf("set the deadline of the link set-up: %w", err)
	}
	id, err := p.engine.NewSession()
	if err != nil {
		return nil, err
	}
	c = &channel{link: l, conn: conn, dialled: dialled, id: id, born: sinceBoot()}
	accepted := false // the peer may have, and seal for this session already
	defer func() {
		switch {
		case err == nil:
			return
		case accepted:
			time.AfterFunc(p.tempo.dead+p.tempo.grace, c.remove)
		default:
			c.remove()
		}
		c = nil
	}()

	own := newOffer(id, p.engine.Streams(), p.wireMTU(), p.local.Port(), p.options)
	ours := own.marshal()
	if dialled {
		if err := conn.WriteCommand(commandOffer, ours); err != nil {
			return c, err
		}
		theirs, err := expect(conn, commandAccept)
		if err != nil {
			return c, err
		}
		if err := c.agree(own, theirs, setupHash(ours, theirs)); err != nil {
			return c, err
		}
		return c, conn.WriteCommand(commandReady, nil)
	}
	theirs, err := expect(conn, commandOffer)
	if err != nil {
		return c, err
	}
	if err := c.agree(own, theirs, setupHash(theirs, ours)); err != nil {
		return c, err
	}
	if err := conn.WriteCommand(commandAccept, ours); err != nil {
		return c, err
	}
	accepted = true
	_, err = expect(conn, commandReady)
	return c, err
}

// expect reads the next command, which has to be this one. The body is a copy.
func expect(conn *zmtp.Conn, name string) ([]byte, error) {
	got, body, err := conn.ReadCommand()
	if err != nil {
		return nil, err
	}
	if got != name {
		return nil, fmt.Errorf("%w: %s in the place of %s", errCommand, got, name)
	}
	return append([]byte(nil), body...), nil
}

var errCommand = errors.New("unexpected command")

// agree takes the keys of both directions, opens the peer's streams and
// prepares the path.
func (c *channel) agree(own offer, theirs []byte, setup [32]byte) error {
	peer, err := parseOffer(theirs)
	if err != nil {
		return err
	}
	p, session := c.link.peering, c.conn.Session()
	remote, err := netip.ParseAddrPort(c.conn.RemoteAddr().String())
	if err != nil {
		return fmt.Errorf("the peer's address: %w", err)
	}
	openers := make([]*record.Opener, peer.streams)
	for i := range openers {
		openers[i] = session.DataOpener(setup, own.session, uint16(i))
	}
	c.path = dataplane.Path{
		Local:   p.local.Addr(),
		Peer:    netip.AddrPortFrom(remote.Addr().Unmap(), peer.port),
		WireMTU: int(min(own.wireMTU, peer.wireMTU)),
		Shares:  own.options&peer.options&optionShare != 0,
		Sums:    p.udpChecksum,
		Sealers: make([]*record.Sealer, own.streams),
	}
	for i := range c.path.Sealers {
		c.path.Sealers[i] = session.DataSealer(setup, peer.session, uint16(i))
	}
	if err := p.engine.Open(c.id, c.link.cfg.Name, openers); err != nil {
		return err
	}
	p.resolve(c.path.Peer.Addr())
	return p.steer.AddSession(c.id)
}

// leastSpread lies between two moves of a stream that a peer asks for, which it
// does with its signs of life.
const leastSpread = time.Second / 2

// listen serves the channel until it ends, and says why it did.
func (c *channel) listen() error {
	var spread time.Time // when the peer last had a stream moved
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(c.link.peering.tempo.dead)); err != nil {
			return err
		}
		name, body, err := c.conn.ReadCommand()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errSilentPeer
		}
		if err != nil {
			return err
		}
		now := time.Now()
		c.heard.Store(now.UnixNano())
		switch name {
		case commandPing:
			c.link.peering.engine.Advance(c.id, body, now)
		case commandSpread:
			if now.Sub(spread) < leastSpread {
				continue // each makes a new path, and a peer could make us do nothing else
			}
			spread = now
			if len(body) != 2 || !c.link.peering.engine.Reroute(c.link.cfg.Name, int(binary.BigEndian.Uint16(body))) {
				return fmt.Errorf("%w: %s of no stream", errCommand, name)
			}
		case commandRotate:
			c.link.rotate("the peer asks for it")
		default:
			return fmt.Errorf("%w: %s", errCommand, name)
		}
	}
}

var errSilentPeer = errors.New("no word from the peer")

// pings sends signs of life until ctx ends or the channel does. They say which
// epoch each stream of the session has come to.
func (c *channel) pings(ctx context.Context) {
	t := time.NewTicker(c.link.peering.tempo.ping)
	defer t.Stop()
	engine, crowd := c.link.peering.engine, crowd{queues: c.link.peering.engine.Streams()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if c.conn.WriteCommand(commandPing, engine.Epochs(c.id)) != nil {
			return
		}
		if stream, ok := crowd.move(engine.Arrivals(c.id)); ok {
			if c.conn.WriteCommand(commandSpread, binary.BigEndian.AppendUint16(nil, stream)) != nil {
				return
			}
		}
	}
}

// remove ends the session in the dataplane and in the steering program, and
// wipes what its keys came from.
func (c *channel) remove() {
	c.removed.Do(func() {
		p := c.link.peering
		p.engine.Remove(c.id)
		if err := p.steer.RemoveSession(c.id); err != nil {
			c.link.log.Error("a session stays in the steering program", "error", err)
		}
		c.conn.Session().Close()
	})
}

// goodbye says whether the peer itself ended the session on purpose. Only a
// sealed close is that. Everything else may be an accident or somebody on the
// path, who must not be able to cut the data.
func goodbye(err error) bool {
	var closed *zmtp.ClosedError
	return errors.As(err, &closed) &&
		(closed.Alert == handshake.AlertClose || closed.Alert == handshake.AlertSuperseded)
}

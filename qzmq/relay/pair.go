package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

var (
	errRevoked = errors.New("relay: the peer may not be here any more")
	errTopic   = errors.New("relay: the peer may not subscribe")
)

// isDenied says whether a pair has ended because of what the peer may not.
func isDenied(err error) bool { return errors.Is(err, errRevoked) || errors.Is(err, errTopic) }

const (
	// lingerTime is how long either side has to take what is on its way to it when
	// the other one has closed.
	lingerTime = 30 * time.Second

	// mostRooms is how many records are sealed before they are written, if so much
	// has come already: a frame of 64 KiB takes two, the second a small one.
	mostRooms = 2

	// mostSlices bounds what is collected for one call to the kernel.
	mostSlices = 256
)

// pair is a plain and a sealed connection that carry what the other says. It has a
// goroutine for each direction, and memory only where there is something to carry.
type pair struct {
	plain  *zmtp.Null
	sealed *zmtp.Conn
	peer   *peer
	topics *subscriptions // that the peer may have; nil for all

	mu      sync.Mutex // guards what follows
	cut     context.CancelCauseFunc
	revoked bool // perhaps before cut was there
}

// run carries until either side has closed, ctx ends, or the peer is revoked. The
// error says why; nil is a close in good order.
func (p *pair) run(ctx context.Context) error {
	defer p.plain.Close()
	defer func() { p.sealed.Session().Close() }()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	p.mu.Lock()
	p.cut = cut
	if p.revoked {
		cut(errRevoked)
	}
	p.mu.Unlock()
	ended := context.AfterFunc(ctx, func() {
		p.plain.Close()
		alert := handshake.AlertClose
		if isDenied(context.Cause(ctx)) {
			alert = handshake.AlertAccessDenied
		}
		p.sealed.CloseWith(alert)
	})
	var other sync.WaitGroup
	var sealing error
	other.Go(func() { sealing = p.seal(ctx) })
	opening := p.open(cut)
	other.Wait()
	if !ended() {
		return context.Cause(ctx)
	}
	return why(opening, sealing)
}

// revoke ends the pair, whether it runs yet or not.
func (p *pair) revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked = true
	if p.cut != nil {
		p.cut(errRevoked)
	}
}

// seal carries from the plain side to the sealed one. When the plain side has closed,
// or went wrong, it closes the sealed one; when the sealed one takes no more, it takes
// what still comes from the plain side, so that the kernel does not throw away what is
// on its way there.
func (p *pair) seal(ctx context.Context) error {
	rooms := make([]*zmtp.Room, 0, mostRooms)
	for taken := true; taken; {
		var end error
		for end == nil && len(rooms) < mostRooms && (len(rooms) == 0 || rooms[0].Full()) {
			var r *zmtp.Room
			if r, end = p.plain.ReadRoom(len(rooms) == 0); r == nil {
				break
			}
			rooms = append(rooms, r)
			p.peer.sealed.add(r.Frames(), r.Len())
		}
		taken = p.sealed.WriteRooms(rooms...) == nil
		for _, r := range rooms {
			p.plain.Release(r)
		}
		rooms = rooms[:0]
		if end != nil {
			if ctx.Err() == nil { // otherwise the peer is told why by who has ended it
				lingering, stop := context.WithTimeout(ctx, lingerTime)
				p.sealed.CloseContext(lingering)
				stop()
			}
			return end
		}
	}
	for {
		r, err := p.plain.ReadRoom(true)
		if err != nil {
			return nil // why the sealed side took no more is known to open
		}
		p.plain.Release(r)
	}
}

// open carries from the sealed side to the plain one. When the peer has closed in good
// order the program may take its time with what is on its way. A peer that asks for what
// it may not have is cut.
func (p *pair) open(cut context.CancelCauseFunc) error {
	defer p.sealed.GiveBack() // while the plain side has time to end
	wire := make([][]byte, 0, 16)
	for {
		run, end := p.sealed.ReadRun(len(wire) == 0)
		if run.Wire != nil && p.topics != nil {
			if err := p.topics.allow(&run); err != nil {
				cut(err)
				return err
			}
		}
		if run.Wire != nil {
			p.peer.opened.add(run.Frames, len(run.Wire))
			wire = append(wire, p.plainForm(run))
			if len(wire) < mostSlices {
				continue
			}
		}
		if err := p.plain.WriteWire(wire); err != nil && end == nil {
			p.sealed.Close()
			return err
		}
		if end != nil {
			p.endPlain(end)
			return end
		}
		wire = wire[:0]
	}
}

// plainForm is what the program is sent for a run: one of ZMTP 3.0 knows subscriptions
// as messages only.
func (p *pair) plainForm(run zmtp.Run) []byte {
	if run.Command != nil && p.plain.Minor() == 0 {
		if message := run.Subscription(); message != nil {
			return message
		}
	}
	return run.Wire
}

// endPlain ends the plain side when the sealed one has ended with err.
func (p *pair) endPlain(err error) {
	if !errors.Is(err, io.EOF) || p.plain.CloseWrite() != nil ||
		p.plain.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		p.plain.Close()
	}
}

// why tells how a pair has ended. Under NULL there is no other end than to be cut.
func why(opening, sealing error) error {
	switch {
	case opening != nil && !errors.Is(opening, io.EOF) && !errors.Is(opening, net.ErrClosed):
		return opening
	case sealing != nil && !errors.Is(sealing, zmtp.ErrTruncated) && !errors.Is(sealing, net.ErrClosed):
		return sealing
	}
	return nil
}

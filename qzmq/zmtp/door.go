package zmtp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Door is a listener's side of all sessions that it takes: what does not differ
// from one connection to the next is checked and computed once. Any number of
// goroutines may use it.
type Door struct {
	config handshake.Config // for rotations
	calls  *handshake.Door
	local  *handshake.Door // the same without cookies, which prove an address
	turns  *Turns
	first  sync.Pool // of *[firstFlight]byte: what strangers say is heard in lent memory
}

// firstFlight is how many bytes a greeting and a ClientHello of the default suite
// take with their frame, and a little more. A stranger who says nothing holds as
// many.
const firstFlight = 1536

// NewDoor makes the door of a listener. Config.Now and Config.PeerAddr are those
// of each connection and not looked at later. turns bounds the public-key work that
// callers cause here and at all doors that share it; nil does not.
func NewDoor(cfg handshake.Config, turns *Turns) (*Door, error) {
	calls, err := handshake.NewDoor(cfg)
	if err != nil {
		return nil, err
	}
	d := &Door{config: cfg, calls: calls, local: calls, turns: turns}
	d.first.New = func() any { return new([firstFlight]byte) }
	if cfg.Cookies != nil {
		cfg.Cookies, cfg.CookieDemanded = nil, nil
		if d.local, err = handshake.NewDoor(cfg); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Caller is what is known of a connection before it says anything, and who judges it.
type Caller struct {
	// Addr is what a cookie is bound to. The zero value is the address of the
	// connection, if that has one; where there is none, no cookie is asked for.
	Addr netip.Addr
	// Known says that a configured peer calls from there, whose public-key work
	// is done before that of strangers.
	Known bool
	// Judge has the last word about an initiator; nil is always yes.
	Judge Judge
}

// Respond opens a session on nc, as the side that is called; otherwise as
// Initiate. Until the initiator has shown that it knows whom it calls, nc gets no
// byte from us, and costs no public-key work.
//
// ErrBusy is a caller that would have had to wait too long for that.
func (d *Door) Respond(ctx context.Context, nc net.Conn, from Caller) (*Conn, error) {
	if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok && !from.Addr.IsValid() {
		from.Addr = tcp.AddrPort().Addr()
	}
	calls := d.calls
	if !from.Addr.IsValid() {
		calls = d.local
	}
	x := &exchange{nc: nc, config: &d.config, turns: d.turns, class: stranger}
	first := d.first.Get().(*[firstFlight]byte)
	x.in.buf = first[:]
	if from.Known {
		x.class = known
	}
	conn, err := establish(ctx, x, func(x *exchange) (*handshake.Session, error) {
		own := NewGreeting(Mechanism, true)
		peer, err := x.greeting(&own)
		if err != nil {
			return nil, err
		}
		machine := calls.Responder(from.Addr, time.Now())
		machine.Greetings(peer, own)
		if x.turns != nil {
			machine.TakeTurns(func(ticket bool) (func(), error) { return x.takeTurn(ctx, ticket) })
		}
		x.out = append(x.out, own[:]...) // goes with the first answer, if there is one
		handle := machine.Handle
		if from.Judge != nil {
			handle = x.judging(ctx, machine, from.Judge)
		}
		session, err := x.run(handle, handshake.MaxClientHello)
		x.early = machine.Early()
		return session, err
	})
	if errors.Is(err, handshake.ErrSilent) {
		d.first.Put(first) // nothing of it is used any more
	}
	return conn, err
}

// Respond is Door.Respond for a listener that takes one connection.
func Respond(ctx context.Context, nc net.Conn, cfg handshake.Config) (*Conn, error) {
	d, err := NewDoor(cfg, nil)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return d.Respond(ctx, nc, Caller{Addr: cfg.PeerAddr})
}

// takeTurn waits until the stage is over at most.
func (x *exchange) takeTurn(ctx context.Context, ticket bool) (leave func(), err error) {
	ctx, cancel := context.WithDeadline(ctx, x.until)
	defer cancel()
	class := x.class
	if ticket {
		class = known
	}
	return x.turns.take(ctx, class)
}

package zmtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Initiate opens a session on nc, as the side that calls. It owns nc from now
// on, and closes it on error.
//
// Each flight has 10 s, and ctx bounds the whole. Errors wrap those of this
// package, a reason of package handshake (errors.As for a *handshake.PeerAlert
// tells what the peer said), os.ErrDeadlineExceeded or the cause of ctx.
func Initiate(ctx context.Context, nc net.Conn, cfg handshake.Config) (*Conn, error) {
	return establish(ctx, &exchange{nc: nc, config: &cfg}, func(x *exchange) (*handshake.Session, error) {
		x.began = time.Now()
		machine, err := handshake.NewInitiator(cfg)
		if err != nil {
			return nil, err
		}
		own := NewGreeting(Mechanism, false)
		hello, err := machine.Start(own)
		if err != nil {
			return nil, err
		}
		x.out = append(x.out, own[:]...)
		x.out = AppendCommand(x.out, handshakeName, hello)
		if early := machine.EarlyData(); early != nil {
			x.out = AppendCommand(x.out, handshakeName, early)
		}
		if err := x.flush(); err != nil {
			return nil, err
		}
		peer, err := x.greeting(&own)
		if err != nil {
			return nil, err
		}
		machine.PeerGreeting(peer)
		return x.run(machine.Handle, handshake.MaxServerHello)
	})
}

// exchange is a handshake going on. It belongs to one goroutine.
type exchange struct {
	nc     net.Conn
	config *handshake.Config // not changed
	turns  *Turns            // the responder's; nil does not bound them
	class  int               // of the caller, for a turn
	in     inbuf
	out    []byte    // to be sent before the next message
	until  time.Time // the end of the stage
	began  time.Time // when the ClientHello was begun, or had arrived
	early  []handshake.EarlyMessage
}

// establish runs a handshake and makes its session a Conn.
func establish(ctx context.Context, x *exchange, shake func(*exchange) (*handshake.Session, error)) (*Conn, error) {
	nc := x.nc
	// Closing ends whatever read or write is under way, and cannot be undone by
	// a deadline that is set at the same moment.
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	err := x.stage()
	var session *handshake.Session
	if err == nil {
		session, err = shake(x)
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	var conn *Conn
	if err == nil {
		conn, err = newConn(x, session)
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		if session != nil {
			session.Close()
		}
		if conn != nil {
			conn.CloseWith(handshake.AlertNone) // ctx ended in the last moment
		}
		nc.Close()
		return nil, &failed{err}
	}
	return conn, nil
}

// failed is an error of a handshake. It is put into words only for who reads it,
// since most are of strangers and nobody does.
type failed struct{ reason error }

func (f *failed) Error() string { return "zmtp: handshake: " + f.reason.Error() }
func (f *failed) Unwrap() error { return f.reason }

// stage gives the next flight its time.
func (x *exchange) stage() error {
	x.until = time.Now().Add(stageTimeout)
	return x.nc.SetDeadline(x.until)
}

// greeting reads the peer's greeting.
func (x *exchange) greeting(own *Greeting) (Greeting, error) {
	return readGreeting(x.nc, &x.in, own.Accept)
}

// run takes messages and gives answers until handle has a session. first is the
// limit of the first message; what follows is by its sender held to be someone
// who knows us, and has the largest limit of all.
func (x *exchange) run(handle func([]byte) ([]byte, *handshake.Session, error), first int) (*handshake.Session, error) {
	for limit := first; ; limit = max(handshake.MaxServerHello, handshake.MaxClientKey) {
		name, msg, err := x.in.command(x.nc, 1+len(handshakeName)+limit)
		if err != nil {
			return nil, err
		}
		if string(name) != handshakeName {
			return nil, ErrUnexpected
		}
		if x.began.IsZero() {
			x.began = time.Now()
		}
		reply, session, err := handle(msg)
		if errors.Is(err, handshake.ErrSilent) {
			return nil, err
		}
		if reply != nil {
			// With an error the reply is the alert. That it could not be sent
			// would only hide the reason.
			if sendErr := x.send(reply); err == nil {
				err = sendErr
			}
		}
		if err != nil || session != nil {
			return session, err
		}
		if err := x.stage(); err != nil {
			return nil, err
		}
	}
}

// send writes a handshake message, and what was to go before it, in one call.
func (x *exchange) send(msg []byte) error {
	x.out = AppendCommand(x.out, handshakeName, msg)
	return x.flush()
}

func (x *exchange) flush() error {
	_, err := x.nc.Write(x.out)
	x.out = x.out[:0]
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

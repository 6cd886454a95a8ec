package zmtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// A session is replaced by a whole handshake inside it (2.8). All four messages
// are commands HANDSHAKE, each last in its record, and data flows on meanwhile:
//
//	initiator                                       responder
//	HANDSHAKE(ClientHello)     --------------->
//	                           <---------------     HANDSHAKE(ServerHello)
//	HANDSHAKE(ClientKey)       --------------->
//	                           <---------------     HANDSHAKE(Finished)    last record under its old keys
//	                           <- - - - - - - -     anything               first record under its new keys
//	SWITCH                     --------------->                            last record under its old keys
//	anything                   - - - - - - - ->                            first record under its new keys
//
// Each side changes what it seals with right behind its own last record, and
// what it opens with right behind the other's, so no record is in doubt. Until
// Finished either side may refuse with an alert in the place of its message: the
// old session goes on as if nothing had happened. RENEW is the responder's wish
// that the initiator begin.

// rotateGap is how long an initiator waits between two rotations, and what the
// responder holds it to, since each costs it signatures.
const rotateGap = time.Second

var (
	// ErrRefused reports a rotation that the peer or we ended; errors.As for a
	// *handshake.PeerAlert tells what the peer said. The old session goes on.
	ErrRefused = errors.New("zmtp: the session was not replaced")

	// ErrNotInitiator reports a Rotate on the responder's side.
	ErrNotInitiator = errors.New("zmtp: only the initiator begins a rotation")
)

// rotation is the replacement of a session under way.
type rotation struct {
	// handle is that of the machine; nil when it has come to its end.
	handle func([]byte) ([]byte, *handshake.Session, error)
	done   chan struct{}
	err    error // valid when done is closed
}

// Session is what the newest handshake agreed. Its records are the Conn's; to
// close it, which ends the deriving of further keys, is the caller's affair, also
// for one that was replaced.
func (c *Conn) Session() *handshake.Session {
	c.rotating.Lock()
	defer c.rotating.Unlock()
	return c.session
}

// Rotate replaces the session by a new one with fresh keys, between the same two
// identities, which prove themselves again. It is for the initiator's side and
// returns when all that is sent from now on is under new keys. Somebody has to be
// reading. While one rotation is under way another call waits for the same, and
// between two a second passes.
//
// ErrRefused leaves the old session in place. An end of ctx only ends the
// waiting. Any other error has ended the session.
func (c *Conn) Rotate(ctx context.Context) error {
	r, hello, err := c.beginRotation(ctx)
	if err != nil {
		return err
	}
	if hello != nil {
		if err := c.sendOwn(handshakeName, hello, nil); err != nil {
			c.endRotation(r, err)
		}
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// RequestRotation asks the initiator to rotate, and does not wait for it. It is
// for the responder's side; the initiator's calls Rotate. What is asked within a
// second of a rotation is taken to be for the session before it.
func (c *Conn) RequestRotation() error {
	if c.initiator {
		return errors.New("zmtp: the initiator does not ask, it rotates")
	}
	return c.sendOwn(renewName, nil, nil)
}

// beginRotation gives the rotation that is under way, or begins one: then hello
// is to be sent.
func (c *Conn) beginRotation(ctx context.Context) (r *rotation, hello []byte, err error) {
	if !c.initiator {
		return nil, nil, ErrNotInitiator
	}
	for {
		c.rotating.Lock()
		wait := time.Until(c.rotated.Add(rotateGap))
		if c.rotation != nil || wait <= 0 {
			break
		}
		c.rotating.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
	defer c.rotating.Unlock()
	if c.closing.Load() {
		return nil, nil, net.ErrClosed
	}
	if c.rotation != nil {
		return c.rotation, nil, nil
	}
	c.rotation = &rotation{done: make(chan struct{})}
	machine, err := handshake.NewInitiator(c.rehandshake())
	if err == nil {
		hello, err = machine.Start(Greeting{})
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
		c.endRotationLocked(c.rotation, err)
		return nil, nil, err
	}
	c.rotation.handle = machine.Handle
	return c.rotation, hello, nil
}

// rehandshake is the config of a handshake inside the session.
func (c *Conn) rehandshake() handshake.Config {
	config := c.config
	config.Within, config.Early, config.Now = c.within, nil, time.Now()
	return config
}

// endRotation ends r, in success if err is nil, unless it has ended with the
// connection.
func (c *Conn) endRotation(r *rotation, err error) {
	c.rotating.Lock()
	defer c.rotating.Unlock()
	c.endRotationLocked(r, err)
}

func (c *Conn) endRotationLocked(r *rotation, err error) {
	if r == nil || c.rotation != r {
		return
	}
	if c.initiator {
		c.rotated = time.Now()
	}
	r.err, c.rotation = err, nil
	if tell := c.options.Rotated; tell != nil && err != nil {
		tell(nil, err)
	} else if tell != nil {
		tell(c.session, nil)
	}
	close(r.done) // whoever waits finds it told
}

// abandonRotation tells whoever waits for a rotation that the session is over.
func (c *Conn) abandonRotation(err error) {
	c.rotating.Lock()
	defer c.rotating.Unlock()
	c.endRotationLocked(c.rotation, err)
}

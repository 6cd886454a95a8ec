package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// plainError is a failure on the plain side.
type plainError struct{ err error }

func (e *plainError) Error() string { return "plain side: " + e.err.Error() }
func (e *plainError) Unwrap() error { return e.err }

func (r *Relay) nullOptions() zmtp.NullOptions {
	// ZMTP 3.0 is what every libzmq of 4.x speaks. A program that does not read is
	// waited for: that is back pressure.
	return zmtp.NullOptions{Minor: 0, MaxMessage: maxMessage, MaxParts: maxParts, WriteTimeout: -1, Pool: r.cfg.Pool}
}

// configure waits for peers that do not read, for the same reason.
func (r *Relay) configure(sealed *zmtp.Conn) {
	replaced := sealed.Session()
	err := sealed.Configure(zmtp.Options{
		MaxMessage: maxMessage, MaxParts: maxParts, WriteTimeout: -1, Pool: r.cfg.Pool, Lifetime: r.cfg.Lifetime,
		Rotated: func(s *handshake.Session, err error) {
			r.meter.rotated(err)
			if err == nil {
				replaced.Close()
				replaced = s
			}
		},
	})
	if err != nil {
		panic("relay: " + err.Error()) // a Lifetime that New has let pass
	}
}

// A relay holds no message, so its limits are there to bound what it lets one peer do
// to the program of another, which has limits of its own.
const (
	maxMessage = 1 << 30
	maxParts   = 1 << 16
)

// call takes a plain connection and makes a sealed one for it. The program has our
// READY only when it has its peer's: what it then hears is as good as from the peer.
func (r *Relay) call(ctx context.Context, nc net.Conn) (*pair, error) {
	plain, err := zmtp.OpenNull(ctx, nc, r.nullOptions())
	if err != nil {
		return nil, &plainError{err}
	}
	said, err := plain.ReadReady(ctx)
	if err != nil {
		return nil, &plainError{err}
	}
	sealed, err := r.dialSealed(ctx, said)
	if err != nil {
		// A program that is turned away at once would come back ten times a second.
		r.far.hold(ctx, err)
		plain.Close()
		return nil, err
	}
	r.far.worked()
	answer, err := zmtp.ParseMetadata(sealed.Session().PeerMetadata())
	if err == nil {
		answer = introduce(answer, r.nameOf(sealed), sealed.Session().Peer())
		if err = plain.WriteReady(ctx, answer); err != nil {
			err = &plainError{err}
		}
	}
	if err != nil {
		plain.Close()
		sealed.Close()
		return nil, err
	}
	return &pair{plain: plain, sealed: sealed}, nil
}

// dialSealed calls the peer, for a program that says this of itself. It begins with the
// way that worked last.
func (r *Relay) dialSealed(ctx context.Context, said zmtp.Metadata) (sealed *zmtp.Conn, err error) {
	metadata, err := onward(said)
	if err != nil {
		return nil, &plainError{err}
	}
	ways, first := r.asks.Load().ways, int(r.far.way.Load())
	for i := range ways {
		way := (first + i) % len(ways)
		cfg := ways[way]
		cfg.Metadata, cfg.Now = metadata, time.Now()
		if sealed, err = r.initiate(ctx, cfg); err == nil {
			r.far.way.Store(int32(way))
			r.configure(sealed)
			return sealed, nil
		}
		var answer *handshake.PeerAlert
		if isDial(err) || errors.As(err, &answer) || errors.Is(err, os.ErrDeadlineExceeded) {
			break // another way goes to the same end
		}
	}
	return nil, err
}

// initiate makes a session with a peer that may have one still: whom a config names may
// have lost that right meanwhile.
func (r *Relay) initiate(ctx context.Context, cfg handshake.Config) (*zmtp.Conn, error) {
	nc, err := r.cfg.Connect.dial(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := zmtp.Initiate(ctx, nc, cfg)
	if err != nil {
		return nil, err
	}
	if s := sealed.Session(); r.cfg.MayStay != nil && !r.cfg.MayStay(s.Peer(), s.PeerCertificate()) {
		sealed.CloseWith(handshake.AlertAccessDenied)
		s.Close()
		return nil, errRevoked
	}
	return sealed, nil
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func (r *Relay) nameOf(c *zmtp.Conn) string {
	if r.cfg.NameOf == nil {
		return ""
	}
	return r.cfg.NameOf(c.Session().Peer(), c.Session().PeerCertificate())
}

// far remembers how the far side was last reached.
type far struct {
	way atomic.Int32 // of asks.ways

	mu      sync.Mutex
	pause   time.Duration
	waiting int           // programs
	up      chan struct{} // closed when a call gets through; nil when nobody waits
}

const (
	leastPause = 10 * time.Millisecond
	// mostPause is for calls that nobody takes, which cost next to nothing.
	mostPause = 200 * time.Millisecond
	// Calls that are taken and come to nothing cost both ends a handshake, so all
	// programs together make about a hundred in a second, and one makes a few.
	pausePerProgram = 10 * time.Millisecond
	leastMostPause  = 250 * time.Millisecond
	mostMostPause   = time.Second
)

// hold keeps a program waiting whose call has failed, longer each time, until a call
// of another gets through.
func (f *far) hold(ctx context.Context, err error) {
	f.mu.Lock()
	f.waiting++
	most := mostPause
	if !isDial(err) {
		most = min(max(time.Duration(f.waiting)*pausePerProgram, leastMostPause), mostMostPause)
	}
	f.pause = min(max(2*f.pause, leastPause), most)
	pause := f.pause/2 + rand.N(f.pause/2)
	if f.up == nil {
		f.up = make(chan struct{})
	}
	up := f.up
	f.mu.Unlock()

	over := time.NewTimer(pause)
	select {
	case <-ctx.Done():
	case <-over.C:
	case <-up:
	}
	over.Stop()
	f.mu.Lock()
	f.waiting--
	f.mu.Unlock()
}

func (f *far) worked() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pause = 0
	if f.up != nil {
		close(f.up)
		f.up = nil
	}
}

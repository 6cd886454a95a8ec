package relay

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
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
		MaxMessage: maxMessage, MaxParts: maxParts, WriteTimeout: -1, Lifetime: r.cfg.Lifetime,
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
		// A program that is turned away at once would come back ten times a second,
		// and each time cost both ends a handshake.
		sleep(ctx, r.far.failed())
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

func (r *Relay) dialSealed(ctx context.Context, said zmtp.Metadata) (*zmtp.Conn, error) {
	cfg := r.asks.Load().handshake
	var err error
	if cfg.Metadata, err = onward(said); err != nil {
		return nil, &plainError{err}
	}
	cfg.Now = time.Now()
	nc, err := r.cfg.Connect.dial(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := zmtp.Initiate(ctx, nc, cfg)
	if err != nil {
		return nil, err
	}
	r.configure(sealed)
	return sealed, nil
}

func (r *Relay) nameOf(c *zmtp.Conn) string {
	if r.cfg.NameOf == nil {
		return ""
	}
	return r.cfg.NameOf(c.Session().Peer(), c.Session().PeerCertificate())
}

// far remembers how the far side was last reached.
type far struct {
	mu    sync.Mutex
	pause time.Duration
}

const (
	leastPause = 50 * time.Millisecond
	mostPause  = time.Second
)

// failed gives how long the program is to be kept waiting, longer each time.
func (f *far) failed() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pause = min(max(2*f.pause, leastPause), mostPause)
	return f.pause/2 + rand.N(f.pause/2)
}

func (f *far) worked() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pause = 0
}

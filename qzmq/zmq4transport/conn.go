package zmq4transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

const (
	nullMechanism = "NULL"
	readyName     = "READY"
)

// conn is one connection, as zmq4 has it: a ZMTP peer under NULL. Reading is in read.go
// and writing in write.go. It has one goroutine, from when the session is up until
// Close returns.
type conn struct {
	ctx    context.Context // ends what goes on before the session is up
	end    context.CancelFunc
	detach func() bool // from the socket's context
	nc     net.Conn
	cfg    *Config
	ready  func(own zmtp.Metadata) error // what follows from zmq4's READY
	once   sync.Once
	closed error

	settling sync.Mutex
	up       chan struct{} // closed when what follows is settled
	sealed   *zmtp.Conn    // nil if it has not come up
	peer     zmtp.Metadata
	failure  error
	leave    func()        // to be called when the peer is gone
	gone     chan struct{} // closed when receive has ended, or will not begin

	inbox  inbox
	unread []byte // the reader's
	spent  []byte // and what unread was cut from

	writing sync.Mutex // guards what follows
	greeted bool
	isReady bool
	said    []byte     // of something that is not whole yet
	frame   zmtp.Frame // that is being written, and how much of it was
	inFrame bool
}

// newConn makes a connection that ends with ctx. Its ready is set before zmq4 has it.
func newConn(ctx context.Context, nc net.Conn, cfg *Config) *conn {
	own := zmtp.NewGreeting(nullMechanism, false)
	c := &conn{nc: nc, cfg: cfg, leave: func() {}, up: make(chan struct{}), gone: make(chan struct{}), unread: own[:]}
	c.inbox.changed.L = &c.inbox.mu
	c.ctx, c.end = context.WithCancel(ctx)
	made := make(chan struct{}) // ctx may end at any moment
	c.detach = context.AfterFunc(ctx, func() { <-made; c.Close() })
	close(made)
	return c
}

// call is ready for who has dialled: it opens the session.
func (c *conn) call(own zmtp.Metadata) error {
	h := c.cfg.Handshake
	h.Metadata, h.Now = own.Append(nil), time.Now()
	sealed, err := zmtp.Initiate(c.ctx, c.nc, h)
	if err != nil {
		return err
	}
	peer, err := zmtp.ParseMetadata(sealed.Session().PeerMetadata())
	if err == nil {
		err = fit(own, peer)
	}
	if err = c.begin(sealed, peer, err); err == nil {
		go c.receive()
	}
	return err
}

// begin lets the session be used, unless there is an error or the connection is closed
// already. Without an error receive is to follow.
func (c *conn) begin(sealed *zmtp.Conn, peer zmtp.Metadata, err error) error {
	if err == nil && !c.settle(sealed, peer, nil) {
		err = net.ErrClosed
	}
	if err != nil {
		sealed.Close()
		sealed.Session().Close()
	}
	return err
}

// settle says how the handshake has ended. Only the first word counts.
func (c *conn) settle(sealed *zmtp.Conn, peer zmtp.Metadata, err error) bool {
	c.settling.Lock()
	defer c.settling.Unlock()
	select {
	case <-c.up:
		return false
	default:
	}
	c.sealed, c.peer, c.failure = sealed, peer, err
	if sealed != nil {
		c.configure()
		c.inbox.put(introduction(peer))
	} else {
		c.inbox.end(err)
		c.leave()
		close(c.gone)
	}
	close(c.up)
	return true
}

// whenGone has leave called when the peer is gone, or now if it is.
func (c *conn) whenGone(leave func()) {
	c.settling.Lock()
	defer c.settling.Unlock()
	select {
	case <-c.up:
		leave()
	default:
		c.leave = leave
	}
}

// configure waits for a peer that does not read: that is back pressure.
func (c *conn) configure() {
	replaced := c.sealed.Session()
	err := c.sealed.Configure(zmtp.Options{
		MaxMessage: c.cfg.MaxMessage, MaxParts: c.cfg.MaxParts, WriteTimeout: -1, Lifetime: c.cfg.Lifetime,
		Rotated: func(s *handshake.Session, err error) {
			if err == nil {
				replaced.Close()
				replaced = s
			}
		},
	})
	if err != nil {
		panic("zmq4transport: " + err.Error()) // limits that New has let pass
	}
}

// Close tells the peer that we go, once all is sent that zmq4 has written, and waits for
// its answer as zmtp.Conn.Close does.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.detach()
		c.settle(nil, nil, net.ErrClosed)
		c.end()
		if c.sealed == nil {
			c.closed = c.nc.Close()
			return
		}
		c.inbox.end(net.ErrClosed)
		c.closed = c.sealed.Close()
		<-c.gone
		c.sealed.Session().Close()
	})
	return c.closed
}

// fail ends the connection for a reason, and gives it as zmq4 understands it.
func (c *conn) fail(reason error) error {
	c.settle(nil, nil, reason)
	c.Close()
	if !errors.Is(reason, io.EOF) && !errors.Is(reason, net.ErrClosed) {
		c.cfg.Log.Warn("a connection has ended", "peer", c.nc.RemoteAddr(), "reason", reason)
	}
	return &endError{reason}
}

// endError is the end of a connection. It is always an io.EOF, since zmq4 takes no
// other error for an end and would keep the connection.
type endError struct{ reason error }

func (e *endError) Error() string        { return "the QZMQ connection has ended: " + e.reason.Error() }
func (e *endError) Unwrap() error        { return e.reason }
func (e *endError) Is(target error) bool { return target == io.EOF }

func (c *conn) LocalAddr() net.Addr  { return c.nc.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// There are no deadlines: zmq4 sets none.
func (c *conn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (c *conn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (c *conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

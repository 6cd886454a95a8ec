package qzmq

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Socket is a ZeroMQ socket. Any number of goroutines may use it, and sending never
// waits for receiving.
//
// Send and Recv wait as long as the options sndtimeo and rcvtimeo say, for ever if
// nothing is said, and end with ErrTimeout, or with ErrAgain where that is 0; Context
// calls end with the cause of their context as well. ErrClosed follows Close. What is
// sent is copied; what is received is the application's.
type Socket interface {
	// Bind makes an endpoint that others connect to, with port * one that the kernel
	// chooses: the option last_endpoint tells which. For ipc the file gets the mode that
	// the umask leaves, as with libzmq; who may write to it may connect.
	Bind(endpoint string) error
	// Connect connects, now or as soon as somebody is there, and again whenever the
	// connection is lost. An error says what is wrong with the endpoint.
	Connect(endpoint string) error
	// Unbind and Disconnect take a Bind and a Connect back, with their connections.
	Unbind(endpoint string) error
	Disconnect(endpoint string) error

	Send(b []byte) error
	SendMultipart(parts [][]byte) error
	SendContext(ctx context.Context, parts ...[]byte) error

	// Recv gives a message; if it has several parts, one after the other.
	Recv() ([]byte, error)
	RecvMultipart() ([][]byte, error)
	RecvMessage(ctx context.Context) (Message, error)
	// Messages gives messages until ctx ends, the socket closes or the loop breaks. The
	// error comes last; the end of ctx, or Close, is none.
	Messages(ctx context.Context) iter.Seq2[Message, error]

	// Subscribe and Unsubscribe are for SUB and XSUB, and for XPUB under xpub_manual. A
	// topic is the beginning of messages.
	Subscribe(topic string) error
	Unsubscribe(topic string) error

	// SetOption and GetOption have the names of libzmq in lower case. An unknown name, or
	// a value of another type, is an error.
	SetOption(key string, value any) error
	GetOption(key string) (any, error)

	// Monitor gives events from now on, until the socket is closed, which closes the
	// channel. Who does not read misses some.
	Monitor() <-chan Event
	GetMetrics() *SocketMetrics
	// Rotate replaces every session by one with new keys, and returns when that is done.
	// The error joins those of all sessions, each an ErrKeyRotationFailed.
	Rotate(ctx context.Context) error

	// Close ends the socket when everything is sent, or after the option linger. When it
	// returns nothing of the socket runs any more.
	Close() error
}

// Message is what RecvMessage gives.
type Message struct {
	// Parts are the application's. They are slices of memory that a few other messages
	// stand in too, those that came with them: who keeps a small one for long keeps up
	// to 64 KiB, and may prefer a copy.
	Parts [][]byte
	// Peer is who has sent it, authenticated, and is not to be changed.
	Peer *Peer
}

type socket struct {
	transport *transport
	kind      SocketType
	pattern   pattern
	mail      mailbox
	monitors  monitors
	named     atomic.Pointer[[]byte] // the option routing_id
	rekeyed   atomic.Uint64          // sessions that were replaced

	// How the socket ends: close.go.
	all     sync.WaitGroup     // its goroutines
	ctx     context.Context    // ends when linger is over, and all connections with it
	cancel  context.CancelFunc // of ctx
	staying context.Context    // ends with Close: nothing new begins
	depart  context.CancelFunc // of staying

	mu       sync.Mutex // guards what follows, the pattern and the pipes
	set      settings
	metrics  metrics
	pipes    map[*pipe]struct{}
	binds    []*listener
	connects []*dialer
	last     string // endpoint
	closed   bool
	one      [1][]byte // for Send
	scratch  [][]byte  // for Recv
}

func newSocket(t *transport, kind SocketType) (*socket, error) {
	s := &socket{transport: t, kind: kind, pipes: map[*pipe]struct{}{}, set: t.set}
	s.set.drops = kind.drops()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.staying, s.depart = context.WithCancel(s.ctx)
	id := t.set.routingID
	s.named.Store(&id)
	var err error
	s.pattern, err = newPattern(s)
	return s, err
}

// collect brings the pattern up to date. The caller holds s.mu.
func (s *socket) collect() {
	if s.mail.posted.Load() {
		s.mail.collect(s.handle)
	}
}

func (s *socket) handle(p *pipe, e event) {
	if e&readable != 0 {
		s.pattern.readable(p)
	}
	if e&writable != 0 {
		if _, there := s.pipes[p]; there {
			s.pattern.writable(p)
		}
	}
}

func (s *socket) Send(b []byte) error {
	s.mu.Lock()
	err := s.tryOne(b)
	s.mu.Unlock()
	if err != errAgain {
		return err
	}
	return s.sendWaiting(context.Background(), b, nil)
}

func (s *socket) SendMultipart(parts [][]byte) error {
	return s.SendContext(context.Background(), parts...)
}

func (s *socket) SendContext(ctx context.Context, parts ...[]byte) error {
	if len(parts) == 0 {
		return fmt.Errorf("%w: a message has at least one part", ErrInvalidOptions)
	}
	return s.sendWaiting(ctx, nil, parts)
}

// sendWaiting sends parts, or one where there are none, and waits while there is no room.
func (s *socket) sendWaiting(ctx context.Context, one []byte, parts [][]byte) error {
	var p *patience
	defer s.endWait(&p)
	for {
		s.mu.Lock()
		var err error
		if parts == nil {
			err = s.tryOne(one)
		} else {
			err = s.trySend(parts)
		}
		if err != errAgain {
			s.mu.Unlock()
			return err
		}
		p = s.mail.wait(p)
		timeout := s.set.sndTimeout
		s.mu.Unlock()
		if err := p.wait(ctx, timeout); err != nil {
			return err
		}
	}
}

// tryOne is trySend for a message of one part, which takes no memory.
func (s *socket) tryOne(b []byte) error {
	s.one[0] = b
	err := s.trySend(s.one[:])
	s.one[0] = nil
	return err
}

// trySend gives a message to the pattern. The caller holds s.mu.
func (s *socket) trySend(parts [][]byte) error {
	if s.closed {
		return ErrClosed
	}
	s.collect()
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if s.set.maxMessage >= 0 && int64(size) > s.set.maxMessage {
		s.metrics.errors++
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, s.set.maxMessage)
	}
	if err := s.pattern.send(parts); err != nil {
		if err != errAgain {
			s.metrics.errors++
		}
		return err
	}
	s.metrics.sent++
	s.metrics.bytesSent += uint64(size)
	if s.kind == REQ {
		s.metrics.asked = time.Now()
	}
	return nil
}

func (s *socket) Recv() ([]byte, error) {
	var b []byte
	err := s.recvWaiting(context.Background(), func(parts [][]byte, _ *Peer) {
		if b = parts[0]; len(parts) > 1 {
			size := 0
			for _, p := range parts {
				size += len(p)
			}
			b = make([]byte, 0, size)
			for _, p := range parts {
				b = append(b, p...)
			}
		}
	})
	return b, err
}

func (s *socket) RecvMultipart() ([][]byte, error) {
	m, err := s.RecvMessage(context.Background())
	return m.Parts, err
}

func (s *socket) RecvMessage(ctx context.Context) (m Message, err error) {
	err = s.recvWaiting(ctx, func(parts [][]byte, from *Peer) {
		m.Parts = append(make([][]byte, 0, len(parts)), parts...)
		m.Peer = from
	})
	return m, err
}

func (s *socket) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			m, err := s.RecvMessage(ctx)
			if ctx.Err() != nil || err == ErrClosed {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// recvWaiting gives the next message to take, which must not keep parts, and waits
// while there is none.
func (s *socket) recvWaiting(ctx context.Context, take func(parts [][]byte, from *Peer)) error {
	var p *patience
	defer s.endWait(&p)
	for {
		s.mu.Lock()
		parts, from, err := s.tryRecv()
		if err == nil {
			take(parts, from)
			clear(parts)
			s.mu.Unlock()
			return nil
		}
		if err != errAgain {
			s.mu.Unlock()
			return err
		}
		p = s.mail.wait(p)
		timeout := s.set.rcvTimeout
		s.mu.Unlock()
		if err := p.wait(ctx, timeout); err != nil {
			return err
		}
	}
}

// tryRecv gives the next message, in s.scratch. The caller holds s.mu.
func (s *socket) tryRecv() ([][]byte, *Peer, error) {
	if s.closed {
		return nil, nil, ErrClosed
	}
	s.collect()
	parts, p, err := s.pattern.recv(s.scratch[:0])
	s.scratch = parts[:0]
	if err != nil {
		if err != errAgain {
			s.metrics.errors++
		}
		return nil, nil, err
	}
	s.metrics.received++
	for _, part := range parts {
		s.metrics.bytesReceived += uint64(len(part))
	}
	if s.kind == REQ {
		s.metrics.latency += time.Since(s.metrics.asked)
		s.metrics.replies++
	}
	return parts, p.whose, nil
}

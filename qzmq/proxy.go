package qzmq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// Proxy carries messages between two sockets, both ways as far as their types do, and
// gives a copy of each to capture unless that is nil. It runs until ctx ends, which is
// no error, or a socket fails or is closed.
func Proxy(ctx context.Context, frontend, backend, capture Socket) error {
	return ProxySteerable(ctx, frontend, backend, capture, nil)
}

// ProxySteerable is Proxy that obeys what control receives, as libzmq's does:
//
//	PAUSE       nothing is carried until RESUME
//	RESUME
//	TERMINATE   the proxy ends
//	STATISTICS  control is sent eight numbers of 64 bits, little endian: messages and
//	            bytes that frontend received, that it was given to send, and the same
//	            of backend
//
// Where control is a REP, the other commands are answered with an empty message.
func ProxySteerable(ctx context.Context, frontend, backend, capture, control Socket) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p := &proxy{capture: capture, resumed: make(chan struct{})}
	close(p.resumed)
	var all sync.WaitGroup
	run := func(f func() error) {
		all.Go(func() {
			if err := f(); err != nil {
				stop(err)
			}
		})
	}
	run(func() error { return p.carry(ctx, frontend, backend, &p.front, &p.back) })
	if frontend != backend {
		run(func() error { return p.carry(ctx, backend, frontend, &p.back, &p.front) })
	}
	if control != nil {
		run(func() error { return p.obey(ctx, control) })
	}
	<-ctx.Done()
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && err != errTerminated {
		return err
	}
	return nil
}

var errTerminated = errors.New("qzmq: the proxy was told to end")

type proxy struct {
	capture Socket

	mu          sync.Mutex // guards what follows
	resumed     chan struct{}
	paused      bool
	front, back traffic
}

// traffic is what one side of a proxy has received and sent.
type traffic struct{ messagesIn, bytesIn, messagesOut, bytesOut uint64 }

// carry carries one way, until an error. A side that does not receive has nothing to
// carry.
func (p *proxy) carry(ctx context.Context, from, to Socket, in, out *traffic) error {
	for {
		m, err := from.RecvMessage(ctx)
		if errors.Is(err, ErrNotSupported) {
			return nil
		}
		if err == nil {
			err = p.mayGo(ctx) // not if it came while the proxy is paused
		}
		if err != nil {
			return err
		}
		if p.capture != nil {
			if err := p.capture.SendContext(ctx, m.Parts...); err != nil {
				return fmt.Errorf("qzmq: proxy: capture: %w", err)
			}
		}
		size := uint64(0)
		for _, part := range m.Parts {
			size += uint64(len(part))
		}
		p.count(&in.messagesIn, &in.bytesIn, size)
		// Whoever has received it may ask for the figures at once.
		p.count(&out.messagesOut, &out.bytesOut, size)
		err = to.SendContext(ctx, m.Parts...)
		if errors.Is(err, ErrNotSupported) || errors.Is(err, ErrHostUnreachable) {
			continue // it has nowhere to go
		}
		if err != nil {
			return err
		}
	}
}

func (p *proxy) count(messages, bytes *uint64, size uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*messages++
	*bytes += size
}

// mayGo waits while the proxy is paused.
func (p *proxy) mayGo(ctx context.Context) error {
	p.mu.Lock()
	resumed := p.resumed
	p.mu.Unlock()
	select {
	case <-resumed:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// obey takes commands until one says to end.
func (p *proxy) obey(ctx context.Context, control Socket) error {
	for {
		m, err := control.RecvMessage(ctx)
		if err != nil {
			return err
		}
		var answer []byte
		command := string(m.Parts[0])
		p.mu.Lock()
		switch command {
		case "PAUSE":
			if !p.paused {
				p.paused, p.resumed = true, make(chan struct{})
			}
		case "RESUME":
			if p.paused {
				p.paused = false
				close(p.resumed)
			}
		case "STATISTICS":
			for _, side := range []traffic{p.front, p.back} {
				for _, n := range []uint64{side.messagesIn, side.bytesIn, side.messagesOut, side.bytesOut} {
					answer = binary.LittleEndian.AppendUint64(answer, n)
				}
			}
		}
		p.mu.Unlock()
		kind, _ := control.GetOption("type")
		if kind == REP || answer != nil {
			if err := control.SendContext(ctx, eight(answer)...); err != nil {
				return err
			}
		}
		if command == "TERMINATE" {
			return errTerminated
		}
	}
}

// eight cuts statistics into the parts that libzmq sends, one for each number.
func eight(numbers []byte) [][]byte {
	if numbers == nil {
		return [][]byte{nil}
	}
	var parts [][]byte
	for ; len(numbers) > 0; numbers = numbers[8:] {
		parts = append(parts, numbers[:8])
	}
	return parts
}

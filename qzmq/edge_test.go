package qzmq

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestWrongTypes(t *testing.T) {
	for _, plain := range []bool{false, true} {
		a, b := sites(t, plain, nil)
		pull, sub := open(t, b, PULL), open(t, a, SUB)
		events := pull.Monitor()
		connect(t, sub, bind(t, pull, tcp))
		if e := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(e.Err, errPeerType) {
			t.Errorf("%v", e.Err)
		}
		if err := sub.Connect("inproc://pull"); err != nil {
			t.Error(err)
		}
		other := open(t, a, PULL)
		if err := other.Bind("inproc://pull"); err != nil {
			t.Error(err)
		}
	}
	a, _ := sites(t, true, nil)
	if _, err := a.NewSocket(STREAM); !errors.Is(err, ErrNotSupported) {
		t.Errorf("STREAM: %v", err)
	}
	if _, err := a.NewSocket(99); !errors.Is(err, ErrInvalidOptions) {
		t.Errorf("99: %v", err)
	}
}

// TestEndpoints refuses what is no endpoint, and what is taken.
func TestEndpoints(t *testing.T) {
	a, _ := sites(t, true, nil)
	s := open(t, a, DEALER)
	for _, url := range []string{"", "tcp://", "tcp://host", "tcp://host:port", "tcp://:1", "udp://127.0.0.1:1", "qzmq+inproc://x", "ipc://", "ipc://@", "inproc://", "tcp://127.0.0.1:70000", "ipc://" + strings.Repeat("x", 200)} {
		if err := errors.Join(s.Bind(url), s.Connect(url)); !errors.Is(err, ErrInvalidOptions) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if err := s.Connect("tcp://127.0.0.1:*"); !errors.Is(err, ErrInvalidOptions) {
		t.Errorf("%v", err)
	}
	url := bind(t, s, "tcp://*:*")
	if err := s.Bind(url); err == nil {
		t.Error("an address is bound twice")
	}
	bind(t, s, "inproc://x")
	if err := s.Bind("inproc://x"); !errors.Is(err, ErrAddressInUse) {
		t.Errorf("%v", err)
	}
	path := "ipc://" + t.TempDir() + "/s"
	bind(t, s, path)
	if err := s.Bind(path); err == nil {
		t.Error("a path is bound twice")
	}
}

// TestSubscriberThatLeaves has a subscriber go before the publisher looks: nothing of
// it stays.
func TestSubscriberThatLeaves(t *testing.T) {
	for _, url := range []string{tcp, "inproc://leave"} {
		a, b := sites(t, false, nil)
		if url != tcp {
			b = a
		}
		pub, sub := open(t, b, PUB), open(t, a, SUB)
		events := pub.Monitor()
		for i := range 50 {
			sub.Subscribe(fmt.Sprint(i))
		}
		connect(t, sub, bind(t, pub, url))
		if url == tcp {
			awaitEvent(t, events, EventConnected)
		}
		sub.Close()
		if url == tcp {
			awaitEvent(t, events, EventDisconnected)
		}
		send(t, pub, "1")
		k := pub.(*socket)
		k.mu.Lock()
		topics := &k.pattern.(*publisher).topics
		if len(topics.kids) > 0 || topics.there || len(k.pipes) > 0 {
			t.Errorf("%d topics are left of who is gone, and %d pipes", len(topics.kids), len(k.pipes))
		}
		k.mu.Unlock()
	}
}

func TestTooLarge(t *testing.T) {
	a, b := sites(t, false, nil)
	pull, push := open(t, b, PULL, "maxmsgsize", 1000), open(t, a, PUSH)
	events, others := pull.Monitor(), push.Monitor()
	connect(t, push, bind(t, pull, tcp))
	send(t, push, strings.Repeat("x", 1001))
	if e := awaitEvent(t, events, EventDisconnected); e.Err == nil {
		t.Error("too large a message ends in good order")
	}
	awaitEvent(t, others, EventDisconnected)
	push.SetOption("maxmsgsize", 1000)
	if err := push.Send(make([]byte, 1001)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	send(t, push, strings.Repeat("x", 1000))
	expect(t, pull, strings.Repeat("x", 1000))
}

func TestManyGoroutines(t *testing.T) {
	a, b := sites(t, false, nil)
	before := runtime.NumGoroutine()
	x, y := open(t, b, DEALER), open(t, a, DEALER)
	connect(t, y, bind(t, x, tcp))
	var all sync.WaitGroup
	for _, s := range []Socket{x, y} {
		for range 4 {
			all.Go(func() {
				for i := range 500 {
					if err := s.Send(fmt.Append(nil, i)); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				for range 500 {
					if _, err := s.Recv(); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	x.Close()
	y.Close()
	settled(t, before)
}

func TestMessagesIterator(t *testing.T) {
	a, _ := sites(t, true, nil)
	pull, push := open(t, a, PULL), open(t, a, PUSH)
	connect(t, push, bind(t, pull, "inproc://iterate"))
	for i := range 5 {
		send(t, push, fmt.Sprint(i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for m, err := range pull.Messages(ctx) {
		if err != nil || string(m.Parts[0]) != fmt.Sprint(n) {
			t.Fatalf("%q, %v", m.Parts, err)
		}
		if n++; n == 5 {
			cancel()
		}
	}
	if n != 5 {
		t.Errorf("%d messages", n)
	}
}

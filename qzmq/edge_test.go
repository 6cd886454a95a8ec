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

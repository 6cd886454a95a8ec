package qzmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestReconnect cuts the connection of every pattern again and again; who connects
// comes back, with a ticket, and subscriptions with it.
func TestReconnect(t *testing.T) {
	a, b := sites(t, false, nil)
	pull, push := open(t, b, PULL), open(t, a, PUSH, "reconnect_ivl", 10)
	way, url := newPath(t, bind(t, pull, tcp))
	events := push.Monitor()
	connect(t, push, url)
	sub, pub := open(t, a, SUB, "reconnect_ivl", 10), open(t, b, PUB)
	others := pub.Monitor()
	way2, url2 := newPath(t, bind(t, pub, tcp))
	sub.Subscribe("x")
	connect(t, sub, url2)
	for i := range 5 {
		e := awaitEvent(t, events, EventConnected)
		if e.Resumed != (i > 0) {
			t.Errorf("connection %d: resumed is %v", i, e.Resumed)
		}
		send(t, push, fmt.Sprint(i))
		expect(t, pull, fmt.Sprint(i))
		subscribed(t, pub, 1)
		send(t, pub, "x", fmt.Sprint(i))
		expect(t, sub, "x|"+fmt.Sprint(i))
		way.cut()
		if e := awaitEvent(t, events, EventDisconnected); e.Err == nil {
			t.Error("a connection that was cut has ended in good order")
		}
		way2.cut()
		awaitEvent(t, others, EventDisconnected)
	}
}

// TestHeartbeats: a peer that is not heard is given up, one that is slow but there is
// not, and what a peer asks for by its time to live is kept.
func TestHeartbeats(t *testing.T) {
	for _, test := range []struct {
		name     string
		options  []any
		dies     bool
		byServer bool
	}{
		{"ours", []any{"heartbeat_ivl", 50, "heartbeat_timeout", 700}, true, false},
		{"theirs", []any{"heartbeat_ivl", 50, "heartbeat_timeout", 60_000, "heartbeat_ttl", 700}, true, true},
		{"none", []any{"heartbeat_ivl", 0}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := sites(t, false, func(o *Options) { o.Timeouts.Heartbeat = 0 })
			server, client := open(t, b, DEALER), open(t, a, DEALER, append(test.options, "reconnect_ivl", 10)...)
			way, url := newPath(t, bind(t, server, tcp))
			connect(t, client, url)
			connected(t, client, 1)
			connected(t, server, 1)
			mine, told, other := client.Monitor(), client.Monitor(), server.Monitor()
			time.Sleep(900 * time.Millisecond) // heartbeats keep it
			select {
			case e := <-told:
				t.Fatalf("%v: %v", e.Kind, e.Err)
			default:
			}
			way.freeze(true)
			if test.byServer {
				told = other
			}
			if !test.dies {
				time.Sleep(400 * time.Millisecond)
			} else if e := awaitEvent(t, told, EventDisconnected); !errors.Is(e.Err, errHeartbeat) {
				t.Errorf("%v", e.Err)
			}
			way.freeze(false)
			if test.dies {
				awaitEvent(t, mine, EventConnected)
			}
			send(t, client, "back")
			expect(t, server, "back")
		})
	}
}

func TestRotate(t *testing.T) {
	a, b := sites(t, false, nil)
	x, y := open(t, b, DEALER), open(t, a, DEALER)
	if err := x.Rotate(context.Background()); !errors.Is(err, ErrNotConnected) {
		t.Errorf("%v", err)
	}
	connect(t, y, bind(t, x, tcp))
	connected(t, x, 1)
	connected(t, y, 1)
	events := y.Monitor()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // messages flow on meanwhile
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			send(t, y, fmt.Sprint(i))
			expect(t, x, fmt.Sprint(i))
			send(t, x, fmt.Sprint(i))
			expect(t, y, fmt.Sprint(i))
		}
	})
	for i, s := range []Socket{y, x} { // the initiator, and who has to ask it
		events := x.Monitor()
		if err := s.Rotate(ctx); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		awaitEvent(t, events, EventRekeyed)
	}
	close(stop)
	all.Wait()
	awaitEvent(t, events, EventRekeyed)
	awaitEvent(t, events, EventRekeyed)
	if n := y.GetMetrics().KeyUpdates; n != 2 {
		t.Errorf("%d rotations", n)
	}
	if n := a.Stats().KeyRotations; n != 2 {
		t.Errorf("%d rotations", n)
	}
}

// TestRotationPolicy has a session be replaced by itself.
func TestRotationPolicy(t *testing.T) {
	a, b := sites(t, false, func(o *Options) { o.KeyRotation.MaxAge = 2 * time.Second })
	pull, push := open(t, b, PULL), open(t, a, PUSH)
	events := push.Monitor()
	connect(t, push, bind(t, pull, tcp))
	send(t, push, "x")
	expect(t, pull, "x")
	awaitEvent(t, events, EventRekeyed)
	send(t, push, "y")
	expect(t, pull, "y")
}

// TestEarlyData: what waits for a reconnection and is of a safe topic comes with its
// first flight; what is not, behind it, and all in order.
func TestEarlyData(t *testing.T) {
	a, b := sites(t, false, func(o *Options) { o.ZeroRTT, o.SafeTopics = true, []string{"status"} })
	pull, push := open(t, b, PULL), open(t, a, PUSH, "reconnect_ivl", 100)
	way, url := newPath(t, bind(t, pull, tcp))
	events := push.Monitor()
	connect(t, push, url)
	send(t, push, "status", "first")
	expect(t, pull, "status|first")
	early := 0
	for i := range 4 {
		way.cut()
		awaitEvent(t, events, EventDisconnected)
		send(t, push, "status", fmt.Sprint(i))
		send(t, push, "status", "again")
		send(t, push, "order", fmt.Sprint(i))
		send(t, push, "status", "late")
		expect(t, pull, "status|"+fmt.Sprint(i))
		expect(t, pull, "status|again")
		expect(t, pull, "order|"+fmt.Sprint(i))
		expect(t, pull, "status|late")
		if e := awaitEvent(t, events, EventConnected); e.Resumed {
			early++
		}
	}
	if early != 4 {
		t.Errorf("%d of 4 connections were resumed", early)
	}
	if n := b.Stats().EarlyMessages; n != 8 {
		t.Errorf("%d messages came early, want 8", n)
	}
}

// TestProxySubscriptions has subscriptions go through XSUB and XPUB.
// TestSocketOptions reads back what was set, and refuses what cannot be.
// TestNothingIsLeft closes a transport whose sockets are at all stages.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	a, b := sites(t, false, nil)
	pull := open(t, b, PULL)
	url := bind(t, pull, tcp)
	silentPeer, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silentPeer.Close()
	push := open(t, a, PUSH)
	connect(t, push, url)
	connect(t, push, "tcp://127.0.0.1:1") // nobody
	for range 100 {
		send(t, push, strings.Repeat("x", 10_000))
	}
	began := time.Now()
	a.Close()
	b.Close()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("closing took %v", took)
	}
	settled(t, before)
	if _, err := a.NewSocket(PUSH); err != ErrClosed {
		t.Errorf("%v", err)
	}
}

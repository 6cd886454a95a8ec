package qzmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const tcp = "tcp://127.0.0.1:*"

// connected waits for so many peers.
func connected(t testing.TB, s Socket, n int) {
	t.Helper()
	for range 500 {
		k := s.(*socket)
		k.mu.Lock()
		live := 0
		for p := range k.pipes {
			if p.live {
				live++
			}
		}
		k.mu.Unlock()
		if live == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("there are not %d peers", n)
}

func silent(t testing.TB, s Socket) {
	t.Helper()
	s.SetOption("rcvtimeo", 50)
	defer s.SetOption("rcvtimeo", 5*time.Second)
	if m, err := s.RecvMultipart(); !errors.Is(err, ErrTimeout) {
		t.Fatalf("received %q, %v", m, err)
	}
}

func TestRoundRobin(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *transport, url string) {
		push := open(t, b, PUSH)
		url = bind(t, push, url)
		var pulls []Socket
		for i := range 3 {
			pull := open(t, a, PULL)
			connect(t, pull, url)
			connected(t, push, i+1)
			pulls = append(pulls, pull)
		}
		for i := range 9 {
			send(t, push, fmt.Sprint(i%3))
		}
		for _, pull := range pulls {
			first := recv(t, pull)
			expect(t, pull, first)
			expect(t, pull, first)
			silent(t, pull)
		}
	})
}

// TestHighWater: a sender without room waits, or is told, or drops, as its type says.
func TestHighWater(t *testing.T) {
	a, _ := sites(t, true, nil)
	for _, test := range []struct {
		from, to SocketType
		drops    bool
	}{{PUSH, PULL, false}, {DEALER, DEALER, false}, {PAIR, PAIR, false}, {PUB, SUB, true}, {ROUTER, DEALER, true}} {
		to, from := open(t, a, test.to, "rcvhwm", 3), open(t, a, test.from, "sndhwm", 2, "sndtimeo", 0)
		url := bind(t, from, "inproc://"+test.from.String())
		if test.to == SUB {
			to.Subscribe("")
		} else if test.to == DEALER {
			to.SetOption("routing_id", "x")
		}
		connect(t, to, url)
		n := 0
		for n < 20 {
			if err := from.SendMultipart([][]byte{[]byte("x"), nil}); err != nil {
				if !errors.Is(err, ErrAgain) {
					t.Errorf("%v: %v", test.from, err)
				}
				break
			}
			n++
		}
		if test.drops && n != 20 || !test.drops && n != 5 {
			t.Errorf("%v has sent %d", test.from, n)
		}
		got := 0
		for to.SetOption("rcvtimeo", 0); ; got++ {
			if _, err := to.RecvMultipart(); err != nil {
				break
			}
		}
		if got != 5 {
			t.Errorf("%v has received %d, want 5", test.to, got)
		}
		if dropped := from.GetMetrics().MessagesDropped; test.drops && dropped != 15 {
			t.Errorf("%v has dropped %d", test.from, dropped)
		}
		if err := from.SendMultipart([][]byte{[]byte("x"), []byte("again")}); err != nil {
			t.Errorf("%v has no room again: %v", test.from, err)
		}
		from.Close()
		to.Close()
	}
}

// TestSlowPeer: one that does not read costs nobody else anything.
func TestSlowPeer(t *testing.T) {
	a, b := sites(t, false, nil)
	pub := open(t, b, PUB, "sndhwm", 100)
	url := bind(t, pub, tcp)
	slow, fast := open(t, a, SUB, "rcvhwm", 10), open(t, a, SUB, "rcvhwm", 0)
	for _, s := range []Socket{slow, fast} {
		s.Subscribe("")
		connect(t, s, url)
	}
	subscribed(t, pub, 2)
	body := strings.Repeat("x", 10_000)
	for i := range 2000 {
		send(t, pub, fmt.Sprint(i), body)
		if i%50 == 49 { // the fast one keeps up
			for k := i - 49; k <= i; k++ {
				expect(t, fast, fmt.Sprint(k)+"|"+body)
			}
		}
	}
	if pub.GetMetrics().MessagesDropped == 0 {
		t.Error("nothing was dropped for the slow one")
	}
}

// TestBlockedSend: a Send waits for room, ends with its context, and with Close.
func TestBlockedSend(t *testing.T) {
	a, _ := sites(t, true, nil)
	push := open(t, a, PUSH, "sndtimeo", -1)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := push.SendContext(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a peer: %v", err)
	}
	if _, err := push.Recv(); !errors.Is(err, ErrNotSupported) {
		t.Errorf("a PUSH receives: %v", err)
	}
	done := make(chan error)
	go func() { done <- push.Send([]byte("x")) }()
	time.Sleep(10 * time.Millisecond)
	pull := open(t, a, PULL)
	connect(t, push, bind(t, pull, "inproc://later"))
	if err := <-done; err != nil {
		t.Error(err)
	}
	expect(t, pull, "x")
	go func() { _, err := pull.Recv(); done <- err }()
	time.Sleep(10 * time.Millisecond)
	pull.Close()
	if err := <-done; err != ErrClosed {
		t.Errorf("after Close: %v", err)
	}
	for range 2 {
		if err := pull.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
	}
	if err := pull.Bind("inproc://x"); err != ErrClosed {
		t.Errorf("%v", err)
	}
}

func TestConflate(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *transport, url string) {
		pull, push := open(t, b, PULL, "conflate", true), open(t, a, PUSH, "conflate", true)
		connect(t, push, bind(t, pull, url))
		for i := range 100 {
			send(t, push, fmt.Sprint(i))
		}
		time.Sleep(200 * time.Millisecond)
		received := 1
		for recv(t, pull) != "99" { // on a slow machine the last one may be under way
			received++
		}
		if received > 50 {
			t.Errorf("%d messages of 100 were kept", received)
		}
		silent(t, pull)
	})
}

// TestImmediate: with it nothing waits for who is not there.
func TestImmediate(t *testing.T) {
	a, b := sites(t, false, nil)
	there := open(t, b, PULL)
	url := bind(t, there, tcp)
	gone := open(t, b, PULL)
	nobody := bind(t, gone, tcp)
	gone.Close()
	push := open(t, a, PUSH, "immediate", 1, "sndtimeo", 50)
	connect(t, push, nobody)
	if err := push.Send(nil); !errors.Is(err, ErrTimeout) {
		t.Errorf("%v", err)
	}
	connect(t, push, url)
	push.SetOption("sndtimeo", 5000)
	for i := range 10 {
		send(t, push, fmt.Sprint(i))
		expect(t, there, fmt.Sprint(i))
	}
}

func TestLinger(t *testing.T) {
	a, b := sites(t, false, nil)
	pull := open(t, b, PULL)
	url := bind(t, pull, tcp)
	for _, n := range []int{1, 5000} {
		push := open(t, a, PUSH, "linger", -1)
		connect(t, push, url)
		go func() {
			for i := range n {
				push.Send(fmt.Append(nil, i))
			}
			push.Close()
		}()
		for i := range n {
			expect(t, pull, fmt.Sprint(i))
		}
	}
	// Nobody is there: linger is over at its end, and at once.
	pull.Close()
	for _, linger := range []time.Duration{0, 300 * time.Millisecond} {
		push := open(t, a, PUSH, "linger", linger)
		connect(t, push, url)
		send(t, push, "x")
		events := push.Monitor()
		began := time.Now()
		push.Close()
		if took := time.Since(began); took < linger || took > linger+time.Second {
			t.Errorf("linger %v took %v", linger, took)
		}
		tried := 0
		for e := range events {
			if e.Kind == EventConnecting {
				tried++
			}
		}
		if tried > 10 {
			t.Errorf("%d attempts in %v", tried, linger)
		}
	}
}

// TestManyGoroutines has one socket be used by many, both ways.

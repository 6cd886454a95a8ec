package qzmq

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
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
		if got := recv(t, pull); got != "99" {
			t.Errorf("%s", got)
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
		began := time.Now()
		push.Close()
		if took := time.Since(began); took < linger || took > linger+time.Second {
			t.Errorf("linger %v took %v", linger, took)
		}
	}
}

func TestMandatoryAndHandover(t *testing.T) {
	a, b := sites(t, false, nil)
	router := open(t, b, ROUTER)
	url := bind(t, router, tcp)
	send(t, router, "nobody", "x") // dropped
	router.SetOption("router_mandatory", true)
	if err := router.SendMultipart([][]byte{[]byte("nobody"), nil}); !errors.Is(err, ErrHostUnreachable) {
		t.Errorf("%v", err)
	}
	first := open(t, a, DEALER, "identity", "x")
	connect(t, first, url)
	send(t, first, "1")
	expect(t, router, "x|1")
	second := open(t, a, DEALER, "identity", "x")
	events := router.Monitor()
	connect(t, second, url)
	if e := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(e.Err, errDuplicateID) {
		t.Errorf("%v", e.Err)
	}
	send(t, router, "x", "for the first")
	expect(t, first, "for the first")
	router.SetOption("router_handover", true)
	third := open(t, a, DEALER, "identity", "x")
	first.SetOption("reconnect_ivl", -1)
	second.Close()
	connect(t, third, url)
	send(t, third, "3")
	expect(t, router, "x|3")
	send(t, router, "x", "for the third")
	expect(t, third, "for the third")
}

func TestRequestRelaxed(t *testing.T) {
	a, _ := sites(t, true, nil)
	router, req := open(t, a, ROUTER), open(t, a, REQ, "req_relaxed", true, "req_correlate", true)
	connect(t, req, bind(t, router, tcp))
	var ids []string
	for i := range 3 {
		send(t, req, fmt.Sprint(i))
		m, err := router.RecvMultipart()
		if err != nil || len(m) != 4 || len(m[1]) != 4 || len(m[2]) != 0 || string(m[3]) != fmt.Sprint(i) {
			t.Fatalf("%q, %v", m, err)
		}
		ids = append(ids, string(m[0])+"|"+string(m[1]))
	}
	for i, both := range ids { // the first two are late
		id, correlation, _ := strings.Cut(both, "|")
		send(t, router, id, correlation, "", "reply "+fmt.Sprint(i))
	}
	expect(t, req, "reply 2")
	// Without ids it is the connection that tells old from new.
	rep, req2 := open(t, a, REP), open(t, a, REQ, "req_relaxed", true, "reconnect_ivl", 1)
	connect(t, req2, bind(t, rep, tcp))
	send(t, req2, "old")
	expect(t, rep, "old")
	send(t, req2, "new")
	time.Sleep(100 * time.Millisecond)
	send(t, rep, "to old")
	expect(t, rep, "new")
	send(t, rep, "to new")
	expect(t, req2, "to new")
}

func TestReplyEnvelope(t *testing.T) {
	a, _ := sites(t, true, nil)
	dealer, rep := open(t, a, DEALER), open(t, a, REP)
	connect(t, dealer, bind(t, rep, "inproc://rep"))
	send(t, dealer, "malformed")
	send(t, dealer, "")
	send(t, dealer, "a", "", "body", "", "more")
	expect(t, rep, "body||more")
	send(t, rep, "answer")
	expect(t, dealer, "a||answer")
}

func TestProbeRouter(t *testing.T) {
	a, b := sites(t, false, nil)
	router, dealer := open(t, b, ROUTER), open(t, a, DEALER, "probe_router", true, "routing_id", "x")
	connect(t, dealer, bind(t, router, tcp))
	expect(t, router, "x|")
	send(t, router, "x", "hello")
	expect(t, dealer, "hello")
}

func TestVerbose(t *testing.T) {
	for _, test := range []struct {
		option string
		want   string
	}{{"", "\x01a,\x00a"}, {"xpub_verbose", "\x01a,\x01a,\x00a"}, {"xpub_verboser", "\x01a,\x01a,\x00a,\x00a"}} {
		a, b := sites(t, false, nil)
		xpub := open(t, b, XPUB)
		if test.option != "" {
			xpub.SetOption(test.option, true)
		}
		url := bind(t, xpub, tcp)
		var subs []Socket
		for i := range 2 {
			sub := open(t, a, SUB)
			connect(t, sub, url)
			sub.Subscribe("a")
			subscribed(t, xpub, i+1)
			subs = append(subs, sub)
		}
		subs[0].Unsubscribe("a")
		subscribed(t, xpub, 1)
		subs[1].Close()
		subscribed(t, xpub, 0)
		var got []string
		for xpub.SetOption("rcvtimeo", 50); ; {
			m, err := xpub.Recv()
			if err != nil {
				break
			}
			got = append(got, string(m))
		}
		if strings.Join(got, ",") != test.want {
			t.Errorf("%q: %q, want %q", test.option, got, test.want)
		}
	}
}

func TestManual(t *testing.T) {
	a, b := sites(t, false, nil)
	xpub, sub := open(t, b, XPUB, "xpub_manual", true, "xpub_welcome_msg", "welcome"), open(t, a, SUB)
	sub.Subscribe("")
	if err := xpub.Subscribe("x"); !errors.Is(err, ErrState) {
		t.Errorf("%v", err)
	}
	connect(t, sub, bind(t, xpub, tcp))
	expect(t, sub, "welcome")
	expect(t, xpub, "\x01")
	if err := xpub.Subscribe("only"); err != nil {
		t.Fatal(err)
	}
	send(t, xpub, "other")
	send(t, xpub, "only this")
	expect(t, sub, "only this")
}

func TestNoDrop(t *testing.T) {
	a, _ := sites(t, true, nil)
	xpub, sub := open(t, a, XPUB, "xpub_nodrop", true, "sndhwm", 2, "sndtimeo", 0), open(t, a, SUB, "rcvhwm", 2)
	sub.Subscribe("")
	connect(t, sub, bind(t, xpub, "inproc://nodrop"))
	subscribed(t, xpub, 1)
	n := 0
	for ; n < 10; n++ {
		if err := xpub.Send([]byte("x")); err != nil {
			break
		}
	}
	if n != 4 {
		t.Errorf("%d were sent", n)
	}
}

func TestInvertMatching(t *testing.T) {
	a, b := sites(t, false, nil)
	pub, sub := open(t, b, PUB, "invert_matching", true), open(t, a, SUB, "invert_matching", true)
	sub.Subscribe("a")
	connect(t, sub, bind(t, pub, tcp))
	subscribed(t, pub, 1)
	send(t, pub, "abc")
	send(t, pub, "xyz")
	expect(t, sub, "xyz")
}

func TestPairTakesOne(t *testing.T) {
	a, b := sites(t, false, nil)
	x, y, z := open(t, b, PAIR), open(t, a, PAIR), open(t, a, PAIR)
	url := bind(t, x, tcp)
	events := x.Monitor()
	connect(t, y, url)
	send(t, y, "y")
	expect(t, x, "y")
	connect(t, z, url)
	if e := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(e.Err, errOnePeer) {
		t.Errorf("%v", e.Err)
	}
	z.Close()
	send(t, x, "still")
	expect(t, y, "still")
	y.Close()
	w := open(t, a, PAIR)
	connect(t, w, url)
	send(t, w, "w")
	expect(t, x, "w")
}

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

// TestManyGoroutines has one socket be used by many, both ways.
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

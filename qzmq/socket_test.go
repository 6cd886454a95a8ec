package qzmq

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestPushPull(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *transport, url string) {
		before := runtime.NumGoroutine()
		pull, push := open(t, b, PULL), open(t, a, PUSH)
		connect(t, push, bind(t, pull, url))
		go func() {
			for i := range 5000 {
				if err := push.SendMultipart([][]byte{fmt.Append(nil, i), []byte("body")}); err != nil {
					t.Error(err)
				}
			}
		}()
		for i := range 5000 {
			expect(t, pull, fmt.Sprint(i)+"|body")
		}
		for _, size := range []int{0, 255, 256, 65_000, 66_000, 1 << 20, 5 << 20} {
			want := strings.Repeat("x", size)
			send(t, push, want, "")
			expect(t, pull, want+"|")
		}
		push.Close()
		pull.Close()
		settled(t, before)
	})
}

func TestPair(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *transport, url string) {
		x, y := open(t, a, PAIR), open(t, b, PAIR)
		connect(t, y, bind(t, x, url))
		for range 100 {
			send(t, y, "there")
			expect(t, x, "there")
			send(t, x, "and", "back")
			expect(t, y, "and|back")
		}
	})
}

func TestRequestReply(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *transport, url string) {
		before := runtime.NumGoroutine()
		rep, req := open(t, b, REP), open(t, a, REQ)
		connect(t, req, bind(t, rep, url))
		for range 100 {
			send(t, req, "question", "")
			if err := req.Send(nil); !errors.Is(err, ErrState) {
				t.Fatalf("a second request: %v", err)
			}
			expect(t, rep, "question|")
			if _, err := rep.Recv(); !errors.Is(err, ErrState) {
				t.Fatalf("a second request taken: %v", err)
			}
			send(t, rep, "answer")
			expect(t, req, "answer")
		}
		req.Close()
		rep.Close()
		settled(t, before)
	})
}

func TestDealerRouter(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *transport, url string) {
		router, dealer := open(t, b, ROUTER, "router_mandatory", true), open(t, a, DEALER, "routing_id", "me")
		url = bind(t, router, url)
		if err := router.SendMultipart([][]byte{[]byte("me"), nil}); !errors.Is(err, ErrHostUnreachable) {
			t.Fatalf("to nobody: %v", err)
		}
		connect(t, dealer, url)
		send(t, dealer, "", "hello")
		expect(t, router, "me||hello")
		send(t, router, "me", "", "yes")
		expect(t, dealer, "|yes")
		other := open(t, a, DEALER)
		connect(t, other, url)
		send(t, other, "x")
		m, err := router.RecvMultipart()
		if err != nil || len(m) != 2 || len(m[0]) != 5 || m[0][0] != 0 {
			t.Fatalf("%q, %v", m, err)
		}
		m[1] = []byte("to you")
		if err := router.SendMultipart(m); err != nil {
			t.Fatal(err)
		}
		expect(t, other, "to you")
	})
}

func TestPublishSubscribe(t *testing.T) {
	for _, kinds := range [][2]SocketType{{PUB, SUB}, {XPUB, SUB}, {PUB, XSUB}, {XPUB, XSUB}} {
		t.Run(kinds[0].String()+kinds[1].String(), func(t *testing.T) {
			everywhere(t, func(t *testing.T, a, b *transport, url string) {
				before := runtime.NumGoroutine()
				pub, sub := open(t, b, kinds[0]), open(t, a, kinds[1])
				subscribe(t, sub, "a", true)
				connect(t, sub, bind(t, pub, url))
				subscribe(t, sub, "bc", true)
				subscribed(t, pub, 2)
				if kinds[0] == XPUB {
					expect(t, pub, "\x01a")
					expect(t, pub, "\x01bc")
				}
				send(t, pub, "abc", "1")
				send(t, pub, "b", "2")
				send(t, pub, "bcd", "3")
				expect(t, sub, "abc|1")
				expect(t, sub, "bcd|3")
				subscribe(t, sub, "a", false)
				subscribed(t, pub, 1)
				send(t, pub, "abc", "4")
				send(t, pub, "bc", "5")
				expect(t, sub, "bc|5")
				sub.Close()
				pub.Close()
				settled(t, before)
			})
		})
	}
}

func subscribe(t *testing.T, s Socket, topic string, yes bool) {
	t.Helper()
	var err error
	switch kind, _ := s.GetOption("type"); {
	case kind == XSUB && yes:
		err = s.Send(append([]byte{1}, topic...))
	case kind == XSUB:
		err = s.Send(append([]byte{0}, topic...))
	case yes:
		err = s.Subscribe(topic)
	default:
		err = s.Unsubscribe(topic)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestConnectFirst has messages wait for a peer that comes later, and for one that
// comes again.
func TestConnectFirst(t *testing.T) {
	a, b := sites(t, false, nil)
	first := open(t, b, PULL)
	url := bind(t, first, "tcp://127.0.0.1:*")
	first.Close()
	push := open(t, a, PUSH)
	connect(t, push, url)
	send(t, push, "early")
	time.Sleep(50 * time.Millisecond)
	for i := range 3 {
		pull := open(t, b, PULL)
		bind(t, pull, url)
		if i == 0 {
			expect(t, pull, "early")
		}
		send(t, push, "more")
		expect(t, pull, "more")
		pull.Close()
		time.Sleep(20 * time.Millisecond)
	}
	if s := a.Stats(); s.HandshakesCompleted != 3 || s.HandshakesResumed != 2 {
		t.Errorf("%d sessions, of which %d resumed", s.HandshakesCompleted, s.HandshakesResumed)
	}
}

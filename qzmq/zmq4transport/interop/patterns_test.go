package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-zeromq/zmq4"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmq4transport"
)

type maker = func(context.Context, ...zmq4.Option) zmq4.Socket

// Both ends are zmq4's, and either listens.
func TestPatterns(t *testing.T) {
	for _, tc := range []struct {
		name string
		a, b maker
		talk func(t *testing.T, a, b zmq4.Socket)
	}{
		{"REQ and REP", zmq4.NewReq, zmq4.NewRep, func(t *testing.T, req, rep zmq4.Socket) {
			// A REQ that listens does not wait for a peer, it fails.
			eventually(t, "a peer", func() bool { return req.Send(zmq4.NewMsgString("first")) == nil })
			expect(t, rep, "first")
			send(t, rep, "reply")
			expect(t, req, "reply")
			for i := range 20 {
				send(t, req, fmt.Sprint(i), "more")
				expect(t, rep, fmt.Sprint(i), "more")
				send(t, rep, "reply", fmt.Sprint(i))
				expect(t, req, "reply", fmt.Sprint(i))
			}
		}},
		{"DEALER and ROUTER", dealer("me"), zmq4.NewRouter, func(t *testing.T, dealer, router zmq4.Socket) {
			send(t, dealer, "hello", "")
			expect(t, router, "me", "hello", "")
			send(t, router, "me", "", "welcome")
			expect(t, dealer, "", "welcome")
		}},
		{"PUSH and PULL", zmq4.NewPush, zmq4.NewPull, func(t *testing.T, push, pull zmq4.Socket) {
			large := strings.Repeat("0123456789", 300_000)
			go func() {
				for i := range 1000 {
					push.Send(zmq4.NewMsgString(fmt.Sprint(i)))
				}
				push.Send(zmq4.NewMsgString(large))
				push.Send(zmq4.NewMsgString(""))
			}()
			for i := range 1000 {
				expect(t, pull, fmt.Sprint(i))
			}
			expect(t, pull, large)
			expect(t, pull, "")
		}},
		{"PUB and SUB", zmq4.NewPub, zmq4.NewSub, func(t *testing.T, pub, sub zmq4.Socket) {
			if err := sub.SetOption(zmq4.OptionSubscribe, "weather"); err != nil {
				t.Fatal(err)
			}
			subscribed(t, pub, "weather")
			send(t, pub, "sport", "no")
			send(t, pub, "weather", "rain")
			expect(t, sub, "weather", "rain")
		}},
		{"PAIR", zmq4.NewPair, zmq4.NewPair, func(t *testing.T, a, b zmq4.Socket) {
			send(t, a, "a", "b")
			expect(t, b, "a", "b")
			send(t, b, "c")
			expect(t, a, "c")
		}},
	} {
		for _, listens := range []string{"first", "second"} {
			t.Run(tc.name+", the "+listens+" listens", func(t *testing.T) {
				s := newSite(t, nil)
				a, b := open(t, tc.a), open(t, tc.b)
				listener, dialler := a, b
				if listens == "second" {
					listener, dialler = b, a
				}
				s.connect(dialler, s.bind(listener))
				tc.talk(t, a, b)
			})
		}
	}
}

// dealer makes one with a name.
func dealer(name string) maker {
	return func(ctx context.Context, o ...zmq4.Option) zmq4.Socket {
		return zmq4.NewDealer(ctx, append(o, zmq4.WithID(zmq4.SocketIdentity(name)))...)
	}
}

func subscribed(t *testing.T, pub zmq4.Socket, topic string) {
	t.Helper()
	eventually(t, "the subscription to "+topic, func() bool {
		topics := pub.(zmq4.Topics).Topics()
		return len(topics) == 1 && topics[0] == topic
	})
}

// A hundred clients at one server, each with its own identity in the ROUTER's eyes.
func TestManyClients(t *testing.T) {
	s := newSite(t, nil)
	router := open(t, zmq4.NewRouter)
	at := s.bind(router)
	const clients = 100
	for i := range clients {
		dealer := open(t, zmq4.NewDealer, zmq4.WithID(zmq4.SocketIdentity(fmt.Sprint("client ", i))))
		s.connect(dealer, at)
		send(t, dealer, fmt.Sprint(i))
		expect(t, router, fmt.Sprint("client ", i), fmt.Sprint(i))
		send(t, router, fmt.Sprint("client ", i), "back")
		expect(t, dealer, "back")
	}
}

// QZMQ1 over a unix socket, whose file is gone with the listener.
func TestUnix(t *testing.T) {
	s := newSite(t, func(c *zmq4transport.Config) { c.Network = "unix" })
	dial := register(t, zmq4transport.Config{
		Network: "unix", Handshake: handshake.Config{Identity: s.client, Peer: s.serverID.Fingerprint()},
	})
	path := filepath.Join(t.TempDir(), "socket")
	pull, push := open(t, zmq4.NewPull), open(t, zmq4.NewPush)
	if err := pull.Listen(s.listen + "://" + path); err != nil {
		t.Fatal(err)
	}
	if err := push.Dial(dial + "://" + path); err != nil {
		t.Fatal(err)
	}
	send(t, push, "x")
	expect(t, pull, "x")
	pull.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's file: %v", err)
	}
}

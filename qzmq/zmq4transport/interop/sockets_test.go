package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/qzmq/gateway/qzmq"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmq4transport"
)

// Sockets of package qzmq at one end, and of zmq4 at the other: the patterns that zmq4
// has right with one peer, under QZMQ1 and without security, bound by either side.
func TestSockets(t *testing.T) {
	for _, tc := range []struct {
		ours   qzmq.SocketType
		theirs maker
		talk   func(t *testing.T, ours qzmq.Socket, theirs zmq4.Socket)
	}{
		{qzmq.REQ, zmq4.NewRep, func(t *testing.T, req qzmq.Socket, rep zmq4.Socket) {
			for _, m := range messages() {
				say(t, req, m...)
				expect(t, rep, m...)
				send(t, rep, m...)
				hear(t, req, m...)
			}
		}},
		{qzmq.REP, zmq4.NewReq, func(t *testing.T, rep qzmq.Socket, req zmq4.Socket) {
			eventually(t, "a peer", func() bool { return req.Send(zmq4.NewMsgString("first")) == nil })
			hear(t, rep, "first")
			say(t, rep, "first")
			expect(t, req, "first")
			for _, m := range messages() {
				send(t, req, m...)
				hear(t, rep, m...)
				say(t, rep, m...)
				expect(t, req, m...)
			}
		}},
		{qzmq.DEALER, zmq4.NewRouter, func(t *testing.T, dealer qzmq.Socket, router zmq4.Socket) {
			for _, m := range messages() {
				say(t, dealer, m...)
				expect(t, router, append([]string{"ours"}, m...)...)
				send(t, router, append([]string{"ours"}, m...)...)
				hear(t, dealer, m...)
			}
		}},
		{qzmq.ROUTER, dealer("theirs"), func(t *testing.T, router qzmq.Socket, dealer zmq4.Socket) {
			for _, m := range messages() {
				send(t, dealer, m...)
				hear(t, router, append([]string{"theirs"}, m...)...)
				say(t, router, append([]string{"theirs"}, m...)...)
				expect(t, dealer, m...)
			}
		}},
		{qzmq.PUSH, zmq4.NewPull, func(t *testing.T, push qzmq.Socket, pull zmq4.Socket) {
			for _, m := range messages() {
				say(t, push, m...)
				expect(t, pull, m...)
			}
		}},
		{qzmq.PULL, zmq4.NewPush, func(t *testing.T, pull qzmq.Socket, push zmq4.Socket) {
			for _, m := range messages() {
				send(t, push, m...)
				hear(t, pull, m...)
			}
		}},
		{qzmq.PAIR, zmq4.NewPair, func(t *testing.T, a qzmq.Socket, b zmq4.Socket) {
			for _, m := range messages() {
				say(t, a, m...)
				expect(t, b, m...)
				send(t, b, m...)
				hear(t, a, m...)
			}
		}},
		{qzmq.XPUB, zmq4.NewSub, func(t *testing.T, pub qzmq.Socket, sub zmq4.Socket) {
			if err := sub.SetOption(zmq4.OptionSubscribe, "topic"); err != nil {
				t.Fatal(err)
			}
			hear(t, pub, "\x01topic")
			for _, m := range messages() {
				say(t, pub, append([]string{"other"}, m...)...)
				say(t, pub, append([]string{"topical"}, m...)...)
				expect(t, sub, append([]string{"topical"}, m...)...)
			}
		}},
		{qzmq.SUB, zmq4.NewPub, func(t *testing.T, sub qzmq.Socket, pub zmq4.Socket) {
			if err := sub.Subscribe("topic"); err != nil {
				t.Fatal(err)
			}
			subscribed(t, pub, "topic")
			for _, m := range messages() {
				send(t, pub, append([]string{"other"}, m...)...)
				send(t, pub, append([]string{"topical"}, m...)...)
				hear(t, sub, append([]string{"topical"}, m...)...)
			}
		}},
	} {
		for _, security := range []string{"QZMQ1", "NULL"} {
			for _, binds := range []string{"ours", "theirs"} {
				t.Run(fmt.Sprintf("%v, %s, bound is %s", tc.ours, security, binds), func(t *testing.T) {
					ours, scheme := ourSocket(t, tc.ours, security == "QZMQ1")
					theirs := open(t, tc.theirs)
					if binds == "ours" {
						if err := ours.Bind("tcp://127.0.0.1:*"); err != nil {
							t.Fatal(err)
						}
						at, err := ours.GetOption("last_endpoint")
						if err == nil {
							err = theirs.Dial(scheme + strings.TrimPrefix(at.(string), "tcp"))
						}
						if err != nil {
							t.Fatal(err)
						}
					} else {
						if err := theirs.Listen(scheme + "://127.0.0.1:*"); err != nil {
							t.Fatal(err)
						}
						if err := ours.Connect("tcp://" + theirs.Addr().String()); err != nil {
							t.Fatal(err)
						}
					}
					tc.talk(t, ours, theirs)
				})
			}
		}
	}
}

// ourSocket also gives the scheme by which zmq4 reaches it, or is reached.
func ourSocket(t *testing.T, kind qzmq.SocketType, sealed bool) (s qzmq.Socket, scheme string) {
	t.Helper()
	o, scheme := qzmq.Options{InsecurePlaintext: true}, "tcp"
	if sealed {
		us, them := newIdentity(t), newIdentity(t)
		o = qzmq.DefaultOptions()
		o.Identity, o.Peer, o.Allow = us, them.Fingerprint(), []qzmq.Fingerprint{them.Fingerprint()}
		scheme = register(t, zmq4transport.Config{Handshake: handshake.Config{
			Identity: them, Peer: us.Fingerprint(),
			Authorize: func(f handshake.Fingerprint) bool { return f == us.Fingerprint() },
		}})
	}
	transport, err := qzmq.New(o)
	if err == nil {
		t.Cleanup(func() { transport.Close() })
		s, err = transport.NewSocket(kind)
	}
	for key, value := range map[string]any{"rcvtimeo": 10 * time.Second, "sndtimeo": 10 * time.Second, "routing_id": "ours"} {
		if err == nil {
			err = s.SetOption(key, value)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, scheme
}

// messages are some that zmq4 bears: a REP takes the last empty part for the end of the
// envelope, so that none has an empty part after its first.
func messages() [][]string {
	var all [][]string
	for _, size := range []int{1, 255, 256, 65_519, 65_536, 300_000} {
		all = append(all, []string{strings.Repeat("x", size)})
	}
	return append(all, []string{"a", strings.Repeat("z", 70_000), "c"})
}

func say(t *testing.T, s qzmq.Socket, parts ...string) {
	t.Helper()
	var m [][]byte
	for _, p := range parts {
		m = append(m, []byte(p))
	}
	if err := s.SendMultipart(m); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, s qzmq.Socket, parts ...string) {
	t.Helper()
	m, err := s.RecvMultipart()
	var got []string
	for _, p := range m {
		got = append(got, string(p))
	}
	if err != nil || !slices.Equal(got, parts) {
		t.Fatalf("got %.80q, %v; want %.80q", got, err, parts)
	}
}

package qzmq_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq"
)

// audience is an XPUB, which hears of subscriptions, so that a test can wait for them.
func (p *place) audience(options ...any) *sock { return p.bound(qzmq.XPUB, options...) }

func yes(topic string) string { return "\x01" + topic }
func no(topic string) string  { return "\x00" + topic }

func (s *sock) subscribe(topics ...string) {
	s.t.Helper()
	for _, topic := range topics {
		if err := s.Subscribe(topic); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *sock) unsubscribe(topic string) {
	s.t.Helper()
	if err := s.Unsubscribe(topic); err != nil {
		s.t.Fatal(err)
	}
}

// A proxy of XSUB and XPUB: subscriptions go one way, messages the other.
func TestSubForward(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		xpub, xsub := p.audience(), p.another(qzmq.XSUB)
		pub, sub := p.to(xsub, qzmq.XPUB), p.to(xpub, qzmq.SUB)
		sub.subscribe("")
		xpub.expect(yes(""))
		xsub.send(yes(""))
		pub.expect(yes(""))
		pub.send("", "body")
		xsub.expect("", "body")
		xpub.send("", "body")
		sub.expect("", "body")
	})
}

// The same by Proxy, with a topic that is subscribed to and given up.
func TestProxyForwardsSubscriptions(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		xpub, xsub := p.audience(), p.another(qzmq.XSUB)
		pub, sub := p.to(xsub, qzmq.XPUB), p.to(xpub, qzmq.SUB)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- qzmq.Proxy(ctx, xsub, xpub, nil) }()
		sub.subscribe("a")
		pub.expect(yes("a"))
		pub.send("abc")
		sub.expect("abc")
		sub.unsubscribe("a")
		pub.expect(no("a"))
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestPubSub(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience()
		sub := p.to(pub, qzmq.SUB)
		sub.subscribe("A", "topic")
		pub.expect(yes("A"))
		pub.expect(yes("topic"))
		for _, m := range []string{"B", "A", "AB", "topi", "topical", ""} {
			pub.send(m, "body of "+m)
		}
		for _, m := range []string{"A", "AB", "topical"} {
			sub.expect(m, "body of "+m)
		}
		sub.unsubscribe("A")
		pub.expect(no("A"))
		pub.send("A")
		pub.send("topic")
		sub.expect("topic")
		sub.empty()
	})
}

// A topic that is the beginning of another, and topics with all that a byte can be.
func TestTopics(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience()
		sub := p.to(pub, qzmq.SUB)
		long := strings.Repeat("topic ", 400)
		for _, topic := range []string{"a", "ab", "abc", "\x00\xff", long} {
			sub.subscribe(topic)
			pub.expect(yes(topic))
		}
		for _, m := range []string{"abcd", "\x00\xff\x01", long + "more", long[1:], "\x00"} {
			pub.send(m)
		}
		sub.expect("abcd") // once, though three topics match
		sub.expect("\x00\xff\x01")
		sub.expect(long + "more")
		sub.unsubscribe("ab")
		pub.expect(no("ab"))
		pub.send("ab")
		sub.expect("ab")
		sub.unsubscribe("a")
		pub.expect(no("a"))
		pub.send("ab")
		pub.send("abc")
		sub.expect("abc")
	})
}

// A topic is over when it was given up as often as it was subscribed to.
func TestSubscriptionsAreCounted(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience()
		sub := p.to(pub, qzmq.SUB)
		sub.subscribe("x", "x", "mark")
		pub.expect(yes("x"))
		pub.expect(yes("mark"))
		sub.unsubscribe("x")
		sub.unsubscribe("mark")
		pub.expect(no("mark"))
		pub.send("x")
		sub.expect("x")
		sub.unsubscribe("x")
		pub.expect(no("x"))
		sub.unsubscribe("never subscribed to")
		sub.subscribe("last")
		pub.expect(yes("last"))
	})
}

// An XPUB hears of a topic from the first who wants it, and again from the last: unless
// it is verbose, or verboser.
func TestXPubVerbose(t *testing.T) {
	for _, tc := range []struct {
		option string
		hears  []string
	}{
		{"", []string{yes("A"), yes("B"), no("B"), no("A"), yes("end")}},
		{"xpub_verbose", []string{yes("A"), yes("A"), yes("B"), no("B"), no("A"), yes("end")}},
		{"xpub_verboser", []string{yes("A"), yes("A"), yes("B"), no("A"), no("B"), no("A"), yes("end")}},
	} {
		t.Run(tc.option, func(t *testing.T) {
			everyplace(t, func(t *testing.T, p *place) {
				pub := p.audience()
				if tc.option != "" {
					pub.set(tc.option, true)
				}
				one, two := p.to(pub, qzmq.SUB), p.to(pub, qzmq.SUB)
				i := 0
				hears := func(what string, is bool) {
					if is {
						pub.expect(tc.hears[i])
						if tc.hears[i] != what {
							t.Fatalf("the test is wrong at %d", i)
						}
						i++
					}
				}
				verbose, verboser := tc.option != "", tc.option == "xpub_verboser"
				one.subscribe("A")
				hears(yes("A"), true)
				two.subscribe("A")
				hears(yes("A"), verbose)
				two.subscribe("B")
				hears(yes("B"), true)
				two.unsubscribe("A")
				hears(no("A"), verboser)
				two.unsubscribe("B")
				hears(no("B"), true)
				one.unsubscribe("A")
				hears(no("A"), true)
				one.subscribe("end")
				hears(yes("end"), true)
			})
		})
	}
}

// XSUB sends all that it is told to give up, if it is to.
func TestXSubVerboseUnsubscribe(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience("xpub_verboser", true)
		sub := p.to(pub, qzmq.XSUB)
		sub.send(yes("topic"))
		sub.send(yes("topic"))
		pub.expect(yes("topic"))
		pub.expect(yes("topic"))
		sub.set("xsub_verbose_unsubscribe", true)
		sub.send(no("topic"))
		pub.expect(no("topic"))
		sub.send(no("topic"))
		pub.expect(no("topic"))
	})
}

// When a subscriber goes, its topics go with it.
func TestXPubHearsOfLeaving(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience()
		one, two := p.to(pub, qzmq.SUB), p.to(pub, qzmq.SUB)
		one.subscribe("both", "one")
		pub.expect(yes("both"))
		pub.expect(yes("one"))
		two.subscribe("both", "two")
		pub.expect(yes("two"))
		one.close()
		pub.expect(no("one"))
		two.close()
		got := map[string]bool{pub.recv()[0]: true, pub.recv()[0]: true}
		if !got[no("both")] || !got[no("two")] {
			t.Errorf("heard %q", fmt.Sprint(got))
		}
	})
}

func TestXPubWelcome(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience("xpub_welcome_msg", "W")
		sub := open(t, p.connect, qzmq.SUB)
		sub.subscribe("W")
		sub.dial(pub.at())
		pub.expect(yes("W"))
		sub.expect("W")
	})
}

// What is no subscription is a message to the XPUB.
func TestXPubUserMessage(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience()
		sub := p.to(pub, qzmq.XSUB)
		sub.send("\x02A")
		pub.expect("\x02A")
		sub.send(yes("A"))
		pub.expect(yes("A"))
		sub.send("first", yes("second"))
		if m := pub.recv(); m[0] != "first" {
			t.Errorf("received %q", m)
		}
	})
}

// A SUB with invert_matching gets all but what it has subscribed to.
func TestSubInvertMatching(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience("invert_matching", true)
		one := p.to(pub, qzmq.SUB, "invert_matching", true)
		two := p.to(pub, qzmq.SUB, "invert_matching", true)
		one.subscribe("prefix1")
		pub.expect(yes("prefix1"))
		two.subscribe("p2")
		pub.expect(yes("p2"))
		pub.send("prefix1 A")
		pub.send("p2 B")
		pub.send("of neither")
		two.expect("prefix1 A")
		one.expect("p2 B")
		one.expect("of neither")
		two.expect("of neither")
		one.empty()
		two.empty()
	})
}

// SUB does not send, PUB and others do not receive.
func TestOneWay(t *testing.T) {
	p := newPlace(t, "tcp")
	for _, kind := range []qzmq.SocketType{qzmq.PUB, qzmq.PUSH} {
		if _, err := open(t, p.binds, kind).Recv(); err == nil {
			t.Errorf("%v receives", kind)
		}
	}
	for _, kind := range []qzmq.SocketType{qzmq.SUB, qzmq.PULL} {
		open(t, p.binds, kind).refuses(qzmq.ErrNotSupported, "x")
	}
	for _, kind := range []qzmq.SocketType{qzmq.REQ, qzmq.PUB, qzmq.PULL} {
		if err := open(t, p.binds, kind).Subscribe("x"); err == nil {
			t.Errorf("%v subscribes", kind)
		}
	}
}

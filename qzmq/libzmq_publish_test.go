package qzmq_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq"
)

// A manual XPUB decides itself what a peer is subscribed to.
func TestXPubManual(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience("xpub_manual", true)
		sub := p.to(pub, qzmq.XSUB)
		sub.send(yes("A"))
		pub.expect(yes("A"))
		pub.subscribe("XA")
		sub.send(yes("B"))
		pub.expect(yes("B"))
		pub.subscribe("XB")
		pub.send("A")
		pub.send("B")
		pub.send("XA")
		pub.send("XB")
		sub.expect("XA")
		sub.expect("XB")
		sub.send(no("A"))
		pub.expect(no("A"))
		pub.unsubscribe("XA")
		pub.send("XA")
		pub.send("XB")
		sub.expect("XB")
		sub.empty()
	})
}

// It is told when a peer goes of what the peer had asked for, and what it then decides is
// about nobody.
func TestXPubManualCleanup(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience("xpub_manual", true)
		sub := p.to(pub, qzmq.XSUB)
		sub.send(yes("A"))
		pub.expect(yes("A"))
		pub.subscribe("XA")
		pub.send("XA")
		pub.send("XB")
		sub.expect("XA")
		sub.empty()
		sub.close()
		pub.expect(no("A"))
		pub.unsubscribe("XA")
		again := p.to(pub, qzmq.XSUB)
		again.send(yes("B"))
		pub.expect(yes("B"))
		pub.subscribe("XB")
		pub.send("XA")
		pub.send("XB")
		again.expect("XB")
		again.empty()
	})
}

// Subscriptions of several peers in quick succession are confirmed one by one, each for
// who has made it.
func TestXPubManualTwoPeers(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience("xpub_manual", true)
		one, two := p.to(pub, qzmq.SUB), p.to(pub, qzmq.SUB)
		one.subscribe("1")
		two.subscribe("2")
		for range 2 {
			m := pub.recv()
			pub.subscribe(m[0][1:])
		}
		pub.send("1", "X")
		pub.send("2", "X")
		one.expect("1", "X")
		two.expect("2", "X")
		one.empty()
		two.empty()
		one.close()
		two.close()
		got := map[string]bool{pub.recv()[0]: true, pub.recv()[0]: true}
		if !got[no("1")] || !got[no("2")] {
			t.Errorf("heard %q", fmt.Sprint(got))
		}
	})
}

// With xpub_nodrop a full subscriber is waited for, and nothing is lost.
func TestXPubNoDrop(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience("xpub_nodrop", true, "sndhwm", 2000)
		sub := p.to(pub, qzmq.SUB, "rcvhwm", 2000)
		sub.subscribe("")
		pub.expect(yes(""))
		large := strings.Repeat("x", 1000)
		n := pub.fill(large)
		if n < 2000 {
			t.Errorf("%d messages had room", n)
		}
		for range n {
			sub.expect(large)
		}
		eventually(t, "there is room again", func() bool { return pub.polls(qzmq.PollOut) })
		pub.send("more")
		sub.expect("more")
		if d := pub.GetMetrics().MessagesDropped; d != 0 {
			t.Errorf("%d messages were dropped", d)
		}
	})
}

// Without it what has no room is dropped for who has none, and for nobody else; the count
// is right to the message.
func TestPubDropsForTheSlow(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience("sndhwm", 100)
		slow, quick := p.to(pub, qzmq.SUB, "rcvhwm", 100), p.to(pub, qzmq.SUB, "rcvhwm", 100)
		slow.subscribe("")
		pub.expect(yes(""))
		quick.subscribe("")
		quick.subscribe("mark")
		pub.expect(yes("mark"))
		large := strings.Repeat("x", 10_000)
		const messages = 3000
		for range messages {
			pub.send(large)
			quick.expect(large)
		}
		dropped := int(pub.GetMetrics().MessagesDropped)
		if dropped == 0 {
			t.Fatal("30 MB had room with one who reads nothing")
		}
		for range messages - dropped {
			slow.expect(large)
		}
		eventually(t, "what is sent is received again", func() bool {
			pub.send("end")
			quick.expect("end")
			return slow.polls(qzmq.PollIn)
		})
		slow.expect("end")
	})
}

// As many as sndhwm and rcvhwm together say have room for one who does not read, and
// inproc no more.
func TestHWMPubSub(t *testing.T) {
	for _, hwm := range [][2]int{{1, 1}, {500, 500}, {1000, 100}, {0, 0}} {
		t.Run(fmt.Sprint(hwm), func(t *testing.T) {
			p := newPlace(t, "inproc")
			pub := p.audience("sndhwm", hwm[0])
			sub := p.to(pub, qzmq.SUB, "rcvhwm", hwm[1])
			sub.subscribe("")
			pub.expect(yes(""))
			const messages = 3000
			for i := range messages {
				pub.send(fmt.Sprint(i))
			}
			want := hwm[0] + hwm[1]
			if want == 0 {
				want = messages
			}
			for i := range want {
				sub.expect(fmt.Sprint(i))
			}
			sub.empty()
		})
	}
}

// What was full has room again when it was read, also several times.
func TestHWMResets(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience("sndhwm", 11024)
		sub := p.to(pub, qzmq.SUB, "rcvhwm", 9200)
		sub.subscribe("")
		pub.expect(yes(""))
		for range 4 {
			for range 9999 {
				pub.send("1234567")
			}
			for range 9999 {
				sub.expect("1234567")
			}
		}
	})
}

// Subscriptions are there for whom one connects to later, and again when a connection is
// made anew.
func TestSubscriptionsStay(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			first := p.audience()
			at := first.at()
			sub := open(t, p.connect, qzmq.SUB, "reconnect_ivl", 1, "reconnect_ivl_max", 10)
			sub.subscribe("a", "b", "c")
			sub.unsubscribe("b")
			sub.dial(at)
			hears := func(pub *sock) {
				got := map[string]bool{pub.recv()[0]: true, pub.recv()[0]: true}
				if !got[yes("a")] || !got[yes("c")] {
					t.Errorf("heard %q", fmt.Sprint(got))
				}
			}
			hears(first)
			first.close()
			sub.await(qzmq.EventDisconnected)
			second := open(t, p.binds, qzmq.XPUB)
			second.bind(at)
			hears(second)
			second.send("c")
			sub.expect("c")
		})
	}
}

// A publisher may connect and a subscriber be bound.
func TestPubConnects(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		sub := p.bound(qzmq.SUB)
		sub.subscribe("x")
		one, two := p.to(sub, qzmq.XPUB), p.to(sub, qzmq.XPUB)
		one.expect(yes("x"))
		two.expect(yes("x"))
		one.send("x1")
		sub.expect("x1")
		two.send("x2")
		sub.expect("x2")
	})
}

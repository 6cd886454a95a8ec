package qzmq_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

func TestLastEndpoint(t *testing.T) {
	p := newPlace(t, "tcp")
	s := open(t, p.binds, qzmq.ROUTER)
	if at := s.at(); at != "" {
		t.Errorf("before all, it is %q", at)
	}
	var before []string
	for range 2 {
		s.bind("tcp://127.0.0.1:*")
		at := s.at()
		if !strings.HasPrefix(at, "tcp://127.0.0.1:") || strings.HasSuffix(at, ":*") || strings.HasSuffix(at, ":0") {
			t.Errorf("it is %q", at)
		}
		before = append(before, at)
	}
	if before[0] == before[1] {
		t.Error("one port twice")
	}
}

// Unbinding goes by the name that last_endpoint has, and then the port is free.
func TestUnbind(t *testing.T) {
	for _, wild := range []string{"tcp://127.0.0.1:*", "tcp://*:*", "tcp://[::1]:*", "ipc://" + filepath.Join(t.TempDir(), "s")} {
		t.Run(wild, func(t *testing.T) {
			p := newPlace(t, "tcp")
			push := open(t, p.binds, qzmq.PUSH)
			push.bind(wild)
			at := push.at()
			pull := open(t, p.connect, qzmq.PULL, "reconnect_ivl", -1)
			pull.dial(strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "[::1]").Replace(at))
			pull.connected()
			push.send("ABC")
			pull.expect("ABC")
			if err := push.Unbind(at); err != nil {
				t.Fatal(err)
			}
			pull.await(qzmq.EventDisconnected)
			push.await(qzmq.EventDisconnected)
			push.refuses(qzmq.ErrAgain, "DEF")
			if err := push.Unbind(at); err == nil {
				t.Error("it was unbound twice")
			}
			open(t, p.binds, qzmq.PULL).bind(at)
		})
	}
}

func TestDisconnect(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pull := p.bound(qzmq.PULL)
		at := pull.at()
		push := p.to(pull, qzmq.PUSH)
		push.send("ABC")
		pull.expect("ABC")
		if err := push.Disconnect(at); err != nil {
			t.Fatal(err)
		}
		push.refuses(qzmq.ErrAgain, "DEF")
		if err := push.Disconnect(at); err == nil {
			t.Error("it was disconnected twice")
		}
		if !p.inproc {
			pull.await(qzmq.EventDisconnected)
		}
		push.join(pull)
		push.send("GHI")
		pull.expect("GHI")
	})
}

// A subscriber that disconnects, inproc too, and comes back.
func TestDisconnectSubscriber(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pub := p.audience()
		at := pub.at()
		sub := p.to(pub, qzmq.SUB)
		sub.subscribe("foo")
		for range 3 {
			pub.expect(yes("foo"))
			pub.send("foo")
			sub.expect("foo")
			if err := sub.Disconnect(at); err != nil {
				t.Fatal(err)
			}
			pub.expect(no("foo"))
			pub.send("foo lost")
			sub.empty()
			sub.join(pub)
		}
	})
}

// Whoever connects first has its messages delivered when somebody binds.
func TestBindAfterConnect(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		vacant := p.bound(qzmq.PULL)
		at := vacant.at()
		vacant.close()
		push := open(t, p.connect, qzmq.PUSH, "reconnect_ivl", 1, "reconnect_ivl_max", 10)
		push.dial(at)
		for _, m := range []string{"foobar", "baz", "buzz"} {
			push.send(m)
		}
		pull := open(t, p.binds, qzmq.PULL)
		pull.bind(at)
		for _, m := range []string{"foobar", "baz", "buzz"} {
			pull.expect(m)
		}
	})
}

// With immediate nothing is sent to who is not there yet.
func TestImmediateWaitsForAPeer(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			vacant := p.bound(qzmq.PULL)
			at := vacant.at()
			vacant.close()
			pull := p.another(qzmq.PULL)

			// Without it, in turn, also to who is not there.
			push := open(t, p.connect, qzmq.PUSH)
			push.dial(at)
			push.join(pull)
			for range 10 {
				push.send("Hello")
			}
			for range 5 {
				pull.expect("Hello")
			}
			pull.empty()
			push.close()
			pull.await(qzmq.EventDisconnected)

			push = open(t, p.connect, qzmq.PUSH, "immediate", true)
			push.dial(at)
			push.refuses(qzmq.ErrAgain, "nobody is there")
			push.join(pull)
			for range 10 {
				push.send("Hello")
			}
			for range 10 {
				pull.expect("Hello")
			}

			// When the peer goes there is nobody again, until it is back.
			back := open(t, p.binds, qzmq.PULL)
			pullAt := pull.at()
			pull.close()
			push.await(qzmq.EventDisconnected)
			push.refuses(qzmq.ErrAgain, "nobody is there")
			back.bind(pullAt)
			push.connected()
			push.send("Hello again")
			back.expect("Hello again")
		})
	}
}

// A connection that is lost is made again; reconnect_ivl -1 does not.
func TestReconnect(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			first := p.bound(qzmq.PAIR)
			at := first.at()
			again := open(t, p.connect, qzmq.PAIR, "reconnect_ivl", 1, "reconnect_ivl_max", 10)
			again.join(first)
			first.close()
			again.await(qzmq.EventDisconnected)
			second := open(t, p.binds, qzmq.PAIR)
			second.bind(at)
			again.connected()
			again.send("back")
			second.expect("back")
			second.send("and forth")
			again.expect("and forth")
			again.close()
			second.await(qzmq.EventDisconnected)

			never := open(t, p.connect, qzmq.PAIR, "reconnect_ivl", -1)
			never.join(second)
			second.close()
			never.await(qzmq.EventDisconnected)
			third := open(t, p.binds, qzmq.PAIR)
			third.bind(at)
			other := open(t, p.connect, qzmq.PAIR)
			other.join(third) // time enough
			for len(never.events) > 0 {
				if e := <-never.events; e.Kind == qzmq.EventConnecting || e.Kind == qzmq.EventConnected {
					t.Errorf("it is %v", e.Kind)
				}
			}
		})
	}
}

// PULL is not disturbed by a peer that goes, and DEALER sends to who is left.
func TestPeerLeaves(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		dealer := p.bound(qzmq.DEALER)
		goes, stays := p.to(dealer, qzmq.DEALER), p.to(dealer, qzmq.DEALER)
		goes.send("I go")
		goes.set("linger", time.Second)
		dealer.expect("I go")
		goes.close()
		if !p.inproc {
			dealer.await(qzmq.EventDisconnected)
		}
		for range 4 {
			dealer.send("x")
			stays.expect("x")
		}
	})
}

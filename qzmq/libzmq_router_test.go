package qzmq_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq"
)

func TestRouterFairQueue(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		router := p.bound(qzmq.ROUTER)
		var dealers []*sock
		for i := range 5 {
			dealers = append(dealers, p.to(router, qzmq.DEALER, "routing_id", string(rune('A'+i))))
		}
		for range 2 {
			dealers[0].send("M")
			router.expect("A", "M")
		}
		for _, dealer := range dealers {
			dealer.send("M")
		}
		from := map[string]bool{}
		for range dealers {
			from[router.recv()[0]] = true
		}
		if len(from) != len(dealers) {
			t.Errorf("received from %v", from)
		}
	})
}

// With a peer goes what was to be sent to it. What it has said can still be received: a
// ROUTER of libzmq would be as glad to have it.
func TestRouterDestroysQueue(t *testing.T) {
	p := newPlace(t, "tcp")
	router := p.bound(qzmq.ROUTER, "router_mandatory", true)
	at := router.at()
	dealer := p.to(router, qzmq.DEALER, "routing_id", "B", "reconnect_ivl", 1)
	dealer.Disconnect(at)
	router.await(qzmq.EventDisconnected)
	eventually(t, "B is unreachable", func() bool {
		return errors.Is(router.SendMultipart([][]byte{[]byte("B"), []byte("lost")}), qzmq.ErrHostUnreachable)
	})
	dealer.dial(at)
	router.connected()
	router.send("B", "new")
	dealer.expect("new")
	dealer.empty()
}

func TestRouterMandatory(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		router := p.bound(qzmq.ROUTER)
		router.send("UNKNOWN", "dropped")
		if n := router.GetMetrics().MessagesDropped; n != 1 {
			t.Errorf("%d messages were dropped", n)
		}
		router.set("router_mandatory", true)
		router.refuses(qzmq.ErrHostUnreachable, "UNKNOWN", "refused")
		dealer := p.to(router, qzmq.DEALER, "routing_id", "X")
		dealer.send("Hello")
		router.expect("X", "Hello")
		router.send("X", "Hello")
		dealer.expect("Hello")
		router.refuses(qzmq.ErrHostUnreachable, "Y", "refused")
	})
}

// A peer that does not read fills its own queue, and then sending to it fails.
func TestRouterMandatoryHWM(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		router := p.bound(qzmq.ROUTER, "router_mandatory", true, "sndhwm", 1)
		dealer := p.to(router, qzmq.DEALER, "routing_id", "X", "rcvhwm", 1)
		dealer.send("Hello")
		router.expect("X", "Hello")
		large := strings.Repeat("x", 65536)
		n := router.fill("X", large)
		if n < 1 || n > 500 { // what the kernel holds of a TCP connection is not ours to say
			t.Errorf("%d messages of 64 KiB had room", n)
		}
		other := p.to(router, qzmq.DEALER, "routing_id", "Y")
		router.send("Y", "he has room")
		other.expect("he has room")
		for range n {
			dealer.expect(large)
		}
		router.send("X", "and he again")
		for m := ""; m != "and he again"; m = dealer.recv()[0] {
		}
	})
}

func TestRouterHandover(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			router := p.bound(qzmq.ROUTER, "router_handover", true)
			one := p.to(router, qzmq.DEALER, "routing_id", "X", "reconnect_ivl", -1)
			one.send("Hello")
			router.expect("X", "Hello")
			two := p.to(router, qzmq.DEALER, "routing_id", "X")
			two.send("Hello again")
			router.expect("X", "Hello again")
			one.await(qzmq.EventDisconnected)
			router.send("X", "to the second")
			two.expect("to the second")
			one.empty()
		})
	}
}

func TestRouterWithoutHandover(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			router := p.bound(qzmq.ROUTER)
			one := p.to(router, qzmq.DEALER, "routing_id", "X")
			two := open(t, p.connect, qzmq.DEALER, "routing_id", "X", "reconnect_ivl", -1)
			two.dial(router.at())
			router.await(qzmq.EventHandshakeFailed)
			router.send("X", "to the first")
			one.expect("to the first")
			one.send("from the first")
			router.expect("X", "from the first")
			two.empty()
		})
	}
}

// Who is inproc has names as well, and the second of one name is refused.
func TestRouterNamesInproc(t *testing.T) {
	p := newPlace(t, "inproc")
	router := p.bound(qzmq.ROUTER)
	one := p.to(router, qzmq.DEALER, "routing_id", "X")
	two := open(t, p.connect, qzmq.DEALER, "routing_id", "X")
	two.Connect(router.at())
	router.send("X", "to the first")
	one.expect("to the first")
	two.empty()
}

func TestRouterIsProbed(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		for _, kind := range []qzmq.SocketType{qzmq.ROUTER, qzmq.DEALER} {
			server := p.another(qzmq.ROUTER)
			client := p.to(server, kind, "routing_id", "X", "probe_router", true)
			server.expect("X", "")
			server.send("X", "Hello")
			m := client.recv()
			if m[len(m)-1] != "Hello" || kind == qzmq.ROUTER && len(m[0]) != 5 {
				t.Errorf("%v has received %q", kind, m)
			}
			server.close()
		}
	})
}

// A ROUTER gives names to who has none: five bytes that begin with zero, and no two alike.
func TestRouterGivesNames(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		router := p.bound(qzmq.ROUTER)
		seen := map[string]bool{}
		for range 5 {
			dealer := p.to(router, qzmq.DEALER)
			dealer.send("who am I?")
			m := router.recv()
			if len(m[0]) != 5 || m[0][0] != 0 || seen[m[0]] {
				t.Errorf("the name %q, after %v", m[0], seen)
			}
			seen[m[0]] = true
			router.send(m[0], "you")
			dealer.expect("you")
		}
		for _, bad := range []any{"\x00mine", strings.Repeat("x", 256), 1} {
			if err := router.SetOption("routing_id", bad); !errors.Is(err, qzmq.ErrInvalidOptions) {
				t.Errorf("the name %q: %v", bad, err)
			}
		}
	})
}

// Two ROUTERs that know each other's names.
func TestRouterToRouter(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		a := p.bound(qzmq.ROUTER, "routing_id", "A")
		b := p.to(a, qzmq.ROUTER, "routing_id", "B")
		a.send("B", "from a")
		b.expect("A", "from a")
		b.send("A", "", "from b")
		a.expect("B", "", "from b")
	})
}

// A connection that comes and goes at once must not make the ROUTER lose the next one's
// message.
func TestIssue566(t *testing.T) {
	p := newPlace(t, "tcp")
	router := p.bound(qzmq.ROUTER, "router_mandatory", true)
	for i := range 20 {
		name := fmt.Sprint("dealer ", i)
		dealer := p.to(router, qzmq.DEALER, "routing_id", name)
		router.send(name, "HELLO")
		dealer.expect("HELLO")
		dealer.close()
		router.await(qzmq.EventDisconnected)
	}
}

// A message stays whole: parts that are large and parts that are empty.
func TestMessageParts(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		router := p.bound(qzmq.ROUTER)
		dealer := p.to(router, qzmq.DEALER)
		parts := []string{"", "A", strings.Repeat("B", 255), strings.Repeat("C", 256), strings.Repeat("D", 300_000), ""}
		for range 20 {
			dealer.send(parts...)
		}
		for range 20 {
			m := router.recv()
			if len(m) != 1+len(parts) || strings.Join(m[1:], "|") != strings.Join(parts, "|") {
				t.Fatalf("%d parts", len(m))
			}
		}
	})
}

// What is sent is copied: the caller may use its memory again at once.
func TestSendCopies(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pull := p.bound(qzmq.PULL)
		push := p.to(pull, qzmq.PUSH)
		for _, size := range []int{3, 2000, 200_000} {
			b := bytes.Repeat([]byte{'a'}, size)
			push.Send(b)
			clear(b)
			pull.expect(strings.Repeat("a", size))
		}
	})
}

package qzmq_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// raw is a program that speaks plain ZMTP as it likes, to a socket that is bound.
func raw(t *testing.T, s *sock, kind string, minor uint8) *zmtp.Null {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(s.at(), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := zmtp.OpenNull(t.Context(), nc, zmtp.NullOptions{Minor: minor})
	if err == nil {
		err = n.WriteReady(t.Context(), zmtp.Metadata{{Name: "Socket-Type", Value: []byte(kind)}})
	}
	if err == nil {
		_, err = n.ReadReady(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	n.SetReadDeadline(time.Now().Add(patient))
	return n
}

// Who does not answer PING is cut, and who does is not.
func TestHeartbeatTimeout(t *testing.T) {
	p := newPlace(t, "plain")
	router := p.bound(qzmq.ROUTER, "heartbeat_ivl", 50*time.Millisecond, "heartbeat_timeout", time.Second)
	answers := raw(t, router, "DEALER", 1)
	go func() {
		for {
			m, err := answers.ReadMessage()
			if err != nil {
				return
			}
			if context, ok := zmtp.Pong(m.Parts[0]); ok && string(m.Command) == "PING" {
				answers.WriteCommand("PONG", context)
			}
		}
	}()
	silent := raw(t, router, "DEALER", 1)
	e := router.await(qzmq.EventDisconnected)
	if e.Err == nil {
		t.Error("why it has ended is not said")
	}
	for {
		if _, err := silent.ReadMessage(); err != nil {
			break
		}
	}
	if err := answers.WriteMessage([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	if m := router.recv(); m[1] != "still here" {
		t.Errorf("received %q", m)
	}
}

// PING says for how long its sender can be thought alive: heartbeat_ttl of the one side
// is a timeout of the other.
func TestHeartbeatTTL(t *testing.T) {
	p := newPlace(t, "plain")
	router := p.bound(qzmq.ROUTER)
	n := raw(t, router, "DEALER", 1)
	n.WriteCommand("PING", append(binary.BigEndian.AppendUint16(nil, 1), "context"...)) // a tenth of a second
	m, err := n.ReadMessage()
	if err != nil || string(m.Command) != "PONG" || string(m.Parts[0]) != "context" {
		t.Errorf("the answer is %q, %v", m, err)
	}
	router.await(qzmq.EventDisconnected)
}

// Heartbeats at both ends, for all patterns: nobody is cut who is alive.
func TestHeartbeatNoTimeout(t *testing.T) {
	for _, kinds := range [][2]qzmq.SocketType{
		{qzmq.ROUTER, qzmq.DEALER}, {qzmq.REP, qzmq.REQ}, {qzmq.PUSH, qzmq.PULL}, {qzmq.PUB, qzmq.SUB}, {qzmq.PAIR, qzmq.PAIR},
	} {
		for _, name := range []string{"tcp", "plain"} {
			t.Run(kinds[0].String()+" "+name, func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, name)
				options := []any{"heartbeat_ivl", 20, "heartbeat_timeout", 2000, "heartbeat_ttl", 2000}
				a := p.bound(kinds[0], options...)
				b := p.to(a, kinds[1], options...)
				time.Sleep(100 * time.Millisecond) // five heartbeats
				for len(a.events)+len(b.events) > 0 {
					var e qzmq.Event
					select {
					case e = <-a.events:
					case e = <-b.events:
					}
					if e.Kind == qzmq.EventDisconnected {
						t.Errorf("disconnected: %v", e.Err)
					}
				}
			})
		}
	}
}

func TestHeartbeatOptions(t *testing.T) {
	s := open(t, newPlace(t, "tcp").binds, qzmq.ROUTER)
	for _, ok := range []int{0, 1, 99, 100, 6553500, 6553599} {
		if err := s.SetOption("heartbeat_ttl", ok); err != nil {
			t.Errorf("%d ms: %v", ok, err)
		}
	}
	for _, bad := range []any{6553600, -1, "1"} {
		if err := s.SetOption("heartbeat_ttl", bad); !errors.Is(err, qzmq.ErrInvalidOptions) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// A publisher of today understands subscriptions of ZMTP 3.0 and of 3.1.
func TestSubscriptionForms(t *testing.T) {
	for minor := range uint8(2) {
		p := newPlace(t, "plain")
		pub := p.audience()
		n := raw(t, pub, "SUB", minor)
		say := func(topic string, subscribe bool) {
			if n.Minor() == 0 {
				n.WriteMessage(append([]byte{map[bool]byte{true: 1}[subscribe]}, topic...))
				return
			}
			n.WriteCommand(map[bool]string{true: "SUBSCRIBE", false: "CANCEL"}[subscribe], []byte(topic))
		}
		say("A", true)
		pub.expect(yes("A"))
		pub.send("ALOL")
		if m, err := n.ReadMessage(); err != nil || string(m.Parts[0]) != "ALOL" {
			t.Errorf("minor %d: %q, %v", minor, m, err)
		}
		say("A", false)
		pub.expect(no("A"))
	}
}

// A monitor tells what happens, in the order in which it happens.
func TestMonitorOrder(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			server := p.bound(qzmq.REP)
			at := server.at()
			client := p.to(server, qzmq.REQ, "reconnect_ivl", -1)
			client.close()
			server.await(qzmq.EventDisconnected)
			server.close()
			kinds := func(s *sock) (all []string) {
				for e := range s.Socket.Monitor() {
					all = append(all, e.Kind.String())
				}
				return all
			}
			if late := kinds(server); len(late) > 0 {
				t.Errorf("a monitor of a socket that is closed has %q", late)
			}

			server = open(t, p.binds, qzmq.REP)
			client = open(t, p.connect, qzmq.REQ, "reconnect_ivl", -1)
			server.bind(at)
			client.dial(at)
			var got []string
			for range 3 {
				e := <-server.events
				got = append(got, e.Kind.String())
				if e.Kind == qzmq.EventListening && e.Endpoint != at {
					t.Errorf("it listens at %q", e.Endpoint)
				}
				if e.Kind == qzmq.EventConnected && (e.Peer == nil || e.Peer.Type != qzmq.REQ || e.Peer.Authenticated() != p.sealed) {
					t.Errorf("connected with %+v", e.Peer)
				}
			}
			client.connected()
			client.close()
			got = append(got, server.await(qzmq.EventDisconnected).Kind.String())
			server.close()
			got = append(got, (<-server.events).Kind.String())
			if want := []string{"listening", "accepted", "connected", "disconnected", "closed"}; !slices.Equal(got, want) {
				t.Errorf("the server has seen %q, want %q", got, want)
			}
			if _, open := <-server.events; open {
				t.Error("the channel is open")
			}
		})
	}
}

// A message says who has sent it, proved where there is proof.
func TestMessageSaysWho(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		rep := p.bound(qzmq.REP)
		req := p.to(rep, qzmq.REQ, "routing_id", "me")
		req.send("x")
		m, err := rep.RecvMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Peer.Type != qzmq.REQ || string(m.Peer.RoutingID) != "me" || m.Peer.Address == "" {
			t.Errorf("it is from %+v", m.Peer)
		}
		if proved := p.sealed && !p.inproc; m.Peer.Authenticated() != proved || m.Peer.Fingerprint.IsZero() == proved {
			t.Errorf("it is from %v, proved: %v", m.Peer.Fingerprint, m.Peer.Authenticated())
		}
	})
}

// PAUSE, RESUME, STATISTICS and TERMINATE.
func TestProxySteerable(t *testing.T) {
	p := newPlace(t, "inproc")
	front, back := p.bound(qzmq.PULL), p.another(qzmq.PUSH)
	push, pull := p.to(front, qzmq.PUSH), p.to(back, qzmq.PULL)
	capture, copies := open(t, p.binds, qzmq.PAIR), open(t, p.binds, qzmq.PAIR)
	capture.bind("inproc://capture")
	copies.dial("inproc://capture")
	control, steer := open(t, p.binds, qzmq.REP), open(t, p.binds, qzmq.REQ)
	control.bind("inproc://control")
	steer.dial("inproc://control")
	ended := make(chan error, 1)
	go func() { ended <- qzmq.ProxySteerable(context.Background(), front, back, capture, control) }()
	push.send("one", "two")
	pull.expect("one", "two")
	copies.expect("one", "two")
	command := func(what string) []string {
		steer.send(what)
		return steer.recv()
	}
	command("PAUSE")
	push.send("first after PAUSE") // which may have been waited for already
	push.send("paused")
	command("RESUME")
	pull.expect("first after PAUSE")
	pull.expect("paused")
	m := command("STATISTICS")
	if len(m) != 8 {
		t.Fatalf("%d numbers", len(m))
	}
	number := func(i int) uint64 { return binary.LittleEndian.Uint64([]byte(m[i])) }
	if number(0) != 3 || number(6) != 3 || number(1) != uint64(len("one"+"two"+"first after PAUSE"+"paused")) || number(2) != 0 {
		t.Errorf("statistics: %d %d %d ... %d", number(0), number(1), number(2), number(6))
	}
	command("TERMINATE")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A proxy of one socket, and one that ends when a socket is closed.
func TestProxySingleSocket(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		router := p.bound(qzmq.ROUTER)
		req := p.to(router, qzmq.REQ)
		ended := make(chan error, 1)
		go func() { ended <- qzmq.Proxy(context.Background(), router, router, nil) }()
		req.send("msg1")
		req.expect("msg1")
		req.send("msg22", "x")
		req.expect("msg22", "x")
		router.close()
		if err := <-ended; !errors.Is(err, qzmq.ErrClosed) {
			t.Error(err)
		}
	})
}

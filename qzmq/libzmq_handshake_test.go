package qzmq_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// Who says nothing is not waited for longer than handshake_ivl, whoever has called.
func TestHandshakeInterval(t *testing.T) {
	for _, name := range []string{"tcp", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			pull := p.bound(qzmq.PULL, "handshake_ivl", 50)
			nc, err := net.Dial("tcp", strings.TrimPrefix(pull.at(), "tcp://"))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			pull.await(qzmq.EventHandshakeFailed)
			nc.SetReadDeadline(time.Now().Add(patient))
			heard, err := io.ReadAll(nc)
			if p.sealed && len(heard) > 0 {
				t.Errorf("a stranger hears %q", heard)
			}
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("a stranger is borne with")
			}

			silent, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			push := open(t, p.connect, qzmq.PUSH, "handshake_ivl", 50, "reconnect_ivl", 1)
			push.dial("tcp://" + silent.Addr().String())
			for range 2 { // it tries again
				if e := push.await(qzmq.EventHandshakeFailed); e.Err == nil {
					t.Error("why is not said")
				}
			}
			push.join(pull)
			push.set("sndtimeo", patient)
			for range 4 {
				push.send("half of them to who is silent")
			}
			pull.expect("half of them to who is silent")
			pull.expect("half of them to who is silent")
		})
	}
}

// Other protocols at the door, and sockets that do not fit: nobody else is disturbed.
func TestStrangersAtTheDoor(t *testing.T) {
	for _, name := range []string{"tcp", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			rep := p.bound(qzmq.REP)
			req := p.to(rep, qzmq.REQ)
			for _, says := range []string{
				"GET / HTTP/1.1\r\n\r\n",
				"\x00\x00",
				"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01",
				"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00PLAIN" + strings.Repeat("\x00", 47),
				"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00CURVE" + strings.Repeat("\x00", 47),
			} {
				nc, err := net.Dial("tcp", strings.TrimPrefix(rep.at(), "tcp://"))
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(nc, says)
				rep.await(qzmq.EventHandshakeFailed)
				nc.Close()
			}
			for _, kind := range []qzmq.SocketType{qzmq.REP, qzmq.SUB, qzmq.PULL, qzmq.PAIR, qzmq.PUB} {
				s := open(t, p.connect, kind, "reconnect_ivl", -1)
				s.dial(rep.at())
				rep.await(qzmq.EventHandshakeFailed)
				s.close()
			}
			req.send("x")
			rep.expect("x")
			rep.send("y")
			req.expect("y")
		})
	}
}

// One that is told to use another mechanism gets no further, on either side.
func TestNoMechanismInCommon(t *testing.T) {
	sealed, plain := newPlace(t, "tcp"), newPlace(t, "plain")
	for _, tc := range []struct{ binds, connects *place }{{sealed, plain}, {plain, sealed}} {
		pull := tc.binds.bound(qzmq.PULL, "handshake_ivl", 1000)
		push := open(t, tc.connects.connect, qzmq.PUSH, "handshake_ivl", 1000, "reconnect_ivl", -1)
		push.dial(pull.at())
		push.send("secret")
		push.await(qzmq.EventHandshakeFailed)
		pull.await(qzmq.EventHandshakeFailed)
		pull.empty()
	}
}

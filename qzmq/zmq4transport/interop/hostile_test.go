package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmq4transport"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// echo is a server that must go on serving whatever others do.
func echo(t *testing.T, s *site) (at string) {
	t.Helper()
	rep := open(t, zmq4.NewRep)
	at = s.bind(rep)
	go func() {
		for {
			m, err := rep.Recv()
			if errors.Is(err, context.Canceled) {
				return
			}
			if err == nil {
				rep.Send(m)
			}
		}
	}()
	s.healthy(at)
	return at
}

// healthy is a client that must always be served.
func (s *site) healthy(at string) {
	s.t.Helper()
	req := open(s.t, zmq4.NewReq)
	within(s.t, 5*time.Second, "Dial", func() error { return req.Dial(s.dial + "://" + at) })
	send(s.t, req, "are you there?")
	expect(s.t, req, "are you there?")
	req.Close()
}

// rawDial opens a session as no zmq4 would.
func (s *site) rawDial(at string, ready zmtp.Metadata) (*zmtp.Conn, error) {
	s.t.Helper()
	nc, err := net.Dial("tcp", at)
	if err != nil {
		s.t.Fatal(err)
	}
	return zmtp.Initiate(s.t.Context(), nc, handshake.Config{
		Identity: s.client, Peer: s.serverID.Fingerprint(),
		Purpose: handshake.PurposeZMTP, Metadata: ready.Append(nil),
	})
}

func ready(kind, identity string) zmtp.Metadata {
	return zmtp.Metadata{{Name: "Socket-Type", Value: []byte(kind)}, {Name: "Identity", Value: []byte(identity)}}
}

// Strangers: who says nothing holds nobody up, and who says something gets no answer.
func TestStrangers(t *testing.T) {
	s := newSite(t, nil)
	at := echo(t, s)
	for _, says := range []string{
		"",
		"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + strings.Repeat("\x00", 48) + "\x02\x7f\xff\xff\xff\xff\xff\xff\xff",
		"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01",
	} {
		nc, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.Write([]byte(says))
		s.healthy(at) // while the stranger is there
		if says == "" {
			continue
		}
		nc.SetReadDeadline(time.Now().Add(15 * time.Second))
		answer, err := io.ReadAll(nc)
		if len(answer) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.20q: %q, %v", says, answer, err)
		}
	}
}

// A key that is not allowed, and a server that is not the one that was meant.
func TestWrongKeys(t *testing.T) {
	s := newSite(t, nil)
	at := echo(t, s)
	req := open(t, zmq4.NewReq)
	err := req.Dial(s.as(newIdentity(t)) + "://" + at)
	var alert *handshake.PeerAlert
	if !errors.As(err, &alert) || !alert.Sealed || alert.Code != handshake.AlertAccessDenied {
		t.Errorf("a stranger's key: %v", err)
	}
	s.await("not authorised")

	other := &site{t: t, serverID: newIdentity(t)}
	if err := open(t, zmq4.NewReq).Dial(other.as(s.client) + "://" + at); err == nil {
		t.Error("another server's name was believed")
	}
	s.healthy(at)
}

// READY of one who may in, and says what zmq4 does not bear.
func TestWrongSockets(t *testing.T) {
	s := newSite(t, nil)
	at := echo(t, s)
	for name, said := range map[string]zmtp.Metadata{
		"no type":           nil,
		"an unknown type":   ready("CLIENT", ""),
		"an empty type":     ready("", ""),
		"another type":      ready("SUB", ""),
		"too much identity": ready("REQ", strings.Repeat("x", 256)),
	} {
		if c, err := s.rawDial(at, said); err == nil {
			t.Errorf("%s was let in", name)
			c.Close()
		}
		s.healthy(at)
	}
	if err := open(t, zmq4.NewSub).Dial(s.dial + "://" + at); err == nil {
		t.Error("a SUB was let in at a REP")
	}
	s.await(zmq4transport.ErrSocketType.Error())
}

// Messages of one who may in.
func TestBombs(t *testing.T) {
	s := newSite(t, func(c *zmq4transport.Config) { c.MaxMessage, c.MaxParts = 1<<20, 1000 })
	at := echo(t, s)
	for name, tc := range map[string]func(*zmtp.Conn) error{
		"a message over the limit": func(c *zmtp.Conn) error { return c.WriteMessage(nil, make([]byte, 1<<20+1)) },
		"MORE without end":         func(c *zmtp.Conn) error { return c.WriteMessage(make([][]byte, 1001)...) },
		"half a message": func(c *zmtp.Conn) error {
			c.WriteFrame(zmtp.Frame{Size: 1 << 20, Body: make([]byte, 1<<10)})
			c.Flush()
			return c.CloseWith(handshake.AlertNone)
		},
		"a command that there is not": func(c *zmtp.Conn) error {
			c.WriteCommand("WHAT", nil)
			return c.CloseWith(handshake.AlertNone)
		},
		"a PING that is none": func(c *zmtp.Conn) error { return c.WriteCommand("PING", nil) },
	} {
		c, err := s.rawDial(at, ready("REQ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := tc(c); err != nil {
			t.Fatal(name, err)
		}
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if m, err := c.ReadMessage(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
		c.Close()
		s.healthy(at)
	}
}

// Our own program is held to the limits as well, and told.
func TestOwnLimit(t *testing.T) {
	s := newSite(t, nil)
	at := echo(t, s)
	s.dial = register(t, zmq4transport.Config{
		MaxMessage: 1000, Handshake: handshake.Config{Identity: s.client, Peer: s.serverID.Fingerprint()},
	})
	req := open(t, zmq4.NewReq)
	s.connect(req, at)
	if err := req.Send(zmq4.NewMsg(make([]byte, 1001))); !errors.Is(err, zmtp.ErrTooLarge) {
		t.Errorf("a message of 1001 bytes: %v", err)
	}
	s.healthy(at)
}

// Who has an identity keeps it, unless he comes again himself.
func TestIdentities(t *testing.T) {
	thief := newIdentity(t)
	s := newSite(t, nil, thief)
	router := open(t, zmq4.NewRouter)
	at := s.bind(router)
	named := zmq4.WithID(zmq4.SocketIdentity("treasurer"))
	first := open(t, zmq4.NewDealer, named)
	s.connect(first, at)
	send(t, first, "I am")
	expect(t, router, "treasurer", "I am")

	if err := open(t, zmq4.NewDealer, named).Dial(s.as(thief) + "://" + at); err == nil {
		t.Error("the identity was taken")
	}
	send(t, router, "treasurer", "secret")
	expect(t, first, "secret")

	again := open(t, zmq4.NewDealer, named)
	s.connect(again, at)
	send(t, again, "I am back")
	expect(t, router, "treasurer", "I am back")
	// zmq4 sends to the connection from before as well until it has noticed its end, and
	// then says that it was an error.
	eventually(t, "zmq4 forgets the connection from before", func() bool {
		return router.SendMulti(zmq4.NewMsgFrom([]byte("treasurer"), []byte("welcome"))) == nil
	})
	expect(t, again, "welcome")
	again.Close()
	eventually(t, "the identity is free", func() bool {
		return open(t, zmq4.NewDealer, named).Dial(s.as(thief)+"://"+at) == nil
	})
}

// Nothing is left of a socket that is closed, of those who were refused, nor of strangers.
func TestNothingIsLeft(t *testing.T) {
	s := newSite(t, nil)
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for range 5 {
		pull := zmq4.NewPull(context.Background())
		at := s.bind(pull)
		silent, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		push := zmq4.NewPush(context.Background())
		s.connect(push, at)
		send(t, push, "x")
		expect(t, pull, "x")
		for range 3 {
			if c, err := s.rawDial(at, ready("SUB", "")); err == nil {
				c.Close()
			}
		}
		within(t, 5*time.Second, "Close", push.Close)
		within(t, 5*time.Second, "Close", pull.Close)
		silent.Close()
	}
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, fmt.Sprintf("%d descriptors as before", files), func() bool { return descriptors(t) <= files })
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A REQ reads only while its program waits for a reply. Meanwhile the session is replaced,
// or it would end after three times its age, and who asks PING is answered.
func TestSessionLives(t *testing.T) {
	s := newSite(t, nil)
	s.dial = register(t, zmq4transport.Config{
		Handshake: handshake.Config{Identity: s.client, Peer: s.serverID.Fingerprint()},
		Lifetime:  zmtp.Lifetime{MaxAge: time.Second},
	})
	at := echo(t, s)
	req := open(t, zmq4.NewReq)
	s.connect(req, at)
	for range 2 {
		send(t, req, "x")
		expect(t, req, "x")
		time.Sleep(3500 * time.Millisecond)
	}

	c, err := s.rawDial(at, ready("REQ", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.WriteCommand("PING", []byte("\x00\x0aare you there?"))
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	m, err := c.ReadMessage()
	if err != nil || string(m.Command) != "PONG" || string(m.Parts[0]) != "are you there?" {
		t.Errorf("PING is answered with %q, %v", m, err)
	}
}

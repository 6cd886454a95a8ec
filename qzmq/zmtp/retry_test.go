package zmtp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// clock is a monotonic clock for cookies and tickets.
func clock() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Hour + time.Since(began) }
}

// withCookies makes a responder ask everybody for a cookie.
func withCookies(t testing.TB, c *handshake.Config) {
	t.Helper()
	cookies, err := handshake.NewCookies(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c.Cookies, c.Clock = cookies, clock()
}

// types gives the types of the handshake messages of a wire, without greeting.
func types(t *testing.T, writes [][]byte) (list []byte) {
	t.Helper()
	b := bytes.Join(writes, nil)[GreetingLen:]
	for len(b) > 0 {
		h, n, err := ParseHeader(b)
		if err != nil || n == 0 {
			t.Fatalf("%x: %v", b, err)
		}
		name, msg, err := ParseCommand(b[n : n+int(h.Size)])
		if err != nil || string(name) != handshakeName {
			t.Fatalf("%q, %v", name, err)
		}
		list = append(list, msg[0])
		b = b[n+int(h.Size):]
	}
	return list
}

func TestRetry(t *testing.T) {
	for name, pipe := range map[string]func(testing.TB) (net.Conn, net.Conn){"tcp": tcpPipe, "pipe": memoryPipe} {
		for _, demanded := range []bool{true, false} {
			a, b := pipe(t)
			var sent [2][][]byte
			tape := func(i int) func(int, []byte) []byte {
				return func(_ int, p []byte) []byte { sent[i] = append(sent[i], p); return p }
			}
			ca, cb := configs(t)
			withCookies(t, &cb)
			cb.CookieDemanded = func() bool { return demanded }
			ra, rb := shake(&wire{Conn: a, edit: tape(0)}, &wire{Conn: b, edit: tape(1)}, ca, cb)
			if ra.err != nil || rb.err != nil {
				t.Fatalf("%s: initiator: %v; responder: %v", name, ra.err, rb.err)
			}
			want := [2]string{"\x01\x03", "\x02\x04"}
			if demanded && name == "tcp" { // a pipe has no address to prove
				want = [2]string{"\x01\x01\x03", "\x05\x02\x04"}
			}
			for i := range want {
				if got := types(t, sent[i]); string(got) != want[i] {
					t.Errorf("%s: side %d says %x, want %x", name, i, got, want[i])
				}
			}
			closeBoth(t, ra.conn, rb.conn)
		}
	}
}

// A session whose responder asks for cookies is rotated without one.
func TestRotateWithoutRetry(t *testing.T) {
	a, b := tcpPipe(t)
	ca, cb := configs(t)
	withCookies(t, &cb)
	ra, rb := shake(a, b, ca, cb)
	if ra.err != nil || rb.err != nil {
		t.Fatal(ra.err, rb.err)
	}
	told := tellBoth(t, Options{}, ra.conn, rb.conn)
	go readAll(ra.conn)
	go readAll(rb.conn)
	mustRotate(t, ra.conn, told)
	ra.conn.Close()
}

// What a Retry can be made to do by who stands on the path: nothing but end the
// handshake.
func TestRetryTampered(t *testing.T) {
	const size = 73
	at := maxHeaderLen - 7 + 1 + len(handshakeName) // of the message in its frame, behind the greeting
	for i := range size {
		a, b := tcpPipe(t)
		ca, cb := configs(t)
		withCookies(t, &cb)
		ra, rb := shake(a, &wire{Conn: b, edit: flip(0, GreetingLen+at+i)}, ca, cb)
		if ra.err == nil || rb.err == nil {
			t.Errorf("byte %d: initiator %v, responder %v", i, ra.err, rb.err)
		}
	}
}

// There is one Retry at most, from either side's view.
func TestSecondRetry(t *testing.T) {
	t.Run("demanded", func(t *testing.T) {
		a, b := tcpPipe(t)
		ca, cb := configs(t)
		withCookies(t, &cb)
		var calls atomic.Int64
		cb.Clock = func() time.Duration { return time.Duration(calls.Add(1)) * time.Hour } // the cookie is too old at once
		ra, rb := shake(a, b, ca, cb)
		var alert *handshake.PeerAlert
		if !errors.As(ra.err, &alert) || !errors.Is(rb.err, handshake.ErrCookie) {
			t.Errorf("initiator: %v; responder: %v", ra.err, rb.err)
		}
	})
	t.Run("sent", func(t *testing.T) {
		a, b := tcpPipe(t)
		ca, cb := configs(t)
		withCookies(t, &cb)
		var retry []byte
		again := func(nth int, p []byte) []byte {
			if nth == 0 {
				retry = bytes.Clone(p[GreetingLen:])
				return p
			}
			return retry
		}
		ra, _ := shake(a, &wire{Conn: b, edit: again}, ca, cb)
		if !errors.Is(ra.err, handshake.ErrUnexpectedMessage) {
			t.Errorf("%v", ra.err)
		}
	})
}

// A cookie that was given to one address is none for another.
func TestCookieIsBoundToTheAddress(t *testing.T) {
	ca, cb := configs(t)
	withCookies(t, &cb)
	a, b := tcpPipe(t)
	var second []byte
	ra, rb := shake(&wire{Conn: a, edit: func(nth int, p []byte) []byte {
		if nth == 1 {
			second = bytes.Clone(p)
		}
		return p
	}}, b, ca, cb)
	if ra.err != nil || rb.err != nil {
		t.Fatal(ra.err, rb.err)
	}
	own := NewGreeting(Mechanism, false)
	for from, want := range map[string]byte{"127.0.0.1": 0x02, "127.0.0.2": 0x05} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := dialer.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		l.Close()
		if err != nil {
			t.Fatal(err)
		}
		c.Write(append(own[:], second...))
		go Respond(context.Background(), s, cb)
		var in inbuf
		if err := in.fill(c, GreetingLen); err != nil {
			t.Fatal(err)
		}
		in.consume(GreetingLen)
		if _, msg, err := in.command(c, 1<<16); err != nil || msg[0] != want {
			t.Errorf("from %s: message %x, %v", from, msg[:1], err)
		}
		c.Close()
	}
}

// Resumption and early data go through as the configs say.
func TestReconnect(t *testing.T) {
	ca, cb := configs(t)
	server, err := handshake.NewServerTickets(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	client, err := handshake.NewClientTickets(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	safe, err := handshake.NewSafeTopics("beat")
	if err != nil {
		t.Fatal(err)
	}
	ca.ClientTickets, ca.Clock, ca.Reconnect = client, clock(), true
	cb.ServerTickets, cb.Clock, cb.SafeTopics = server, clock(), safe
	for i, want := range []struct {
		resumed, early bool
		cookies        bool
	}{{false, false, false}, {true, true, false}, {true, false, true}, {true, true, false}} {
		cb.Cookies = nil
		if want.cookies {
			withCookies(t, &cb)
			cb.Clock = ca.Clock
		}
		ca.Early = safe.Early()
		if err := ca.Early.Add(handshake.EarlyMessage{[]byte("beat"), []byte{byte(i)}}); err != nil {
			t.Fatal(err)
		}
		a, b := tcpPipe(t)
		ra, rb := shake(a, b, ca, cb)
		if ra.err != nil || rb.err != nil {
			t.Fatalf("%d: initiator: %v; responder: %v", i, ra.err, rb.err)
		}
		early, rejected := rb.conn.Early(), ra.conn.Session().RejectedEarly()
		if ra.conn.Session().Resumed() != want.resumed || (len(early) == 1) != want.early || (len(rejected) == 1) == want.early {
			t.Errorf("%d: resumed %v, %d messages early, %d rejected", i, ra.conn.Session().Resumed(), len(early), len(rejected))
		}
		// And a rotation is a full handshake all the same.
		told := tellBoth(t, Options{}, ra.conn, rb.conn)
		go readAll(ra.conn)
		go readAll(rb.conn)
		mustRotate(t, ra.conn, told)
		if ra.conn.Session().Resumed() || rb.conn.Session().Resumed() {
			t.Errorf("%d: a rotation without signatures", i)
		}
		ra.conn.Close()
	}
}

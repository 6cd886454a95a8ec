package zmtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// hello is a real initiator's first flight: greeting and ClientHello.
func hello(t testing.TB, cfg handshake.Config) []byte {
	t.Helper()
	m, err := handshake.NewInitiator(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGreeting(Mechanism, false)
	msg, err := m.Start(g)
	if err != nil {
		t.Fatal(err)
	}
	return AppendCommand(g[:], handshakeName, msg)
}

func TestResponderStaysSilent(t *testing.T) {
	ca, cb := configs(t)
	stranger := ca
	stranger.Peer = site(t).Fingerprint()
	good := hello(t, ca)
	edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	greeting := good[:GreetingLen]
	for _, c := range []struct {
		name string
		sent []byte
		want error
	}{
		{"http", []byte("GET / HTTP/1.1\r\n\r\n"), ErrNotZMTP},
		{"tls", []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, ErrNotZMTP},
		{"libzmq with NULL", libzmqNULL(), ErrMechanism},
		{"zmtp 2", []byte{0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 1, 5}, ErrVersion},
		{"another responder", edit(func(b []byte) []byte { b[32] = 1; return b }), ErrRoles},
		{"greeting and garbage", append(bytes.Clone(greeting), "garbage"...), ErrFlags},
		{"greeting and READY", AppendCommand(bytes.Clone(greeting), "READY", nil), ErrUnexpected},
		{"greeting and message", append(bytes.Clone(greeting), 0, 1, 'x'), ErrUnexpected},
		{"4 GiB announced", append(bytes.Clone(greeting), 6, 0, 0, 0, 1, 0, 0, 0, 0), ErrTooLarge},
		{"just over the limit", AppendHeader(bytes.Clone(greeting), Command, 1+9+handshake.MaxClientHello+1), ErrTooLarge},
		{"empty message", AppendCommand(bytes.Clone(greeting), handshakeName, nil), handshake.ErrSilent},
		{"alert", AppendCommand(bytes.Clone(greeting), handshakeName, []byte{0x30, 0, 0, 1, 40}), handshake.ErrSilent},
		{"wrong MAC", edit(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), handshake.ErrSilent},
		{"changed share", edit(func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), handshake.ErrSilent},
		{"for someone else", hello(t, stranger), handshake.ErrSilent},
		{"half a ClientHello", good[:len(good)/2], ErrTruncated},
		{"half a greeting", good[:20], ErrTruncated},
		{"nothing", nil, ErrTruncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := tcpPipe(t)
			if _, err := a.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			if c.want == ErrTruncated {
				a.(*net.TCPConn).CloseWrite()
			}
			conn, err := Respond(context.Background(), b, cb)
			if conn != nil || !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			got, _ := io.ReadAll(a) // a reset is as good as an end
			if len(got) != 0 {
				t.Errorf("it answered %d bytes", len(got))
			}
			if _, err := b.Write(nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the connection was left open: %v", err)
			}
		})
	}
}

// Nothing at all makes an initiator speak anything but QZMQ1.
func TestInitiatorNeverFallsBack(t *testing.T) {
	ca, _ := configs(t)
	greeting := func(changes ...func(*Greeting)) []byte {
		g := NewGreeting(Mechanism, true)
		for _, c := range changes {
			c(&g)
		}
		return g[:]
	}
	mechanism := func(name string) func(*Greeting) {
		return func(g *Greeting) { copy(g[12:32], name+strings.Repeat("\x00", 20-len(name))) }
	}
	for _, c := range []struct {
		name   string
		answer []byte
		want   error
	}{
		{"NULL", libzmqNULL(), ErrMechanism},
		{"CURVE", greeting(mechanism("CURVE")), ErrMechanism},
		{"PLAIN", greeting(mechanism("PLAIN")), ErrMechanism},
		{"version 2 of ours", greeting(mechanism("QZMQ2")), ErrMechanism},
		{"ZMTP 2", []byte{0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 1}, ErrVersion},
		{"ZMTP 1", []byte{1, 0}, ErrNotZMTP},
		{"another initiator", greeting(func(g *Greeting) { g[32] = 0 }), ErrRoles},
		{"echo of what we sent", nil, ErrRoles},
		{"garbage after the greeting", append(greeting(), "\x00\x01x"...), ErrUnexpected},
		{"READY", AppendCommand(greeting(), "READY", []byte("\x0bSocket-Type\x00\x00\x00\x03REP")), ErrUnexpected},
		{"ERROR", AppendCommand(greeting(), "ERROR", []byte("\x03try")), ErrUnexpected},
		{"frame over the limit", AppendHeader(greeting(), Command, 1+9+handshake.MaxServerHello+1), ErrTooLarge},
		{"malformed ServerHello", AppendCommand(greeting(), handshakeName, []byte{2, 0, 0, 1, 1}), handshake.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := tcpPipe(t)
			var out [][]byte
			w := &wire{Conn: a, edit: func(_ int, p []byte) []byte {
				out = append(out, p)
				if c.answer == nil {
					b.Write(p)
				}
				return p
			}}
			if _, err := b.Write(c.answer); err != nil {
				t.Fatal(err)
			}
			conn, err := Initiate(context.Background(), w, ca)
			if conn != nil || !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			own := NewGreeting(Mechanism, false)
			if len(out) == 0 || !bytes.HasPrefix(out[0], own[:]) {
				t.Fatal("it did not start with its greeting")
			}
			clear := AppendCommand(nil, handshakeName, []byte{0x30, 0, 0, 1, 40})
			for _, p := range out[1:] {
				if !bytes.Equal(p, clear) {
					t.Errorf("it went on with %x", p)
				}
			}
			if _, err := a.Write(nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the connection was left open: %v", err)
			}
		})
	}
}

// Somebody on the path says no, in clear, at each point where it can be said.
func TestForgedAlertIsAHint(t *testing.T) {
	forged := AppendCommand(nil, handshakeName, []byte{0x30, 0, 0, 1, 71})
	g := NewGreeting(Mechanism, true)
	for _, c := range []struct {
		name      string
		side, nth int
		instead   []byte
	}{
		{"for ServerHello", 1, 0, append(g[:], forged...)},
		{"for ClientKey", 0, 1, forged},
		{"for Finished", 1, 1, forged},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := tcpPipe(t)
			ws := [2]*wire{{Conn: a}, {Conn: b}}
			ws[c.side].edit = func(nth int, p []byte) []byte {
				if nth == c.nth {
					return c.instead
				}
				return p
			}
			ca, cb := configs(t)
			ra, rb := shake(ws[0], ws[1], ca, cb)
			victim := ra.err
			if c.side == 0 {
				victim = rb.err
			}
			var alert *handshake.PeerAlert
			if !errors.As(victim, &alert) || alert.Sealed || alert.Code != handshake.AlertInsufficientSecurity {
				t.Errorf("%v", victim)
			}
		})
	}
}

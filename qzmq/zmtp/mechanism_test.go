package zmtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

func TestHandshake(t *testing.T) {
	for name, pipe := range map[string]func(testing.TB) (net.Conn, net.Conn){"tcp": tcpPipe, "pipe": memoryPipe} {
		t.Run(name, func(t *testing.T) {
			a, b := pipe(t)
			ca, cb := configs(t)
			ra, rb := shake(a, b, ca, cb)
			if ra.err != nil || rb.err != nil {
				t.Fatalf("initiator: %v; responder: %v", ra.err, rb.err)
			}
			sa, sb := ra.conn.Session(), rb.conn.Session()
			if sa.Peer() != cb.Identity.Fingerprint() || sb.Peer() != ca.Identity.Fingerprint() {
				t.Error("a peer has the wrong identity")
			}
			if !sa.Initiator() || sb.Initiator() {
				t.Error("roles are mixed up")
			}
			if string(sa.PeerMetadata()) != "from b" || string(sb.PeerMetadata()) != "from a" {
				t.Errorf("metadata %q and %q", sa.PeerMetadata(), sb.PeerMetadata())
			}
			for _, c := range []*Conn{ra.conn, rb.conn} {
				if d := c.HandshakeTime(); d <= 0 || d > time.Minute {
					t.Errorf("the handshake took %v", d)
				}
			}
			if ra.conn.RemoteAddr() != a.RemoteAddr() || ra.conn.LocalAddr() != a.LocalAddr() {
				t.Error("addresses are not those of the connection")
			}
			a.Close()
			b.Close()
		})
	}
}

// The wire is one greeting and whole HANDSHAKE commands, in one write each.
func TestHandshakeOnTheWire(t *testing.T) {
	a, b := net.Pipe()
	var sent [2][][]byte
	record := func(i int) func(int, []byte) []byte {
		return func(_ int, p []byte) []byte { sent[i] = append(sent[i], p); return p }
	}
	wa, wb := &wire{Conn: a, edit: record(0)}, &wire{Conn: b, edit: record(1)}
	sessions(t, wa, wb)
	a.Close()
	b.Close()
	for i, types := range [2]string{"\x01\x03", "\x02\x04"} {
		if len(sent[i]) != len(types) {
			t.Fatalf("side %d made %d writes", i, len(sent[i]))
		}
		want := NewGreeting("QZMQ1", i == 1)
		if !bytes.HasPrefix(sent[i][0], want[:]) {
			t.Errorf("side %d does not start with its greeting", i)
		}
		sent[i][0] = sent[i][0][GreetingLen:]
		for j, p := range sent[i] {
			if p[0] != 6 || binary.BigEndian.Uint64(p[1:]) != uint64(len(p)-9) || string(p[9:19]) != "\x09HANDSHAKE" || p[19] != types[j] {
				t.Errorf("side %d, write %d: %x", i, j, p[:20])
			}
		}
	}
}

// trickle sends every byte on its own.
type trickle struct{ net.Conn }

func (c trickle) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func TestHandshakeByteByByte(t *testing.T) {
	a, b := net.Pipe()
	ca, cb := sessions(t, trickle{a}, trickle{b})
	var wg sync.WaitGroup
	wg.Go(func() { ca.WriteCommand("PING", []byte("x")); ca.Close() })
	if names, err := readAll(cb); len(names) != 1 || !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v", names, err)
	}
	wg.Wait()
}

// All 128 bytes of greeting are part of what both sides agree on.
func TestGreetingTampered(t *testing.T) {
	ca, cb := configs(t)
	for _, side := range []string{"initiator's", "responder's"} {
		for at := range GreetingLen {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				wa, wb := &wire{Conn: a}, &wire{Conn: b}
				if side == "initiator's" {
					wa.edit = flip(0, at)
				} else {
					wb.edit = flip(0, at)
				}
				ra, rb := shake(wa, wb, ca, cb)
				if ra.err == nil || rb.err == nil {
					t.Errorf("byte %d of the %s greeting: initiator %v, responder %v", at, side, ra.err, rb.err)
				}
			})
		}
	}
}

// Every byte of the handshake's framing and, here and there, of its messages.
func TestHandshakeTampered(t *testing.T) {
	const framing = maxHeaderLen + 1 + len(handshakeName)
	ca, cb := configs(t)
	for _, c := range []struct {
		name             string
		side, nth, start int
		size             int // of the message with the default suite
	}{
		{"ClientHello", 0, 0, GreetingLen, 1298},
		{"ServerHello", 1, 0, GreetingLen, 5018},
		{"ClientKey", 0, 1, 0, 3860},
		{"Finished", 1, 1, 0, 276},
	} {
		var places []int
		for i := range framing + handshake.HeaderLen {
			places = append(places, i)
		}
		for i := range 40 {
			places = append(places, framing+i*(c.size-1)/39)
		}
		for _, at := range places {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				ws := [2]*wire{{Conn: a}, {Conn: b}}
				ws[c.side].edit = flip(c.nth, c.start+at)
				ra, rb := shake(ws[0], ws[1], ca, cb)
				if ra.err == nil {
					t.Errorf("%s, byte %d: the initiator is content", c.name, at)
					ra.conn.Close()
				}
				// Finished is the last message: the responder hears of its fate
				// only as the connection's end.
				if rb.conn == nil {
					return
				}
				if c.name != "Finished" {
					t.Errorf("%s, byte %d: the responder is content", c.name, at)
				}
				if _, err := readAll(rb.conn); !errors.Is(err, ErrTruncated) {
					t.Errorf("%s, byte %d: the responder reads %v", c.name, at, err)
				}
			})
		}
	}
}

func TestAlertsOfTheHandshake(t *testing.T) {
	for _, c := range []struct {
		name      string
		change    func(ca, cb *handshake.Config)
		initiator handshake.PeerAlert
		responder error
	}{
		{"no common suite: in clear", func(ca, cb *handshake.Config) {
			s := handshake.DefaultSuite()
			s.AEAD = 2
			ca.Suites = []handshake.Suite{s}
		}, handshake.PeerAlert{Code: handshake.AlertHandshakeFailure}, handshake.ErrNoCommonSuite},
		{"not authorised: sealed", func(ca, cb *handshake.Config) {
			cb.Authorize = func(handshake.Fingerprint) bool { return false }
		}, handshake.PeerAlert{Code: handshake.AlertAccessDenied, Sealed: true}, handshake.ErrAccessDenied},
		{"other door: sealed", func(ca, cb *handshake.Config) {
			cb.Purpose = handshake.PurposeZMTP
		}, handshake.PeerAlert{Code: handshake.AlertWrongPurpose, Sealed: true}, handshake.ErrWrongPurpose},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := tcpPipe(t)
			ca, cb := configs(t)
			c.change(&ca, &cb)
			ra, rb := shake(a, b, ca, cb)
			var alert *handshake.PeerAlert
			if !errors.As(ra.err, &alert) || *alert != c.initiator {
				t.Errorf("initiator: %v", ra.err)
			}
			if !errors.Is(rb.err, c.responder) {
				t.Errorf("responder: %v", rb.err)
			}
		})
	}
}

package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// Attacks on connections that are up, and on the room for others.

// Records that were repeated, left out, put in another order, cut or changed: what
// came before is delivered, nothing else is, and the connection ends.
func TestRecordAttacks(t *testing.T) {
	s := newSite(t, nil)
	var kept []byte
	for _, tc := range []struct {
		name string
		edit func(n int, b []byte) [][]byte // n counts the records
		want int                            // messages delivered
	}{
		{"untouched", func(n int, b []byte) [][]byte { return [][]byte{b} }, 3},
		{"twice", func(n int, b []byte) [][]byte { return [][]byte{b, b} }, 1},
		{"left out", func(n int, b []byte) [][]byte {
			if n == 1 {
				return nil
			}
			return [][]byte{b}
		}, 1},
		{"in another order", func(n int, b []byte) [][]byte {
			switch n {
			case 0:
				kept = b
				return nil
			case 1:
				return [][]byte{b, kept}
			}
			return [][]byte{b}
		}, 0},
		{"cut", func(n int, b []byte) [][]byte {
			if n == 1 {
				b = b[:len(b)-1]
			}
			return [][]byte{b}
		}, 1},
		{"a bit of the tag", func(n int, b []byte) [][]byte {
			if n == 1 {
				b[len(b)-1] ^= 1
			}
			return [][]byte{b}
		}, 1},
		{"a bit of the ciphertext", func(n int, b []byte) [][]byte {
			if n == 2 {
				b[12] ^= 0x40
			}
			return [][]byte{b}
		}, 2},
		{"a frame in clear", func(n int, b []byte) [][]byte {
			if n == 1 {
				return [][]byte{[]byte("\x00\x08injected"), b}
			}
			return [][]byte{b}
		}, 1},
	} {
		w := &wire{}
		conn, err := s.initiate(s.nearID, func(nc net.Conn) net.Conn {
			w.Conn, w.edit = nc, func(n int, b []byte) [][]byte {
				if n < 2 {
					return [][]byte{b}
				}
				return tc.edit(n-2, b)
			}
			return w
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			conn.WriteMessage(fmt.Appendf(nil, "%s %d", tc.name, i))
		}
		if tc.want == 3 {
			for range 3 {
				if _, err := conn.ReadMessage(); err != nil {
					t.Error(err)
				}
			}
			conn.Close()
		} else {
			w.Conn.(*net.TCPConn).CloseWrite()
			conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			for err == nil {
				_, err = conn.ReadMessage()
			}
			var told *zmtp.ClosedError
			if tc.name != "cut" && !errors.As(err, &told) {
				t.Errorf("%s: the peer hears %v", tc.name, err)
			}
			conn.CloseWith(handshake.AlertNone)
		}
		s.healthy()
		got := s.delivered()
		for end := time.Now().Add(2 * time.Second); len(got) < tc.want && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
			got = append(got, s.delivered()...)
		}
		if len(got) != tc.want {
			t.Errorf("%s: %d are delivered, %q, want %d", tc.name, len(got), got, tc.want)
		}
		for i, g := range got {
			if string(g) != fmt.Sprintf("%s %d", tc.name, i) {
				t.Errorf("%s: %q is delivered", tc.name, g)
			}
		}
	}
}

// What the responder has sealed does not open at the responder.
func TestReflection(t *testing.T) {
	s := newSite(t, nil)
	m := &mirror{seen: new(bytes.Buffer)}
	conn, err := s.initiate(s.nearID, func(nc net.Conn) net.Conn { m.Conn = nc; return m }, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.seen.Reset()
	conn.WriteMessage([]byte("one"))
	if _, err := conn.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	m.reflect = bytes.Clone(m.seen.Bytes()) // the echo, as the responder has sealed it
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	conn.WriteMessage([]byte("two"))
	var told *zmtp.ClosedError
	if _, err := conn.ReadMessage(); !errors.As(err, &told) || told.Alert != handshake.AlertBadRecord {
		t.Errorf("who reflects a record hears %v", err)
	}
	s.healthy()
	if got := s.delivered(); len(got) != 1 {
		t.Errorf("delivered were %q", got)
	}
}

// mirror keeps what is read, and may send that in the place of what is written.
type mirror struct {
	net.Conn
	seen    *bytes.Buffer
	reflect []byte
}

func (m *mirror) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.seen.Write(b[:n])
	return n, err
}

func (m *mirror) Write(b []byte) (int, error) {
	if m.reflect == nil {
		return m.Conn.Write(b)
	}
	_, err := m.Conn.Write(m.reflect)
	return len(b), err
}

// Whatever a peer calls itself, the program is told who it is.
func TestSpoofedMetadata(t *testing.T) {
	s := newSite(t, nil)
	spoofed := zmtp.Metadata{
		{Name: "Socket-Type", Value: []byte("PAIR")}, {Name: "User-Id", Value: []byte("root")},
		{Name: "x-qzmq-peer", Value: []byte("qz1root")}, {Name: "X-Other", Value: []byte("stays")},
	}
	// Through a near relay, and without one.
	dialPlain(t, s.near.Endpoint(), spoofed).Close()
	conn, err := s.initiate(s.nearID, nil, func(c *handshake.Config) { c.Metadata = spoofed.Append(nil) })
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.introduced {
		for _, name := range []string{"User-Id", "X-QZMQ-Peer"} {
			if v, _ := m.Get(name); string(v) != s.nearID.Fingerprint().String() {
				t.Errorf("connection %d: %s is %q", i, name, v)
			}
		}
		if v, _ := m.Get("X-Other"); i > 0 && string(v) != "stays" {
			t.Errorf("connection %d: X-Other is %q", i, v)
		}
	}
	if len(s.introduced) != 3 {
		t.Errorf("%d connections", len(s.introduced))
	}
	for name, metadata := range map[string]string{"no metadata": "\x01A", "a name twice": "\x01A\x00\x00\x00\x00\x01a\x00\x00\x00\x00"} {
		if _, err := s.initiate(s.nearID, nil, func(c *handshake.Config) { c.Metadata = []byte(metadata) }); err == nil {
			t.Errorf("%s: it is let in", name)
		}
	}
}

// Who says too little, at any stage, is not waited for longer than 10 s, and costs
// nobody else anything meanwhile.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	var flights [][]byte
	conn, err := s.initiate(s.nearID, func(nc net.Conn) net.Conn {
		return &wire{Conn: nc, edit: func(_ int, b []byte) [][]byte { flights = append(flights, b); return [][]byte{b} }}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	null := append(greetingOf(3, "NULL", 0), command("READY", readyBody)...)
	type victim struct {
		at  Endpoint
		say []byte
	}
	victims := []victim{}
	for _, n := range []int{0, 1, 11, 63, 64, 66, 70, 80, len(null) - 1} {
		victims = append(victims, victim{s.near.Endpoint(), null[:n]})
	}
	// The whole of the first flight is answered, and its second does not come.
	for _, n := range []int{0, 1, 40, 63, 64, 65, 75, 200, len(flights[0]) - 1, len(flights[0])} {
		victims = append(victims, victim{s.far.Endpoint(), flights[0][:n]})
	}
	ended := make(chan time.Duration, len(victims))
	for _, v := range victims {
		nc, err := v.at.dial(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		go func() {
			began := time.Now()
			nc.Write(v.say)
			nc.SetReadDeadline(began.Add(40 * time.Second))
			io.Copy(io.Discard, nc)
			ended <- time.Since(began)
		}()
	}
	s.healthy()
	for range victims {
		if d := <-ended; d > 22*time.Second {
			t.Errorf("one is borne with for %v", d)
		}
	}
	s.healthy()
}

// Sessions are replaced under traffic, and nobody notices.
func TestRotationUnderTraffic(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Lifetime = zmtp.Lifetime{MaxMessages: 100} })
	n := dialPlain(t, s.near.Endpoint(), pairReady())
	defer n.Close()
	const count = 20_000
	go func() {
		for i := range count {
			if err := n.WriteMessage(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
				t.Error(err)
			}
			if i%200 == 0 {
				time.Sleep(20 * time.Millisecond)
			}
		}
	}()
	n.SetReadDeadline(time.Now().Add(60 * time.Second))
	for i := range count {
		m, err := n.ReadMessage()
		if err != nil || binary.BigEndian.Uint32(m.Parts[0]) != uint32(i) {
			t.Fatalf("message %d: %v, %v", i, m, err)
		}
	}
	if st := s.far.Stats(); st.Rotations == 0 || st.RotationsFailed > 0 {
		t.Errorf("%d rotations, %d failed", st.Rotations, st.RotationsFailed)
	} else {
		t.Logf("%d rotations", st.Rotations)
	}
}

// While one key takes over from another a listener answers to both.
func TestKeyRollover(t *testing.T) {
	next := newIdentity(t)
	s := newSite(t, func(c *Config) { c.Handshake.MoreIdentities = []*handshake.Identity{next} })
	old := s.farID
	for _, id := range []*handshake.Identity{old, next, old} {
		s.farID = id
		conn, err := s.initiate(s.nearID, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if conn.Session().Peer() != id.Fingerprint() {
			t.Errorf("%v answers for %v", conn.Session().Peer(), id)
		}
		conn.Close()
	}
}

// Whoever holds many places at the sealed door leaves room for others.
func TestPlaces(t *testing.T) {
	s := newSite(t, nil)
	var held []net.Conn
	defer func() {
		for _, nc := range held {
			nc.Close()
		}
	}()
	for range mostOfSource + 20 {
		nc, err := s.far.Endpoint().dial(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, nc)
	}
	for end := time.Now().Add(5 * time.Second); s.far.Stats().Handshakes["busy"] < 20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("counted were %v", s.far.Stats().Handshakes)
		}
	}
	if n := s.far.Stats().Handshakes["busy"]; n != 20 {
		t.Errorf("%d were turned away, want 20", n)
	}
	for _, nc := range held {
		nc.Close()
	}
	held = nil
	for end := time.Now().Add(5 * time.Second); s.far.places.Taken() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("places are not given back")
		}
	}
	s.healthy()
}

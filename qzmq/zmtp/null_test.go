package zmtp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// nulls opens both ends of a connection under NULL, up to the greetings.
func nulls(t testing.TB, a, b net.Conn, oa, ob NullOptions) (na, nb *Null) {
	t.Helper()
	var wg sync.WaitGroup
	var errA, errB error
	wg.Go(func() { na, errA = OpenNull(context.Background(), a, oa) })
	nb, errB = OpenNull(context.Background(), b, ob)
	wg.Wait()
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	return na, nb
}

// readyNulls is nulls that are ready.
func readyNulls(t testing.TB, a, b net.Conn) (na, nb *Null) {
	t.Helper()
	na, nb = nulls(t, a, b, NullOptions{}, NullOptions{})
	beReady(t, na, nb)
	return na, nb
}

func beReady(t testing.TB, na, nb *Null) {
	t.Helper()
	var wg sync.WaitGroup
	for _, n := range []*Null{na, nb} {
		wg.Go(func() {
			if err := n.WriteReady(context.Background(), Metadata{{"Socket-Type", []byte("PAIR")}}); err != nil {
				t.Error(err)
			}
		})
	}
	for _, n := range []*Null{na, nb} {
		m, err := n.ReadReady(context.Background())
		if v, _ := m.Get("Socket-Type"); err != nil || string(v) != "PAIR" {
			t.Errorf("%v, %v", m, err)
		}
	}
	wg.Wait()
}

// opening is the greeting and the READY of a peer, followed by frames.
func opening(minor byte, frames ...byte) []byte {
	g := NewGreeting(nullMechanism, false)
	g[minorAt] = minor
	b := AppendCommand(g[:], readyName, []byte(dealerReady))
	return append(b, frames...)
}

// A peer may send its opening in whatever segments, with a message right behind.
func TestNullSegments(t *testing.T) {
	all := opening(1, 0, 2, 'h', 'i')
	for cut := range len(all) {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer b.Close()
			go io.Copy(io.Discard, b)
			go func() {
				for _, segment := range [][]byte{all[:cut], all[cut:]} {
					time.Sleep(time.Second)
					b.Write(segment)
				}
			}()
			n, err := OpenNull(t.Context(), a, NullOptions{Minor: 1})
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			m, err := n.ReadReady(t.Context())
			if v, _ := m.Get("identity"); err != nil || string(v) != "me" {
				t.Fatalf("cut at %d: %v, %v", cut, m, err)
			}
			if msg, err := n.ReadMessage(); err != nil || string(msg.Parts[0]) != "hi" {
				t.Fatalf("cut at %d: %v, %v", cut, msg, err)
			}
			n.Close()
		})
	}
}

func TestNullVersions(t *testing.T) {
	for _, tc := range []struct{ own, peer, want uint8 }{{0, 0, 0}, {0, 1, 0}, {1, 0, 0}, {1, 1, 1}, {1, 7, 1}} {
		a, b := tcpPipe(t)
		go b.Write(opening(tc.peer))
		n, err := OpenNull(t.Context(), a, NullOptions{Minor: tc.own})
		if err != nil || n.Minor() != tc.want {
			t.Errorf("3.%d meets 3.%d: %v, %v", tc.own, tc.peer, n.Minor(), err)
		}
		var greeting Greeting
		if _, err := io.ReadFull(b, greeting[:]); err != nil || greeting[minorAt] != tc.own || greeting[majorAt] != 3 {
			t.Errorf("3.%d says %x, %v", tc.own, greeting, err)
		}
	}
}

// What is wrong is refused, at each stage, and the connection closed.
func TestNullRefusals(t *testing.T) {
	greeting := opening(1)[:GreetingLen]
	edit := func(at int, b byte) []byte {
		g := bytes.Clone(greeting)
		g[at] = b
		return g
	}
	ready := func(b ...byte) []byte { return append(bytes.Clone(greeting), b...) }
	long := binary.BigEndian.AppendUint64([]byte{6}, 1+5+maxReady+1)
	for _, tc := range []struct {
		name string
		say  []byte
		want error
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), ErrNotZMTP},
		{"ZMTP 2", edit(majorAt, 2), ErrVersion},
		{"ZMTP 1", edit(majorAt, 0), ErrVersion},
		{"CURVE", edit(mechanismAt, 'C'), ErrMechanism},
		{"NULLX", edit(mechanismAt+4, 'X'), ErrMechanism},
		{"a message for READY", ready(0, 1, 'x'), ErrUnexpected},
		{"PING for READY", ready(AppendCommand(nil, "PING", []byte{0, 0})...), ErrUnexpected},
		{"flags", ready(0x80, 0), ErrFlags},
		{"a name that ends", ready(4, 1, 9), ErrCommand},
		{"a large READY", ready(long...), ErrTooLarge},
		{"bad metadata", ready(AppendCommand(nil, readyName, []byte("\x01A"))...), ErrMetadata},
		{"ERROR without a reason", ready(AppendCommand(nil, errorName, nil)...), ErrCommand},
		{"the end", greeting[:20], ErrTruncated},
	} {
		a, b := tcpPipe(t)
		go func() {
			b.Write(tc.say)
			b.(*net.TCPConn).CloseWrite()
		}()
		n, err := OpenNull(t.Context(), a, NullOptions{Minor: 1})
		if err == nil {
			_, err = n.ReadReady(t.Context())
		}
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		b.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, b); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection was left open", tc.name)
		}
	}
}

func TestNullError(t *testing.T) {
	a, b := tcpPipe(t)
	na, nb := nulls(t, a, b, NullOptions{}, NullOptions{})
	if err := na.Refuse(t.Context(), "Invalid socket type"); err != nil {
		t.Fatal(err)
	}
	_, err := nb.ReadReady(t.Context())
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Reason != "Invalid socket type" {
		t.Error(err)
	}
}

// Each stage has its time, however the bytes trickle in.
func TestNullDeadlines(t *testing.T) {
	all := opening(1)
	for _, from := range []int{0, 1, GreetingLen - 1, GreetingLen, len(all) - 1} {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			go io.Copy(io.Discard, b)
			go func() {
				_, err := b.Write(all[:from])
				for i := from; i < len(all)-1 && err == nil; i++ {
					time.Sleep(stageTimeout - time.Second)
					_, err = b.Write(all[i : i+1])
				}
			}()
			began := time.Now()
			n, err := OpenNull(t.Context(), a, NullOptions{Minor: 1})
			if err == nil {
				_, err = n.ReadReady(t.Context())
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 2*stageTimeout {
				t.Errorf("from %d: %v after %v", from, err, time.Since(began))
			}
			b.Close()
			time.Sleep(stageTimeout)
		})
	}
}

func TestNullContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		go io.Copy(io.Discard, b)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, io.ErrNoProgress)
		defer cancel()
		if _, err := OpenNull(ctx, a, NullOptions{}); !errors.Is(err, io.ErrNoProgress) {
			t.Error(err)
		}
	})
}

// Messages of all kinds, both ways at once.
func TestNullMessages(t *testing.T) {
	for name, segment := range map[string]func(net.Conn) net.Conn{
		"whole":   func(nc net.Conn) net.Conn { return nc },
		"trickle": func(nc net.Conn) net.Conn { return segments{nc, rand.New(rand.NewPCG(3, 4))} },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := tcpPipe(t)
			na, nb := readyNulls(t, segment(a), segment(b))
			var all sync.WaitGroup
			for i, n := range []*Null{na, nb} {
				seed := rand.New(rand.NewPCG(1, uint64(i)))
				all.Go(func() {
					for _, m := range messages(seed) {
						if m.Command != nil {
							n.WriteCommand(string(m.Command), m.Parts[0])
						} else if err := n.WriteMessage(m.Parts...); err != nil {
							t.Error(err)
						}
					}
				})
				all.Go(func() {
					for i, want := range messages(rand.New(rand.NewPCG(1, uint64(1-i)))) {
						got, err := n.ReadMessage()
						if err != nil || !sameMessage(got, want) {
							t.Errorf("message %d: %v", i, err)
							return
						}
					}
				})
			}
			all.Wait()
			na.Close()
			if _, err := nb.ReadMessage(); !errors.Is(err, ErrTruncated) {
				t.Errorf("the end: %v", err)
			}
			if _, err := na.ReadMessage(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("our own end: %v", err)
			}
		})
	}
}

// segments is a connection whose reads are short.
type segments struct {
	net.Conn
	r *rand.Rand
}

func (s segments) Read(b []byte) (int, error) {
	return s.Conn.Read(b[:1+s.r.IntN(min(len(b), 1<<s.r.IntN(17)))])
}

// messages is a mixture of what peers send, the same for the same seed.
func messages(r *rand.Rand) (all []Message) {
	sizes := []int{0, 1, 64, 255, 256, 1000, holdMost - maxHeaderLen, holdMost - maxHeaderLen + 1, 30_000,
		maxPiece - maxHeaderLen, maxPiece, maxPiece + 1, MaxRecord, 2 * MaxRecord, 300_000}
	for range 300 {
		if r.IntN(10) == 0 {
			all = append(all, Message{Command: []byte("PING"), Parts: [][]byte{random(r, r.IntN(40))}})
			continue
		}
		var m Message
		for range 1 + r.IntN(4)*r.IntN(2) {
			size := sizes[r.IntN(1+r.IntN(len(sizes)))]
			m.Parts = append(m.Parts, random(r, size))
		}
		all = append(all, m)
	}
	return all
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func sameMessage(a, b Message) bool {
	if string(a.Command) != string(b.Command) || len(a.Parts) != len(b.Parts) {
		return false
	}
	for i := range a.Parts {
		if !bytes.Equal(a.Parts[i], b.Parts[i]) {
			return false
		}
	}
	return true
}

// wireOf is what a plain connection has for messages.
func wireOf(all []Message) (wire []byte) {
	for _, m := range all {
		if m.Command != nil {
			wire = AppendCommand(wire, string(m.Command), m.Parts[0])
			continue
		}
		for i, p := range m.Parts {
			flags := More
			if i == len(m.Parts)-1 {
				flags = 0
			}
			wire = append(AppendHeader(wire, flags, len(p)), p...)
		}
	}
	return wire
}

package zmtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// filled is n bytes that depend on seed and place.
func filled(seed, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(seed + i + i>>8)
	}
	return b
}

func sameParts(got, want [][]byte) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			return false
		}
	}
	return true
}

// shapes are messages at the edges: of one size byte, of a record, of a piece.
func shapes() [][][]byte {
	list := [][][]byte{
		{nil}, {nil, nil}, {[]byte("x"), nil, []byte("y")},
		{filled(1, 10), filled(2, 3*MaxRecord), filled(3, 10)},
		{filled(4, MaxRecord), filled(5, MaxRecord), nil},
		make([][]byte, 1000),
	}
	for _, n := range []int{
		1, maxShort, maxShort + 1, maxPiece - 1, maxPiece, maxPiece + 1,
		MaxRecord - maxHeaderLen - 1, MaxRecord - maxHeaderLen, MaxRecord - maxHeaderLen + 1,
		MaxRecord, 2 * maxPiece, 2*maxPiece + 1, 2*maxPiece + MaxRecord - maxHeaderLen, 1 << 20,
	} {
		list = append(list, [][]byte{filled(n, n)})
	}
	return list
}

func TestMessagesBothWays(t *testing.T) {
	for name, pipe := range map[string]func(testing.TB) (net.Conn, net.Conn){"tcp": tcpPipe, "pipe": memoryPipe} {
		for _, padTo := range []int{0, 1, 256, MaxRecord} {
			t.Run(fmt.Sprintf("%s, padded to %d", name, padTo), func(t *testing.T) {
				ca, cb := sessionsOver(t, pipe)
				var wg sync.WaitGroup
				for _, c := range []*Conn{ca, cb} {
					if err := c.Configure(Options{PadTo: padTo}); err != nil {
						t.Fatal(err)
					}
					wg.Go(func() {
						for _, m := range shapes() {
							if err := c.WriteMessage(m...); err != nil {
								t.Error(err)
							}
						}
					})
					wg.Go(func() {
						for i, want := range shapes() {
							m, err := c.ReadMessage()
							if err != nil || m.Command != nil || !sameParts(m.Parts, want) {
								t.Errorf("message %d: %d parts, %v", i, len(m.Parts), err)
								return
							}
						}
					})
				}
				wg.Wait()
				closeBoth(t, ca, cb)
			})
		}
	}
}

// Several writers of messages and of commands at once: what one writer sends
// arrives whole and in its order.
func TestManyWriters(t *testing.T) {
	const writers, each = 3, 60
	ca, cb := sessionsOver(t, tcpPipe)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				head := binary.BigEndian.AppendUint16([]byte{byte(w)}, uint16(i))
				parts := [][]byte{head}
				for range rand.IntN(4) {
					parts = append(parts, filled(w, rand.IntN(1<<rand.IntN(19))))
				}
				if err := ca.WriteMessage(parts...); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for i := range each {
				if err := ca.WriteCommand("W", binary.BigEndian.AppendUint16([]byte{byte(w)}, uint16(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var messages, commands [writers]int
	for range 2 * writers * each {
		m, err := cb.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		next := &messages
		if m.Command != nil {
			next = &commands
		}
		w := m.Parts[0][0]
		if i := int(binary.BigEndian.Uint16(m.Parts[0][1:])); i != next[w] {
			t.Fatalf("writer %d: %d after %d", w, i, next[w])
		}
		next[w]++
		for _, p := range m.Parts[1:] {
			if !bytes.Equal(p, filled(int(w), len(p))) {
				t.Fatalf("a part of writer %d has changed", w)
			}
		}
	}
	wg.Wait()
	closeBoth(t, ca, cb)
}

// relayFrames passes what a reads on to b, as a relay does.
func relayFrames(a, b *Conn) error {
	for {
		f, err := a.ReadFrame()
		if err == nil {
			err = b.WriteFrame(f)
		}
		if err == nil && len(a.frames) == 0 {
			err = b.Flush()
		}
		if err != nil {
			return err
		}
	}
}

func TestRelayedPieces(t *testing.T) {
	a1, a2 := sessionsOver(t, tcpPipe)
	b1, b2 := sessionsOver(t, tcpPipe)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := relayFrames(a2, b1); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		b1.Close()
	})
	wg.Go(func() {
		for i, m := range shapes() {
			if err := errors.Join(a1.WriteMessage(m...), a1.WriteCommand("N", []byte{byte(i)})); err != nil {
				t.Error(err)
			}
		}
		a1.Close()
	})
	for i, want := range shapes() {
		m, err := b2.ReadMessage()
		if err != nil || !sameParts(m.Parts, want) {
			t.Fatalf("message %d: %d parts, %v", i, len(m.Parts), err)
		}
		if m, err = b2.ReadMessage(); err != nil || string(m.Command) != "N" || m.Parts[0][0] != byte(i) {
			t.Fatalf("command %d: %q, %v", i, m, err)
		}
	}
	if _, err := b2.ReadMessage(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	wg.Wait()
}

func TestReadMessageGoesOnAfterADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, cb := sessionsOver(t, memoryPipe)
		want := [][]byte{filled(1, 200_000), filled(2, 100)}
		go func() {
			for i, p := range want {
				for at := 0; at < len(p); {
					time.Sleep(time.Second)
					n := min(30_000, len(p)-at)
					flags := More
					if i == len(want)-1 {
						flags = 0
					}
					if err := errors.Join(ca.WriteFrame(Frame{flags, len(p), at, p[at : at+n]}), ca.Flush()); err != nil {
						t.Error(err)
					}
					at += n
				}
			}
		}()
		timeouts := 0
		for {
			cb.SetReadDeadline(time.Now().Add(700 * time.Millisecond))
			m, err := cb.ReadMessage()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				timeouts++
				continue
			}
			if err != nil || !sameParts(m.Parts, want) {
				t.Errorf("%d parts, %v", len(m.Parts), err)
			}
			break
		}
		if timeouts < 5 {
			t.Errorf("%d timeouts only", timeouts)
		}
		ca.nc.Close()
		cb.nc.Close()
	})
}

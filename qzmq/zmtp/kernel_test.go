package zmtp

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// Whatever the kernel takes at a time, a sink writes all slices in order, uses them up,
// and keeps none of them.
func TestSink(t *testing.T) {
	for name, pipe := range map[string]func(testing.TB) (net.Conn, net.Conn){
		"TCP":           tcpPipe,
		"no descriptor": memoryPipe,
	} {
		a, b := pipe(t)
		if tcp, ok := a.(*net.TCPConn); ok {
			tcp.SetWriteBuffer(1) // as small as there are
			b.(*net.TCPConn).SetReadBuffer(1)
		}
		r := rand.New(rand.NewPCG(5, 6))
		s := newSink(a)
		for _, slices := range []int{0, 1, mostVector, 3*mostVector + 1} {
			wire := make([][]byte, slices)
			for i := range wire {
				wire[i] = random(r, r.IntN(1<<r.IntN(14)))
			}
			want := bytes.Join(wire, nil)
			got, done := make([]byte, len(want)), make(chan error, 1)
			go func() {
				_, err := io.ReadFull(b, got)
				done <- err
			}()
			if err := errors.Join(s.write(wire), <-done); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s, %d slices: %v", name, slices, err)
			}
			for i := range wire {
				if len(wire[i]) > 0 {
					t.Fatalf("%s: slice %d of %d is left", name, i, slices)
				}
			}
			for _, v := range s.list[:cap(s.list)] {
				if v.Base != nil {
					t.Fatalf("%s, %d slices: one is kept", name, slices)
				}
			}
		}
		a.Close()
		if err := s.write([][]byte{{1}}); !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s, closed: %v", name, err)
		}
		b.Close()
	}
}

// A peer that does not read, and one that is gone.
func TestSinkErrors(t *testing.T) {
	a, b := tcpPipe(t)
	s := newSink(a)
	a.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	var err error
	for range 1000 {
		if err = s.write([][]byte{make([]byte, 1<<20)}); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("to a peer that does not read: %v", err)
	}
	a.SetWriteDeadline(time.Time{})
	b.Close()
	for range 1000 {
		if err = s.write([][]byte{make([]byte, 1<<20)}); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("to a peer that is gone: %v", err)
	}
}

// What carries messages takes no memory for it.
func TestSinkAllocates(t *testing.T) {
	a, b := tcpPipe(t)
	go io.Copy(io.Discard, b)
	s, body, wire := newSink(a), make([]byte, 1000), make([][]byte, 4)
	if n := testing.AllocsPerRun(1000, func() {
		for i := range wire {
			wire[i] = body
		}
		if err := s.write(wire); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

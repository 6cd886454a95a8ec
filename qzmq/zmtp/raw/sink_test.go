package raw

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
		"no descriptor": func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() },
	} {
		a, b := pipe(t)
		if tcp, ok := a.(*net.TCPConn); ok {
			tcp.SetWriteBuffer(16 << 10) // so that it is full again and again
			b.(*net.TCPConn).SetReadBuffer(16 << 10)
		}
		r := rand.New(rand.NewPCG(5, 6))
		s := NewSink(a)
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
			if err := errors.Join(s.Write(wire), <-done); err != nil || !bytes.Equal(got, want) {
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
		if err := s.Write([][]byte{{1}}); !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s, closed: %v", name, err)
		}
		b.Close()
	}
}

// A peer that does not read, and one that is gone.
func TestSinkErrors(t *testing.T) {
	a, b := tcpPipe(t)
	s := NewSink(a)
	a.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	var err error
	for range 1000 {
		if err = s.Write([][]byte{make([]byte, 1<<20)}); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("to a peer that does not read: %v", err)
	}
	a.SetWriteDeadline(time.Time{})
	b.Close()
	for range 1000 {
		if err = s.Write([][]byte{make([]byte, 1<<20)}); err != nil {
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
	s, body, wire := NewSink(a), make([]byte, 1000), make([][]byte, 4)
	if n := testing.AllocsPerRun(1000, func() {
		for i := range wire {
			wire[i] = body
		}
		if err := s.Write(wire); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func tcpPipe(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialled, err = net.Dial("tcp", l.Addr().String()); err == nil {
		accepted, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// What is appended stands in the memory that was asked for.
func TestMemory(t *testing.T) {
	for _, n := range []int{1, 100, 4096, 1 << 20} {
		b := Memory(n)
		if len(b) != 0 || cap(b) != n {
			t.Fatalf("%d bytes, room for %d, not %d", len(b), cap(b), n)
		}
		full := append(b, make([]byte, n)...)
		if &full[0] != &b[:1][0] {
			t.Errorf("%d bytes have no room", n)
		}
	}
}

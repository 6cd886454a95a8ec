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
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qzmq/gateway/qzmq/zmtp/raw"
)

// Several writers on each side at once; each writer's commands stay in order.
func TestCommandsBothWays(t *testing.T) {
	const writers, each = 4, 100
	for name, pipe := range map[string]func(testing.TB) (net.Conn, net.Conn){"tcp": tcpPipe, "pipe": memoryPipe} {
		t.Run(name, func(t *testing.T) {
			ca, cb := sessionsOver(t, pipe)
			var reading, writing sync.WaitGroup
			for _, c := range []*Conn{ca, cb} {
				for w := range writers {
					writing.Go(func() {
						for i := range each {
							body := make([]byte, 4+rand.IntN(1<<rand.IntN(16)))
							binary.BigEndian.PutUint32(body, uint32(i))
							for j := 4; j < len(body); j++ {
								body[j] = byte(i + j)
							}
							if err := c.WriteCommand(fmt.Sprintf("W%d", w), body); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				reading.Go(func() {
					next := map[string]int{}
					for range writers * each {
						name, body, err := c.ReadCommand()
						if err != nil {
							t.Error(err)
							return
						}
						i := next[name]
						if len(body) < 4 || int(binary.BigEndian.Uint32(body)) != i {
							t.Errorf("%s: command %d of %d bytes is not the next", name, i, len(body))
							return
						}
						for j := 4; j < len(body); j++ {
							if body[j] != byte(i+j) {
								t.Errorf("%s: command %d has changed", name, i)
								return
							}
						}
						next[name]++
					}
				})
			}
			writing.Wait()
			reading.Wait()
			closeBoth(t, ca, cb)
		})
	}
}

func TestReadDeadlineLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		ca, cb := sessions(t, trickle{a}, b)
		go func() {
			time.Sleep(5 * time.Second)
			ca.WriteCommand("ONE", []byte("1"))
			ca.WriteCommand("TWO", []byte("2"))
			ca.Close()
		}()
		cb.SetReadDeadline(time.Now().Add(time.Second))
		for range 3 {
			if _, _, err := cb.ReadCommand(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		}
		cb.SetReadDeadline(time.Time{})
		if names, err := readAll(cb); strings.Join(names, " ") != "ONE TWO" || !errors.Is(err, io.EOF) {
			t.Errorf("%v, %v", names, err)
		}
	})
}

// A deadline in the middle of a record leaves its first half in place.
func TestReadDeadlineInsideARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		w := &wire{Conn: a}
		ca, cb := sessions(t, w, b)
		w.edit = func(_ int, p []byte) []byte {
			for i := range p {
				time.Sleep(200 * time.Millisecond)
				if _, err := a.Write(p[i : i+1]); err != nil {
					t.Error(err)
				}
			}
			return nil
		}
		go ca.WriteCommand("SLOW", []byte("body"))
		var timeouts int
		for {
			cb.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			name, body, err := cb.ReadCommand()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				timeouts++
				continue
			}
			if err != nil || name != "SLOW" || string(body) != "body" {
				t.Errorf("%q %q %v", name, body, err)
			}
			break
		}
		if timeouts < 10 {
			t.Errorf("%d timeouts only: the record was not cut by them", timeouts)
		}
		a.Close()
		b.Close()
	})
}

func TestPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		ca, _ := sessions(t, a, b)
		began := time.Now()
		err := ca.WriteCommand("STUCK", nil)
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != DefaultWriteTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if again := ca.WriteCommand("STUCK", nil); again != err {
			t.Errorf("then %v", again)
		}
		if _, _, err := ca.ReadCommand(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading: %v", err)
		}
		ca.Close()
		if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Error("the connection was left open")
		}
	})
}

func TestLargestCommand(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	const name = "LARGE"
	body := bytes.Repeat([]byte("x"), MaxRecord-maxHeaderLen-1-len(name))
	if err := ca.WriteCommand(name, append(body, 'x')); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte too many: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := ca.WriteCommand(name, body); err != nil {
			t.Error(err)
		}
	})
	if _, got, err := cb.ReadCommand(); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes arrive, %v", len(got), err)
	}
	wg.Wait()
	for range 2*keepTimes + 2 {
		if err := ca.WriteCommand("SMALL", nil); err != nil {
			t.Error(err)
		}
		if n, got, err := cb.ReadCommand(); err != nil || n != "SMALL" || len(got) != 0 {
			t.Errorf("then %q, %v", n, err)
		}
	}
	cb.SetReadDeadline(time.Now())
	if _, _, err := cb.ReadCommand(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	cb.SetReadDeadline(time.Time{})
	// An idle connection holds on to small buffers only.
	if len(cb.in.buf) > keepBuf || cap(ca.out.buf) > keepBuf || cap(ca.queue.buf) > keepBuf {
		t.Errorf("%d bytes are kept for reading, %d and %d for writing", len(cb.in.buf), cap(ca.out.buf), cap(ca.queue.buf))
	}
	closeBoth(t, ca, cb)
}

func TestWriteCommandRefusesNames(t *testing.T) {
	ca, _ := sessionsOver(t, tcpPipe)
	for _, name := range []string{"", "ALERT", "A B", "\x00", strings.Repeat("A", 256)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken", name)
				}
			}()
			ca.WriteCommand(name, nil)
		}()
	}
	if err := ca.WriteCommand("FINE", nil); err != nil {
		t.Errorf("and then: %v", err)
	}
}

// over has a session go on over another connection.
func (c *Conn) over(nc net.Conn) { c.nc, c.sink, c.in.source = nc, raw.NewSink(nc), nil }

// quiet takes every write and never has anything to read.
type quiet struct{ net.Conn }

func (quiet) Write(b []byte) (int, error)      { return len(b), nil }
func (quiet) SetWriteDeadline(time.Time) error { return nil }

func TestWriteCommandAllocatesNothing(t *testing.T) {
	a, b := net.Pipe()
	ca, _ := sessions(t, a, b)
	ca.over(quiet{a})
	body := make([]byte, 300)
	if n := testing.AllocsPerRun(100, func() {
		if err := ca.WriteCommand("PING", body); err != nil {
			panic(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a command", n)
	}
}

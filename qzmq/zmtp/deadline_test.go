package zmtp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// stalling passes the first writes and then, instead of the next one, a byte of
// it each second. It knows no deadline, so that the other side's has to end it.
type stalling struct {
	net.Conn
	after int
}

func (s *stalling) Write(b []byte) (int, error) {
	if s.after--; s.after >= 0 {
		return s.Conn.Write(b)
	}
	for i := range b {
		time.Sleep(time.Second)
		if _, err := s.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func (s *stalling) SetDeadline(time.Time) error { return nil }

// Whoever sends a byte a second gets one stage's time and no more.
func TestSlowPeers(t *testing.T) {
	for _, c := range []struct {
		name      string
		side, nth int
	}{
		{"ClientHello", 0, 0},
		{"ServerHello", 1, 0},
		{"ClientKey", 0, 1},
		{"Finished", 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				ends := [2]net.Conn{a, b}
				ends[c.side] = &stalling{ends[c.side], c.nth}
				ca, cb := configs(t)
				began := time.Now()
				ra, rb := shake(ends[0], ends[1], ca, cb)
				waits := [2]result{rb, ra}[c.side].err
				if !errors.Is(waits, os.ErrDeadlineExceeded) {
					t.Errorf("%v", waits)
				}
				if ra.err == nil || rb.err == nil {
					t.Errorf("initiator %v, responder %v", ra.err, rb.err)
				}
				// What came before took no time; the sleeper notices within a second.
				if took := time.Since(began); took < stageTimeout || took > stageTimeout+time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// Every stage has its own time, and a session has none.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		late := func(nth int) func(int, []byte) []byte {
			return func(n int, p []byte) []byte {
				if n == nth {
					time.Sleep(stageTimeout * 2 / 3)
				}
				return p
			}
		}
		began := time.Now()
		ca, cb := sessions(t, &wire{Conn: a, edit: late(0)}, &wire{Conn: b, edit: late(1)})
		if took := time.Since(began); took <= stageTimeout {
			t.Errorf("the handshake was not late: %v", took)
		}
		go readAll(ca) // it is replaced many times in between
		go func() {
			time.Sleep(24 * time.Hour)
			ca.WriteCommand("LATE", nil)
			ca.Close()
		}()
		if names, err := readAll(cb); len(names) != 1 || !errors.Is(err, io.EOF) {
			t.Errorf("%v, %v", names, err)
		}
	})
}

func TestSilentPeers(t *testing.T) {
	ca, cb := configs(t)
	for name, run := range map[string]func(context.Context, net.Conn) (*Conn, error){
		"initiator": func(ctx context.Context, nc net.Conn) (*Conn, error) { return Initiate(ctx, nc, ca) },
		"responder": func(ctx context.Context, nc net.Conn) (*Conn, error) { return Respond(ctx, nc, cb) },
	} {
		for _, c := range []struct {
			name string
			ctx  func() (context.Context, context.CancelFunc)
			took time.Duration
			want error
		}{
			{"default", func() (context.Context, context.CancelFunc) {
				return context.WithCancel(context.Background())
			}, stageTimeout, os.ErrDeadlineExceeded},
			{"context's deadline", func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(context.Background(), 3*time.Second)
			}, 3 * time.Second, context.DeadlineExceeded},
			{"cancelled before", func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				return ctx, cancel
			}, 0, context.Canceled},
			{"cancelled while waiting", func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			}, time.Second, context.Canceled},
		} {
			t.Run(name+", "+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := net.Pipe()
					defer b.Close()
					var got int64
					go func() { got, _ = io.Copy(io.Discard, b) }()
					ctx, cancel := c.ctx()
					defer cancel()
					began := time.Now()
					conn, err := run(ctx, a)
					if conn != nil || !errors.Is(err, c.want) || time.Since(began) != c.took {
						t.Errorf("%v after %v", err, time.Since(began))
					}
					synctest.Wait()
					if name == "responder" && got != 0 {
						t.Errorf("it sent %d bytes", got)
					}
				})
			})
		}
	}
}

func TestBadConfigClosesTheConnection(t *testing.T) {
	for name, run := range map[string]func(context.Context, net.Conn, handshake.Config) (*Conn, error){
		"initiate": Initiate, "respond": Respond,
	} {
		a, b := net.Pipe()
		if c, err := run(context.Background(), a, handshake.Config{}); c != nil || err == nil {
			t.Errorf("%s: no identity, and no error", name)
		}
		if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%s: the connection was left open", name)
		}
	}
}

func TestNoGoroutineStays(t *testing.T) {
	before := runtime.NumGoroutine()
	ca, cb := configs(t)
	for range 10 {
		a, b := tcpPipe(t)
		ra, rb := shake(a, b, ca, cb)
		if ra.err != nil || rb.err != nil {
			t.Fatal(ra.err, rb.err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { readAll(rb.conn) })
		if err := ra.conn.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		c, d := tcpPipe(t)
		d.Write([]byte("garbage"))
		if _, err := Initiate(context.Background(), c, ca); err == nil {
			t.Error("garbage was taken")
		}
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

package zmtp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// traffic numbers messages both ways, holds each side to get every one in order,
// and stops after d. It closes both.
func traffic(t *testing.T, ca, cb *Conn, every, d time.Duration) {
	t.Helper()
	var wg sync.WaitGroup
	var sent, got [2]atomic.Uint64
	for i, c := range []*Conn{ca, cb} {
		wg.Go(func() {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(every) {
				if err := c.WriteMessage(binary.BigEndian.AppendUint64(nil, sent[i].Load()), make([]byte, 1000)); err != nil {
					t.Errorf("side %d: %v", i, err)
					return
				}
				sent[i].Add(1)
			}
			if i == 0 {
				time.Sleep(every) // what the other has sent last is there
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for {
				m, err := c.ReadMessage()
				if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
					return
				}
				if err != nil || binary.BigEndian.Uint64(m.Parts[0]) != got[i].Load() {
					t.Errorf("side %d, message %d: %v", i, got[i].Load(), err)
					c.nc.Close()
					return
				}
				got[i].Add(1)
			}
		})
	}
	wg.Wait()
	if got[0].Load() != sent[1].Load() || got[1].Load() != sent[0].Load() || got[0].Load() == 0 {
		t.Errorf("%d and %d sent, %d and %d received", sent[0].Load(), sent[1].Load(), got[1].Load(), got[0].Load())
	}
}

// Each limit alone, at the initiator, at the responder, at both: sessions are
// replaced as often as they must be and not once more, and nothing is lost. A
// message every 10 ms each way is 200 records a second, of about 1,000 bytes.
func TestLifetime(t *testing.T) {
	const every, d = 10 * time.Millisecond, 60 * time.Second
	never := Lifetime{Never: true}
	for _, c := range []struct {
		name        string
		limit       Lifetime
		first, last int // rotations when the initiator begins, and when the responder asks
	}{
		{"messages", Lifetime{MaxMessages: 2500}, 6, 5}, // 2,000 take 10 s, 2,250 take 11.25 s
		{"bytes", Lifetime{MaxBytes: 2_600_000}, 6, 5},
		{"age", Lifetime{MaxAge: 13 * time.Second}, 6, 5}, // 9.1 to 10.4 s, and 11.7 s
		{"none of them", Lifetime{}, 0, 0},
	} {
		for who, limits := range map[string][2]Lifetime{
			"initiator": {c.limit, never}, "responder": {never, c.limit}, "both": {c.limit, c.limit},
		} {
			t.Run(fmt.Sprintf("%s, %s", c.name, who), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca, cb := sessionsOver(t, memoryPipe)
					var ended [2]atomic.Int64
					for i, conn := range []*Conn{ca, cb} {
						err := conn.Configure(Options{Lifetime: limits[i], Rotated: func(_ *handshake.Session, err error) {
							if err != nil {
								t.Error(err)
							}
							ended[i].Add(1)
						}})
						if err != nil {
							t.Fatal(err)
						}
					}
					traffic(t, ca, cb, every, d)
					want := int64(c.first)
					if who == "responder" {
						want = int64(c.last)
					}
					a, b := ended[0].Load(), ended[1].Load()
					if a != b || a > want || a < want-1 {
						t.Errorf("%d and %d rotations, want %d or one less", a, b, want)
					}
				})
			})
		}
	}
}

// A session that is idle is replaced by its age as well, and a clock that leaps, as
// when the machine has slept, is noticed.
func TestLifetimeOfAnIdleSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, cb := sessionsOver(t, memoryPipe)
		var leap atomic.Int64
		began := time.Now()
		told := tellBoth(t, Options{Lifetime: Lifetime{Clock: func() time.Duration {
			return time.Since(began) + time.Duration(leap.Load())
		}}}, ca, cb)
		var wg sync.WaitGroup
		wg.Go(func() { readAll(ca) })
		wg.Go(func() { readAll(cb) })
		for range 4 {
			if err := errors.Join(<-told, <-told); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 4*7*DefaultMaxAge/10 || took > 4*(8*DefaultMaxAge/10+time.Second) {
			t.Errorf("4 rotations after %v", took)
		}
		at := time.Now()
		leap.Store(int64(DefaultMaxAge))
		if err := errors.Join(<-told, <-told); err != nil || time.Since(at) > lookAtMost+time.Second {
			t.Errorf("a leap is noticed after %v, %v", time.Since(at), err)
		}
		ca.nc.Close()
		cb.nc.Close()
		wg.Wait()
	})
}

// A session that nobody helps to replace ends, and does not live on under old keys.
func TestTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, cb := sessionsOver(t, memoryPipe)
		began := time.Now()
		told := make(chan error, 10)
		if err := ca.Configure(Options{
			Lifetime: Lifetime{MaxAge: time.Minute}, WriteTimeout: -1,
			Rotated: func(_ *handshake.Session, err error) { told <- err },
		}); err != nil {
			t.Fatal(err)
		}
		go readAll(ca)
		for err := range told { // cb reads nothing
			if errors.Is(err, ErrTooOld) {
				break
			}
		}
		if took := time.Since(began); took < agesAtMost*time.Minute || took > agesAtMost*time.Minute+2*time.Second {
			t.Errorf("ended after %v", took)
		}
		if err := ca.WriteCommand("PING", nil); err == nil {
			t.Error("it still writes")
		}
		cb.nc.Close()
	})
}

// A rotation that was refused is tried again before the session is too old, also where
// that is soon, whichever side wishes for it.
func TestRotatesAgainInTime(t *testing.T) {
	const age, d = 3 * time.Second, 20 * time.Second
	for who, limits := range map[string][2]Lifetime{
		"initiator": {{MaxAge: age}, {Never: true}}, "responder": {{Never: true}, {MaxAge: age}},
	} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, cb := sessionsOver(t, memoryPipe)
				cb.turns = newTurns(1, 0)
				leave, err := cb.turns.take(t.Context(), known) // now every rotation finds it busy
				if err != nil {
					t.Fatal(err)
				}
				var refused, done atomic.Int64
				for i, conn := range []*Conn{ca, cb} {
					err := conn.Configure(Options{Lifetime: limits[i], Rotated: func(_ *handshake.Session, err error) {
						switch {
						case conn != ca:
						case errors.Is(err, ErrRefused):
							if refused.Add(1) == 2 {
								leave()
							}
						case err != nil:
							t.Error(err)
						default:
							done.Add(1)
						}
					}})
					if err != nil {
						t.Fatal(err)
					}
				}
				traffic(t, ca, cb, 10*time.Millisecond, d)
				if refused.Load() != 2 || done.Load() < 4 {
					t.Errorf("%d rotations were refused, %d made", refused.Load(), done.Load())
				}
			})
		})
	}
}

func TestLifetimeConfig(t *testing.T) {
	ca, _ := sessionsOver(t, tcpPipe)
	if ca.Configure(Options{Lifetime: Lifetime{MaxAge: -1}}) == nil {
		t.Error("an age below zero")
	}
}

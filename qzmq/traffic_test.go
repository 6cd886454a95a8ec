package qzmq_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// flood and count are what libzmq's process does with numbered messages.
func (s theirs) flood(messages, size int) {
	s.must(map[string]any{"do": "flood", "count": messages, "size": size})
}

func (s theirs) count(messages, size int) {
	s.must(map[string]any{"do": "count", "count": messages, "size": size})
}

func (o ours) flood(messages, size int) {
	body := make([]byte, size)
	for i := range messages {
		if err := o.SendMultipart([][]byte{fmt.Append(nil, i), body}); err != nil {
			o.t.Error(err)
			return
		}
	}
}

func (o ours) count(messages, size int) {
	o.t.Helper()
	for i := range messages {
		m, err := o.RecvMultipart()
		if err != nil || len(m) != 2 || string(m[0]) != fmt.Sprint(i) || len(m[1]) != size {
			o.t.Fatalf("message %d of %d: %.40q, %v", i, messages, m, err)
		}
	}
}

// links are all ways in which a socket of ours meets another.
func links(t *testing.T, f func(t *testing.T, l link)) {
	t.Run("ours", func(t *testing.T) {
		oa, ob := twoOptions(t)
		f(t, link{maker(transport(t, oa)), maker(transport(t, ob)), directly(overTCP)})
	})
	t.Run("inproc", func(t *testing.T) {
		a := transport(t, plainOptions())
		f(t, link{maker(a), maker(a), directly(inproc)})
	})
	t.Run("libzmq", func(t *testing.T) {
		f(t, link{maker(transport(t, plainOptions())), startLibzmq(t).open, directly(overTCP)})
	})
	t.Run("relay", func(t *testing.T) { f(t, relayed(t, startLibzmq(t))) })
}

// counter is a party that floods and counts.
type counter interface {
	party
	flood(messages, size int)
	count(messages, size int)
}

// Whatever the sizes and the marks, PUSH and PULL lose nothing, and keep the order.
func TestNothingIsLost(t *testing.T) {
	links(t, func(t *testing.T, l link) {
		for _, tc := range []struct{ messages, size int }{{30_000, 0}, {20_000, 300}, {300, 100_000}} {
			for _, weSend := range []bool{true, false} {
				t.Run(fmt.Sprintf("%d of %d bytes, we send %v", tc.messages, tc.size, weSend), func(t *testing.T) {
					makePush, makePull := l.a, l.b
					if !weSend {
						makePush, makePull = l.b, l.a
					}
					push, pull := makePush(t, qzmq.PUSH, "").(counter), makePull(t, qzmq.PULL, "").(counter)
					defer push.close()
					defer pull.close()
					l.join(t, pull, push, !weSend)
					// libzmq's process does one thing at a time, and so do we, at the other end.
					var sending sync.WaitGroup
					sending.Go(func() { push.flood(tc.messages, tc.size) })
					pull.count(tc.messages, tc.size)
					sending.Wait()
				})
			}
		}
	})
}

// Sessions are replaced under traffic, as often as is possible, by whichever side calls
// for it.
func TestRotationUnderTraffic(t *testing.T) {
	for _, weBind := range []bool{true, false} {
		t.Run(fmt.Sprintf("we bind %v", weBind), func(t *testing.T) {
			l := relayed(t, startLibzmq(t))
			push, pull := l.a(t, qzmq.PUSH, "").(ours), l.b(t, qzmq.PULL, "").(counter)
			defer push.close()
			defer pull.close()
			if weBind {
				l.join(t, push, pull, true)
			} else {
				l.join(t, pull, push, false)
			}
			push.connected()
			const messages = 150_000
			ctx, stop := context.WithTimeout(t.Context(), patient)
			defer stop()
			var rotated sync.WaitGroup
			rotated.Go(func() {
				for range 2 {
					if err := push.Rotate(ctx); err != nil {
						t.Error(err)
					}
				}
			})
			var sending sync.WaitGroup
			sending.Go(func() { push.flood(messages, 100) })
			pull.count(messages, 100)
			sending.Wait()
			rotated.Wait()
			if n := push.GetMetrics().KeyUpdates; n < 2 {
				t.Errorf("the session was replaced %d times", n)
			}
			gives(t, push, "still", "there")
			wants(t, pull, "still", "there")
		})
	}
}

// libzmq's program is killed, and another one comes: whoever connects connects again, and
// subscriptions are there.
func TestLibzmqComesBack(t *testing.T) {
	p := transport(t, plainOptions())
	at := "tcp://" + freeAddress(t)
	sub := open(t, p, qzmq.SUB, "reconnect_ivl", 1, "reconnect_ivl_max", 20)
	sub.subscribe("news")
	sub.dial(at)
	for i := range 3 {
		l := startLibzmq(t)
		pub := l.open(t, qzmq.XPUB, "")
		pub.bind(at)
		wants(t, pub, "\x01news")
		gives(t, pub, fmt.Sprint("news ", i))
		sub.expect(fmt.Sprint("news ", i))
		l.kill()
		sub.await(qzmq.EventDisconnected)
	}
}

// libzmq cuts who does not answer its PINGs in time: we do, also while nobody receives.
func TestLibzmqHeartbeats(t *testing.T) {
	for name, l := range map[string]link{
		"plain": {maker(transport(t, plainOptions())), startLibzmq(t).heartbeats(100, 500), directly(overTCP)},
		"relay": func() link { l := relayed(t, startLibzmq(t)); l.b = startLibzmq(t).heartbeats(100, 500); return l }(),
	} {
		t.Run(name, func(t *testing.T) {
			rep, req := l.b(t, qzmq.REP, ""), l.a(t, qzmq.REQ, "").(ours)
			l.join(t, rep, req, false)
			for range 2 {
				gives(t, req, "x")
				wants(t, rep, "x")
				gives(t, rep, "y")
				wants(t, req, "y")
				time.Sleep(800 * time.Millisecond) // longer than libzmq waits
			}
			for len(req.events) > 0 {
				if e := <-req.events; e.Kind == qzmq.EventDisconnected {
					t.Errorf("disconnected: %v", e.Err)
				}
			}
		})
	}
}

package qzmq_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// High-water marks inproc are exact: what both sides say together.
func TestHWM(t *testing.T) {
	for _, tc := range []struct{ send, recv, room int }{
		{1, 1, 2}, {4, 6, 10}, {300, 200, 500}, {1000, 1000, 2000}, {0, 1, 0}, {1, 0, 0}, {0, 0, 0},
	} {
		for _, first := range []string{"bind", "connect"} {
			t.Run(fmt.Sprintf("%d and %d, %s first", tc.send, tc.recv, first), func(t *testing.T) {
				p := newPlace(t, "inproc")
				push := open(t, p.binds, qzmq.PUSH, "sndhwm", tc.send, "sndtimeo", 0)
				pull := open(t, p.binds, qzmq.PULL, "rcvhwm", tc.recv)
				if first == "bind" {
					pull.bind(p.at)
					push.dial(p.at)
				} else {
					push.dial(p.at)
					pull.bind(p.at)
				}
				const enough = 5000
				n := 0
				for n < enough && push.Send([]byte("x")) == nil {
					n++
				}
				if want := tc.room; n != want && (want != 0 || n != enough) {
					t.Errorf("%d messages had room, want %d", n, want)
				}
				for range n {
					pull.expect("x")
				}
				pull.empty()
				push.send("more")
				pull.expect("more")
			})
		}
	}
}

func TestHWMDefaults(t *testing.T) {
	s := open(t, newPlace(t, "tcp").binds, qzmq.PUSH)
	for _, key := range []string{"sndhwm", "rcvhwm"} {
		if v, err := s.GetOption(key); err != nil || v != 1000 {
			t.Errorf("%s is %v, %v", key, v, err)
		}
	}
}

// A connection that is not there yet, and one that is gone, hold as much as sndhwm.
func TestHWMWithoutPeer(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain", "inproc"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			vacant := p.bound(qzmq.PULL)
			at := vacant.at()
			vacant.close()
			push := open(t, p.connect, qzmq.PUSH, "sndhwm", 7)
			push.dial(at)
			if n := push.fill("early"); n != 7 {
				t.Errorf("%d messages had room", n)
			}
			pull := open(t, p.binds, qzmq.PULL)
			pull.bind(at)
			for range 7 {
				pull.expect("early")
			}
		})
	}
}

// A high-water mark that is changed holds for connections made afterwards.
func TestHWMChanges(t *testing.T) {
	p := newPlace(t, "inproc")
	push := p.bound(qzmq.PUSH, "sndhwm", 2)
	p.to(push, qzmq.PULL, "rcvhwm", 2)
	if n := push.fill("x"); n != 4 {
		t.Errorf("%d messages had room", n)
	}
	push.set("sndhwm", 5)
	if v, err := push.GetOption("sndhwm"); err != nil || v != 5 {
		t.Errorf("sndhwm is %v, %v", v, err)
	}
	p.to(push, qzmq.PULL, "rcvhwm", 1)
	if n := push.fill("x"); n != 6 {
		t.Errorf("%d messages had room at the second", n)
	}
}

func TestConflateKeepsTheLast(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pull := p.bound(qzmq.PULL, "conflate", true)
		push := p.to(pull, qzmq.PUSH, "conflate", true)
		const messages = 2000
		for i := range messages {
			push.send(fmt.Sprint(i))
		}
		last := fmt.Sprint(messages - 1)
		got := 0
		for m := ""; m != last; got++ {
			m = pull.recv()[0]
		}
		if p.inproc && got != 1 {
			t.Errorf("%d messages were kept", got)
		}
		pull.empty()
	})
}

func TestTimeouts(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		a := p.bound(qzmq.PAIR)
		a.set("rcvtimeo", 0)
		if _, err := a.Recv(); !errors.Is(err, qzmq.ErrAgain) {
			t.Errorf("without waiting: %v", err)
		}
		for _, tc := range []struct {
			key string
			try func() error
		}{
			{"rcvtimeo", func() error { _, err := a.Recv(); return err }},
			{"sndtimeo", func() error { return a.Send([]byte("x")) }},
		} {
			a.set(tc.key, 60*time.Millisecond)
			began := time.Now()
			if err := tc.try(); !errors.Is(err, qzmq.ErrTimeout) || time.Since(began) < 60*time.Millisecond {
				t.Errorf("%s: %v after %v", tc.key, err, time.Since(began))
			}
			a.set(tc.key, patient)
		}
		b := p.to(a, qzmq.PAIR)
		a.send("x")
		b.expect("x")
	})
}

// A call that waits is told when the socket is closed.
func TestCloseEndsWaiting(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pull, push := p.bound(qzmq.PULL), open(t, p.connect, qzmq.PUSH)
		ended := make(chan error, 2)
		go func() { _, err := pull.Recv(); ended <- err }()
		go func() { ended <- push.Send([]byte("x")) }()
		eventually(t, "both wait", func() bool { return pull.polls(0) && push.polls(0) })
		time.Sleep(5 * time.Millisecond)
		pull.close()
		push.close()
		for range 2 {
			if err := <-ended; !errors.Is(err, qzmq.ErrClosed) {
				t.Error(err)
			}
		}
		if err := pull.Send(nil); !errors.Is(err, qzmq.ErrClosed) {
			t.Error(err)
		}
		if err := pull.Bind(p.at); !errors.Is(err, qzmq.ErrClosed) {
			t.Error(err)
		}
	})
}

// The end of a Transport is that of its sockets, and none is made afterwards.
func TestTransportCloses(t *testing.T) {
	p := newPlace(t, "tcp")
	pull := p.bound(qzmq.PULL)
	ended := make(chan error, 1)
	go func() { _, err := pull.Recv(); ended <- err }()
	if err := p.binds.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, qzmq.ErrClosed) {
		t.Error(err)
	}
	if _, err := p.binds.NewSocket(qzmq.PULL); !errors.Is(err, qzmq.ErrClosed) {
		t.Errorf("a socket after the end: %v", err)
	}
}

// A message over the limit of who receives costs the connection, and one over that of
// who sends is refused.
func TestMaxMessageSize(t *testing.T) {
	for _, name := range []string{"tcp", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			pull := p.bound(qzmq.PULL, "maxmsgsize", 1000)
			push := p.to(pull, qzmq.PUSH, "reconnect_ivl", 1)
			push.send(strings.Repeat("x", 1000))
			pull.expect(strings.Repeat("x", 1000))
			push.send(strings.Repeat("x", 1001))
			pull.await(qzmq.EventDisconnected)
			pull.connected()
			push.send("fine")
			pull.expect("fine")
			push.set("maxmsgsize", 10)
			push.refuses(qzmq.ErrTooLarge, "12345678901")
		})
	}
}

// linger 0 forgets what is not sent, and more waits for it.
func TestLingerAtClose(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			vacant := p.bound(qzmq.PULL)
			at := vacant.at()
			vacant.close()
			for _, linger := range []int{0, 20} {
				push := open(t, p.connect, qzmq.PUSH, "linger", linger)
				push.dial(at)
				push.send("nobody is there")
				began := time.Now()
				push.close()
				if d := time.Since(began); d > 2*time.Second {
					t.Errorf("linger %d: Close took %v", linger, d)
				}
			}
			push := open(t, p.connect, qzmq.PUSH, "linger", -1, "reconnect_ivl", 1, "reconnect_ivl_max", 5)
			push.dial(at)
			for i := range 100 {
				push.send(fmt.Sprint(i))
			}
			closed := make(chan error, 1)
			go func() { closed <- push.Close() }()
			pull := open(t, p.binds, qzmq.PULL)
			pull.bind(at)
			for i := range 100 {
				pull.expect(fmt.Sprint(i))
			}
			if err := <-closed; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestManySockets(t *testing.T) {
	p := newPlace(t, "inproc")
	pull := p.bound(qzmq.PULL)
	var all []*sock
	for i := range 500 {
		push := open(t, p.binds, qzmq.PUSH)
		push.dial(p.at)
		push.send(fmt.Sprint(i))
		all = append(all, push)
	}
	for range all {
		pull.recv()
	}
	for _, s := range all {
		s.close()
	}
}

package qzmq_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/qzmq/gateway/qzmq"
)

// Two sockets that know each other's endpoint: a bind that comes while the other connects.
func TestInprocRaces(t *testing.T) {
	for range 50 {
		p := newPlace(t, "inproc")
		a, b := open(t, p.binds, qzmq.PAIR), open(t, p.binds, qzmq.PAIR)
		var both sync.WaitGroup
		both.Go(func() { a.bind(p.at) })
		both.Go(func() { b.dial(p.at) })
		both.Wait()
		b.send("foobar")
		a.expect("foobar")
		p.binds.Close()
	}
}

func TestInproc(t *testing.T) {
	p := newPlace(t, "inproc")
	pub := open(t, p.binds, qzmq.PUB)
	pub.dial(p.at)
	sub := open(t, p.binds, qzmq.SUB)
	sub.subscribe("foo")
	sub.bind(p.at)
	pub.send("foobar")
	sub.expect("foobar")

	// Several that connect before anybody binds, and one that never gets its bind.
	router := open(t, p.binds, qzmq.ROUTER)
	for range 10 {
		s := open(t, p.binds, qzmq.DEALER)
		s.dial("inproc://later")
		s.send("foobar")
	}
	open(t, p.binds, qzmq.DEALER).dial("inproc://never")
	router.bind("inproc://later")
	for range 10 {
		if m := router.recv(); m[1] != "foobar" {
			t.Errorf("received %q", m)
		}
	}
	if err := open(t, p.binds, qzmq.PAIR).Bind("inproc://later"); !errors.Is(err, qzmq.ErrAddressInUse) {
		t.Errorf("bound twice: %v", err)
	}
	if err := router.Unbind("inproc://later"); err != nil {
		t.Error(err)
	}
	open(t, p.binds, qzmq.PAIR).bind("inproc://later")
}

// ipc in the abstract namespace, and a path that is bound again after it was closed.
func TestIPC(t *testing.T) {
	p := newPlace(t, "tcp")
	for _, at := range []string{"ipc://@" + filepath.Join(t.TempDir(), "name"), "ipc://" + filepath.Join(t.TempDir(), "s")} {
		for range 3 {
			p.at = at
			a := p.bound(qzmq.PAIR)
			b := p.to(a, qzmq.PAIR)
			b.send("x")
			a.expect("x")
			a.close()
			b.close()
		}
	}
	for _, bad := range []string{"ipc://", "ipc://@", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "udp://x:1", "x", "inproc://"} {
		if err := open(t, p.binds, qzmq.PAIR).Bind(bad); err == nil {
			t.Errorf("%q can be bound", bad)
		}
	}
}

// Connections that come while everything is closed: nothing hangs and nothing is left.
func TestShutdownStress(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		p := newPlace(t, "tcp")
		pub := p.bound(qzmq.PUB)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				s := open(t, p.connect, qzmq.SUB)
				s.dial(pub.at())
				s.close()
			})
		}
		all.Wait()
		p.connect.Close()
		p.binds.Close()
	}
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

// A Connect that waits for its bind can be taken back, and what it was to send with it.
func TestInprocDisconnectsBeforeBind(t *testing.T) {
	p := newPlace(t, "inproc")
	push := open(t, p.binds, qzmq.PUSH)
	push.dial(p.at)
	push.send("lost")
	if err := push.Disconnect(p.at); err != nil {
		t.Fatal(err)
	}
	push.refuses(qzmq.ErrAgain, "nobody is there")
	pull := p.bound(qzmq.PULL)
	pull.empty()
	push.dial(p.at)
	push.send("new")
	pull.expect("new")
}

// What was sent inproc can be received when the sender is gone.
func TestInprocOutlives(t *testing.T) {
	p := newPlace(t, "inproc")
	pull := p.bound(qzmq.PULL)
	push := p.to(pull, qzmq.PUSH)
	push.send("last", "words")
	push.close()
	pull.expect("last", "words")
}

// Types that do not fit are not connected.
func TestInprocWrongTypes(t *testing.T) {
	p := newPlace(t, "inproc")
	pull := p.bound(qzmq.PULL)
	if err := open(t, p.binds, qzmq.SUB).Connect(p.at); err == nil {
		t.Error("a SUB is connected to a PULL")
	}
	p.to(pull, qzmq.PUSH).send("fine")
	pull.expect("fine")
}

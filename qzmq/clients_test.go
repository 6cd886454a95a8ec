package qzmq_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// Hundreds of clients, each with a key and a session of its own, ask one ROUTER all at
// once and are answered; perf/sockets does it with ten thousand. Both ends are in this
// process, so what a client takes here is what it takes at both.
func TestManyClients(t *testing.T) {
	const clients, each = 500, 2 * 100_000 // bytes
	o := qzmq.DefaultOptions()
	o.Identity = newIdentity(t)
	o.Authorize = func(context.Context, qzmq.Peer) error { return nil }
	router := newSocket(t, o, qzmq.ROUTER)
	if err := router.Bind("tcp://127.0.0.1:*"); err != nil {
		t.Fatal(err)
	}
	at, err := router.GetOption("last_endpoint")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var answering sync.WaitGroup
	answering.Go(func() {
		for m, err := range router.Messages(ctx) {
			if err == nil {
				err = router.SendMultipart(m.Parts)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	before := inUse()
	all := make([]qzmq.Socket, clients)
	for i := range all {
		c := qzmq.DefaultOptions()
		c.Identity, c.Peer = newIdentity(t), o.Identity.Fingerprint()
		all[i] = newSocket(t, c, qzmq.REQ)
		if err := all[i].Connect(at.(string)); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 {
		var asking sync.WaitGroup
		for i, s := range all {
			asking.Go(func() {
				question := fmt.Sprint("question ", round, " of ", i)
				if err := s.SendContext(ctx, []byte(question)); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				m, err := s.RecvMessage(ctx)
				if err != nil || string(m.Parts[0]) != question {
					t.Errorf("client %d asks %q and hears %q: %v", i, question, m.Parts, err)
				}
			})
		}
		asking.Wait()
	}
	if got := (inUse() - before) / clients; got > each {
		t.Errorf("a client takes %d bytes at both ends, more than %d", got, each)
	}
	stop()
	answering.Wait()
}

// inUse is the memory of the heap and of stacks that is in use.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func newIdentity(t *testing.T) *qzmq.Identity {
	t.Helper()
	id, err := qzmq.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newSocket(t *testing.T, o qzmq.Options, kind qzmq.SocketType) qzmq.Socket {
	t.Helper()
	transport, err := qzmq.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.Close() })
	s, err := transport.NewSocket(kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

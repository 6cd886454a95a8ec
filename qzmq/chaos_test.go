package qzmq

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestChaos cuts, stalls and corrupts a connection at random while messages of all sizes
// flow both ways: what arrives is whole and in order, nothing comes twice, and when
// nobody is on the path any more everything arrives.
func TestChaos(t *testing.T) {
	a, b := sites(t, false, nil)
	server := open(t, b, DEALER, "heartbeat_ivl", 100, "rcvtimeo", 20*time.Second)
	client := open(t, a, DEALER, "reconnect_ivl", 5, "reconnect_ivl_max", 20, "heartbeat_ivl", 100, "rcvtimeo", 20*time.Second, "sndtimeo", 20*time.Second)
	way, url := newPath(t, bind(t, server, tcp))
	connect(t, client, url)
	connected(t, server, 1)
	const last = ^uint64(0)
	var all sync.WaitGroup
	stop := make(chan struct{})
	flow := func(from, to Socket, seed uint64) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for i := uint64(1); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				size := random.IntN(200)
				if random.IntN(50) == 0 {
					size = random.IntN(300_000)
				}
				body := make([]byte, size)
				for k := range body {
					body[k] = byte(i)
				}
				head := binary.BigEndian.AppendUint64(nil, i)
				if err := from.SendMultipart([][]byte{head, body}); err != nil {
					return // nobody is there for the server's at times
				}
			}
		})
		all.Go(func() {
			seen := uint64(0)
			for {
				m, err := to.RecvMultipart()
				if err != nil || len(m) != 2 || len(m[0]) != 8 {
					t.Errorf("after %d: %d parts, %v", seen, len(m), err)
					return
				}
				i := binary.BigEndian.Uint64(m[0])
				if i == last {
					return
				}
				if i <= seen {
					t.Errorf("%d after %d", i, seen)
				}
				seen = i
				for _, c := range m[1] {
					if c != byte(i) {
						t.Errorf("message %d is not what was sent", i)
						return
					}
				}
			}
		})
	}
	server.SetOption("sndtimeo", 20*time.Second)
	flow(client, server, 1)
	flow(server, client, 2)
	random := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		switch random.IntN(3) {
		case 0:
			way.cut()
		case 1:
			way.freeze(true)
			time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
			way.freeze(false)
		case 2:
			way.corrupt()
		}
	}
	way.cut()
	close(stop)
	events := client.Monitor()
	awaitEvent(t, events, EventConnected)
	connected(t, server, 1)
	end := binary.BigEndian.AppendUint64(nil, last)
	for _, s := range []Socket{client, server} {
		if err := s.SendMultipart([][]byte{end, nil}); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if n := a.Stats().ReplayAttempts + b.Stats().ReplayAttempts; n == 0 {
		t.Error("nothing was corrupted")
	}
}

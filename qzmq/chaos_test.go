package qzmq

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestChaos cuts, stalls and corrupts a connection at random while messages of all sizes
// flow both ways: what arrives is whole, in the order of its connection, and not twice; when
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
			seen := map[*Peer]uint64{} // each is a connection; what two have said may mix
			all := map[uint64]bool{}
			for {
				m, err := to.RecvMessage(context.Background())
				if err != nil || len(m.Parts) != 2 || len(m.Parts[0]) != 8 {
					t.Errorf("after %d messages: %d parts, %v", len(all), len(m.Parts), err)
					return
				}
				i := binary.BigEndian.Uint64(m.Parts[0])
				if i == last {
					return
				}
				if all[i] || i <= seen[m.Peer] {
					t.Errorf("%d after %d, again %v", i, seen[m.Peer], all[i])
				}
				seen[m.Peer], all[i] = i, true
				for _, c := range m.Parts[1] {
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

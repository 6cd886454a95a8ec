package xsk

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func modes(t *testing.T, run func(t *testing.T, native bool)) {
	t.Run("native", func(t *testing.T) { run(t, true) })
	t.Run("generic", func(t *testing.T) { run(t, false) })
}

func TestPacketsArriveIntactInOrderOnce(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		for _, c := range []struct {
			ring, burst, total, queue int
		}{
			{64, 1, 200, 0},      // one at a time, more than the ring holds
			{256, 32, 1000, 1},   // one kick each
			{256, 200, 3000, 0},  // several kicks each, many times round the ring
			{2, 2, 50, 1},        // the smallest ring
			{4096, 250, 9000, 1}, // the default ring, twice round
		} {
			if !native {
				c.queue = 0 // the only one that generic mode serves in both directions
			}
			t.Run(fmt.Sprintf("ring %d burst %d queue %d", c.ring, c.burst, c.queue), func(t *testing.T) {
				w := newWire(t, native)
				a := w.open(t, w.a, Config{Queue: c.queue, RingSize: c.ring})
				b := w.open(t, w.b, Config{Queue: c.queue, RingSize: c.ring})
				for _, way := range []struct{ from, to *Socket }{{a, b}, {b, a}} {
					for seq := 0; seq < c.total; seq += c.burst {
						if n := send(way.from, uint64(seq), c.burst); n != c.burst {
							t.Fatalf("room for %d of %d packets", n, c.burst)
						}
						expect(t, way.to, uint64(seq), c.burst)
					}
					if way.from.Pending() {
						t.Error("packets are pending although all arrived")
					}
				}
				for _, s := range []*Socket{a, b} {
					checkCounts(t, s, uint64((c.total+c.burst-1)/c.burst*c.burst))
				}
			})
		}
	})
}

// checkCounts expects that a socket sent and received the given number of
// packets and nothing went wrong.
func checkCounts(t *testing.T, s *Socket, packets uint64) {
	t.Helper()
	bytes := uint64(0)
	for seq := range packets {
		bytes += uint64(sizes[seq%uint64(len(sizes))])
	}
	got, err := s.Stats()
	check(t, err)
	if got.Kicks == 0 {
		t.Error("no kick was counted")
	}
	want := Stats{
		ReceivedPackets: packets, ReceivedBytes: bytes, SentPackets: packets, SentBytes: bytes,
		Kicks: got.Kicks, Kernel: KernelStats{SendRingEmpty: got.Kernel.SendRingEmpty, FillRingEmpty: got.Kernel.FillRingEmpty},
	}
	if got != want {
		t.Errorf("stats\n got %+v\nwant %+v", got, want)
	}
}

func TestQueuesAtTheSameTime(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		w := newWire(t, native)
		var workers sync.WaitGroup
		for queue := range 2 {
			from := queue
			if !native {
				// In generic mode veth hands the sender's queue on as if it
				// were a receiver's, which is counted from 1.
				from++
			}
			a := w.open(t, w.a, Config{Queue: from, RingSize: 512})
			b := w.open(t, w.b, Config{Queue: queue, RingSize: 512})
			workers.Go(func() {
				for round := range 100 {
					// Each queue has numbers of its own: a stray would be seen.
					first := uint64(queue)<<32 + uint64(round*64)
					if n := send(a, first, 64); n != 64 {
						t.Errorf("queue %d: room for %d of 64", queue, n)
						return
					}
					if !arrive(t, b, first, 64) {
						return
					}
				}
			})
			for range 100 { // anyone may read the figures meanwhile
				_, err := a.Stats()
				check(t, err)
			}
		}
		workers.Wait()
	})
}

// arrive is expect for goroutines that may not end the test.
func arrive(t *testing.T, s *Socket, first uint64, n int) bool {
	deadline := time.Now().Add(5 * time.Second)
	for got := 0; got < n; {
		packets := s.Recv()
		for _, packet := range packets {
			if seq := number(packet); seq != first+uint64(got) {
				t.Errorf("got packet %#x, want %#x", seq, first+uint64(got))
				return false
			}
			got++
		}
		if len(packets) == 0 {
			Wait(10*time.Millisecond, nil, s)
		}
		if time.Now().After(deadline) {
			t.Errorf("%d of %d packets arrived", got, n)
			return false
		}
	}
	return true
}

func TestRoomIsExactlyTheRing(t *testing.T) {
	w := newWire(t, true)
	a := w.open(t, w.a, Config{RingSize: 64})
	b := w.open(t, w.b, Config{RingSize: 64})
	if first, next := a.Room(), a.Room(); len(first) != 4096 || cap(first) != 4096 || &first[0] == &next[0] {
		t.Errorf("room of %d bytes, capacity %d, or the same twice", len(first), cap(first))
	}
	a.Flush()
	for seq := range 64 {
		size := sizes[seq%len(sizes)]
		frame := a.Room()[:size]
		compose(frame, uint64(seq))
		a.Commit(frame)
	}
	if a.Room() != nil {
		t.Error("room for more packets than the ring has entries")
	}
	a.Flush()
	expect(t, b, 0, 64)
	if a.Room() == nil {
		t.Error("no room although everything was sent")
	}
}

func TestCommitRefusesNonsense(t *testing.T) {
	w := newWire(t, true)
	a := w.open(t, w.a, Config{RingSize: 64})
	panics := func(what string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", what)
			}
		}()
		f()
	}
	arrived := a.umem[:60] // where packets arrive
	panics("Commit of other memory", func() { a.Commit(make([]byte, 60)) })
	panics("Commit of what arrived", func() { a.Commit(arrived) })
	panics("Commit of a chunk that is no room", func() { a.Commit(a.umem[len(a.umem)-60:]) })
	room, other := a.Room(), a.Room()
	at := offsetIn(a.umem, room)
	panics("Commit of nothing", func() { a.Commit(room[:0]) })
	panics("Commit of nothing at the end", func() { a.Commit(room[len(room):]) })
	panics("Commit across two chunks", func() { a.Commit(a.umem[at+4000 : at+4100]) })
	a.Commit(room[100:200])
	panics("a second Commit", func() { a.Commit(room[100:200]) })
	panics("a second Commit of another part", func() { a.Commit(room[200:300]) })
	a.Flush()
	panics("Commit after Flush", func() { a.Commit(other[:60]) })
}

// A lent packet may be changed, up to its capacity, without touching another.
func TestLentPacketsAreTheCallers(t *testing.T) {
	w := newWire(t, true)
	a := w.open(t, w.a, Config{RingSize: 64})
	b := w.open(t, w.b, Config{RingSize: 64})
	for round := range 10 {
		first := uint64(round * 32)
		send(a, first, 32)
		for seq := first; seq < first+32; {
			packets := b.Recv()
			if len(packets) == 0 {
				Wait(time.Second, nil, b)
				continue
			}
			for _, packet := range packets {
				if number(packet) != seq {
					t.Fatalf("got packet %d, want %d", number(packet), seq)
				}
				if room := cap(packet) - len(packet); room < b.Info().MaxReceive-wireMTU-14 {
					t.Fatalf("%d bytes behind a packet of %d", room, len(packet))
				}
				clear(packet[:cap(packet)])
				seq++
			}
		}
	}
}

func TestPacketLongerThanChunkIsCounted(t *testing.T) {
	w := newWire(t, true)
	a := w.open(t, w.a, Config{RingSize: 64})
	b := w.open(t, w.b, Config{RingSize: 64, FrameSize: 2048})
	fits := b.Info().MaxReceive
	if fits != 1792 {
		t.Fatalf("chunks of 2048 receive %d bytes, want 1792", fits)
	}
	for seq, size := range []int{fits, fits + 1, fits} {
		frame := a.Room()[:size]
		compose(frame, uint64(seq))
		a.Commit(frame)
	}
	a.Flush()
	var got []uint64
	for deadline := time.Now().Add(2 * time.Second); len(got) < 2 && time.Now().Before(deadline); {
		Wait(10*time.Millisecond, nil, b)
		for _, packet := range b.Recv() {
			got = append(got, number(packet))
		}
	}
	if len(got) != 2 || got[0] != 0 || got[1] != 2 {
		t.Errorf("packets %v arrived, want 0 and 2", got)
	}
	stats, err := b.Stats()
	check(t, err)
	if stats.Kernel.ReceiveDropped != 1 {
		t.Errorf("kernel counts %d dropped, want 1", stats.Kernel.ReceiveDropped)
	}
}

func TestInfoShowsWhatIsInForce(t *testing.T) {
	w := newWire(t, true)
	s := w.open(t, w.a, Config{Queue: 1, BusyPoll: 20*time.Microsecond + 300})
	got := s.Info()
	// Huge pages and the send budget are the machine's affair.
	want := Info{
		Interface: w.a, Queue: 1, NeedWakeup: true, HugePages: got.HugePages,
		RingSize: 4096, FrameSize: 4096, RoomSize: 4096, MaxReceive: 3840, SendBudget: got.SendBudget,
		BusyPoll: 20 * time.Microsecond,
	}
	if got != want {
		t.Errorf("info\n got %+v\nwant %+v", got, want)
	}
	if got.SendBudget != 32 && got.SendBudget != 256 {
		t.Errorf("send budget %d", got.SendBudget)
	}
}

func TestBusyPollDelivers(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		w := newWire(t, native)
		c := Config{RingSize: 256, BusyPoll: 50 * time.Microsecond}
		a, b := w.open(t, w.a, c), w.open(t, w.b, c)
		for seq := 0; seq < 2000; seq += 100 {
			send(a, uint64(seq), 100)
			expect(t, b, uint64(seq), 100)
		}
		if stats, _ := b.Stats(); stats.ReceiveWakeups == 0 {
			t.Error("an idle Recv made no call although busy polling is on")
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	const name = "xska" // what newWire calls its first end
	for _, c := range []struct {
		name   string
		config Config
		errno  error // nil: refused before the kernel is asked
	}{
		{"no name", Config{}, nil},
		{"negative queue", Config{Interface: name, Queue: -1}, nil},
		{"ring not a power of two", Config{Interface: name, RingSize: 1000}, nil},
		{"ring of one", Config{Interface: name, RingSize: 1}, nil},
		{"huge ring", Config{Interface: name, RingSize: 1 << 16}, nil},
		{"odd chunk", Config{Interface: name, FrameSize: 3000}, nil},
		{"negative frame", Config{Interface: name, MaxFrame: -1}, nil},
		{"frame in too many chunks", Config{Interface: name, MaxFrame: 16*4096 - 255}, nil},
		{"frame longer than the ring", Config{Interface: name, RingSize: 2, MaxFrame: 9000}, nil},
		{"unknown mode", Config{Interface: name, Mode: 9}, nil},
		{"zero-copy in generic mode", Config{Interface: name, Mode: ModeZeroCopy, Generic: true}, nil},
		{"negative busy poll", Config{Interface: name, BusyPoll: -1}, nil},
		{"no such interface", Config{Interface: "nosuch0"}, nil},
		{"no such queue", Config{Interface: name, Queue: queues}, unix.EINVAL},
		{"zero-copy on veth", Config{Interface: name, Mode: ModeZeroCopy}, unix.EOPNOTSUPP},
	} {
		t.Run(c.name, func(t *testing.T) {
			newWire(t, true)
			before := descriptors(t)
			s, err := Open(c.config)
			if err == nil {
				s.Close()
				t.Fatal("no error")
			}
			if c.errno != nil && !errors.Is(err, c.errno) {
				t.Errorf("error %q, want one that is %v", err, c.errno)
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(entries)
}

func TestParseMode(t *testing.T) {
	for word, want := range map[string]Mode{"auto": ModeAuto, "on": ModeZeroCopy, "off": ModeCopy} {
		if got, err := ParseMode(word); err != nil || got != want {
			t.Errorf("%q is mode %d, %v; want %d", word, got, err, want)
		}
	}
	if _, err := ParseMode("yes"); err == nil {
		t.Error("mode yes was accepted")
	}
}

func TestQueueIsFreeAgainAfterClose(t *testing.T) {
	w := newWire(t, true)
	b := w.open(t, w.b, Config{RingSize: 64})
	for round := range 10 {
		a := w.open(t, w.a, Config{RingSize: 64})
		send(a, uint64(round*10), 10)
		expect(t, b, uint64(round*10), 10)
		check(t, a.Close())
	}
	a := w.open(t, w.a, Config{RingSize: 64})
	start := time.Now()
	if _, err := Open(Config{Interface: w.a}); !errors.Is(err, unix.EBUSY) {
		t.Errorf("second socket on a queue: %v, want EBUSY", err)
	}
	if took := time.Since(start); took < bindPatience || took > bindPatience+time.Second {
		t.Errorf("gave up after %v, want about %v", took, bindPatience)
	}
	send(a, 1000, 10)
	expect(t, b, 1000, 10)
}

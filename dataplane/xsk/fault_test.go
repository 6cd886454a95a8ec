package xsk

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// settle sends until a packet arrives and returns how many numbers it used up.
// It fails after five seconds.
func settle(t *testing.T, from, to *Socket, first uint64) uint64 {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		send(from, first, 1)
		first++
		Wait(20*time.Millisecond, nil, to)
		if len(to.Recv()) > 0 {
			break
		}
	}
	// Whatever was left over in rings and queues arrives now.
	for quiet := 0; quiet < 3; quiet++ {
		from.Flush()
		Wait(20*time.Millisecond, nil, to)
		for len(to.Recv()) > 0 {
			quiet = 0
		}
	}
	return first
}

func TestTrafficResumesAfterDownAndUp(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		for _, which := range []string{"sender", "receiver"} {
			t.Run(which, func(t *testing.T) {
				w := newWire(t, native)
				a := w.open(t, w.a, Config{RingSize: 256})
				b := w.open(t, w.b, Config{RingSize: 256})
				send(a, 0, 100)
				expect(t, b, 0, 100)

				name := map[string]string{"sender": w.a, "receiver": w.b}[which]
				w.down(t, name)
				start := time.Now()
				next := uint64(100)
				for range 20 { // far more packets than there is room for
					next += uint64(send(a, next, 40))
					b.Recv()
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("sending into a dead interface took %v", took)
				}
				stats, err := a.Stats()
				check(t, err)
				if which == "sender" && stats.Errors.Down == 0 {
					t.Errorf("no ENETDOWN counted: %+v", stats)
				}
				if which == "receiver" && stats.Errors.Busy == 0 {
					t.Errorf("no EBUSY counted: %+v", stats)
				}

				w.up(t, name)
				next = settle(t, a, b, next)
				send(a, next, 200)
				expect(t, b, next, 200)
				send(b, 0, 200)
				expect(t, a, 0, 200)
			})
		}
	})
}

func TestOpenWhileDown(t *testing.T) {
	w := newWire(t, true)
	w.down(t, w.a)
	a := w.open(t, w.a, Config{RingSize: 64})
	b := w.open(t, w.b, Config{RingSize: 64})
	w.up(t, w.a)
	next := settle(t, a, b, 0)
	send(a, next, 50)
	expect(t, b, next, 50)
}

func TestWaitSleepsWhileDown(t *testing.T) {
	w := newWire(t, true)
	a := w.open(t, w.a, Config{RingSize: 64})
	w.down(t, w.a)
	send(a, 0, 10)
	if !a.Pending() {
		t.Fatal("nothing is pending on an interface that is down")
	}
	rounds := 0
	for start := time.Now(); time.Since(start) < 300*time.Millisecond; rounds++ {
		a.Flush()
		a.Recv()
		Wait(time.Second, nil, a)
	}
	if rounds < 3 || rounds > 10 {
		t.Errorf("%d rounds in 300 ms, want one every 50 ms", rounds)
	}
}

func TestDeletedInterface(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		w := newWire(t, native)
		a := w.open(t, w.a, Config{RingSize: 64})
		b := w.open(t, w.b, Config{RingSize: 64})
		send(a, 0, 20)
		expect(t, b, 0, 20)
		check(t, netlink.LinkDel(w.link(t, w.a)))

		for round := range 10 {
			send(a, uint64(20+round*20), 20)
			if packets := b.Recv(); len(packets) > 0 {
				t.Errorf("%d packets through a deleted interface", len(packets))
			}
		}
		if a.Room() != nil {
			t.Error("room although nothing can be sent any more")
		}
		stats, err := a.Stats()
		check(t, err)
		if stats.Errors.Gone == 0 {
			t.Errorf("no ENXIO counted: %+v", stats)
		}
		start := time.Now()
		Wait(100*time.Millisecond, nil, b)
		Wait(100*time.Millisecond, nil, a) // has packets pending: 50 ms
		if took := time.Since(start); took < 140*time.Millisecond || took > time.Second {
			t.Errorf("waiting for deleted interfaces took %v", took)
		}
		check(t, a.Close())
		check(t, b.Close())
	})
}

func TestReceiverThatDoesNotReadLosesPackets(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		w := newWire(t, native)
		a := w.open(t, w.a, Config{RingSize: 256})
		b := w.open(t, w.b, Config{RingSize: 64})
		sent := 0
		for round := range 100 {
			sent += send(a, uint64(round*50), 50)
		}
		for deadline := time.Now().Add(5 * time.Second); a.Pending() && time.Now().Before(deadline); a.Flush() {
			Wait(time.Millisecond, nil, a)
		}
		if sent < 4000 || a.Pending() {
			t.Errorf("%d packets sent, pending %v: the sender was held up", sent, a.Pending())
		}
		// What fitted is there, in order, and the rest is accounted for.
		arrived := 0
		for {
			packets := b.Recv()
			if len(packets) == 0 {
				break
			}
			for _, packet := range packets {
				if number(packet) != uint64(arrived) {
					t.Fatalf("packet %d arrived as number %d", number(packet), arrived)
				}
				arrived++
			}
		}
		if arrived != 64 {
			t.Errorf("%d packets arrived, want the ring's 64", arrived)
		}
		stats, err := b.Stats()
		check(t, err)
		if stats.Kernel.ReceiveDropped+stats.Kernel.FillRingEmpty+stats.Kernel.ReceiveRingFull == 0 {
			t.Errorf("no loss was counted: %+v", stats)
		}
		next := settle(t, a, b, 1<<20)
		send(a, next, 64)
		expect(t, b, next, 64)
	})
}

// A device is full when its queue discipline holds packets back instead of
// losing them and the other side is slow: here because the receiver's softirq
// work is left to a kernel thread.
func TestFullDeviceHoldsNobodyUp(t *testing.T) {
	w := newWire(t, true)
	check(t, netlink.QdiscReplace(&netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: w.link(t, w.a).Attrs().Index, Parent: netlink.HANDLE_ROOT, Handle: netlink.MakeHandle(1, 0)},
		QdiscType:  "mq",
	}))
	// A sysfs mounted here shows the devices of our namespace.
	sys := t.TempDir()
	check(t, unix.Mount("sysfs", sys, "sysfs", 0, ""))
	err := os.WriteFile(filepath.Join(sys, "class/net", w.b, "threaded"), []byte("1"), 0o644)
	check(t, unix.Unmount(sys, unix.MNT_DETACH))
	check(t, err)

	a := w.open(t, w.a, Config{RingSize: 4096})
	b := w.open(t, w.b, Config{RingSize: 4096})
	next, longest := uint64(0), time.Duration(0)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		start := time.Now()
		next += uint64(send(a, next, 2000))
		longest = max(longest, time.Since(start))
		if a.counted.deviceFull.Load() > 0 {
			break
		}
		for len(b.Recv()) > 0 {
		}
	}
	stats, err := a.Stats()
	check(t, err)
	if stats.DeviceFull == 0 {
		t.Fatalf("the device never became full: %+v", stats)
	}
	if longest > 2*time.Second {
		t.Errorf("a burst of 2000 took %v", longest)
	}
	if !a.Pending() {
		t.Error("nothing is pending although the device was full")
	}
	start := time.Now()
	Wait(10*time.Second, nil, a)
	if took := time.Since(start); took > time.Second {
		t.Errorf("Wait slept %v over a full device", took)
	}
	// The usual loop gets everything out.
	for deadline := time.Now().Add(5 * time.Second); a.Pending() && time.Now().Before(deadline); {
		Wait(time.Second, nil, a, b)
		for len(b.Recv()) > 0 {
		}
		a.Flush()
	}
	if a.Pending() {
		t.Error("packets are still pending after five seconds")
	}
}

func TestCloseTwiceAndUseAfterwards(t *testing.T) {
	w := newWire(t, true)
	a := w.open(t, w.a, Config{RingSize: 64})
	b := w.open(t, w.b, Config{RingSize: 64})
	send(a, 0, 10)
	expect(t, b, 0, 10)
	room := a.Room()
	before, err := a.Stats()
	check(t, err)
	check(t, a.Close())
	check(t, a.Close())
	a.Commit(room[:60])
	a.Flush()
	if a.Room() != nil || a.Recv() != nil || a.Pending() || a.FD() != -1 {
		t.Error("a closed socket still lends, holds or names something")
	}
	after, err := a.Stats()
	check(t, err)
	if after != before {
		t.Errorf("stats after Close\n got %+v\nwant %+v", after, before)
	}
	start := time.Now()
	Wait(20*time.Millisecond, nil, a)
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("Wait for a closed socket took only %v", took)
	}
}

func TestCloseReturnsMemory(t *testing.T) {
	w := newWire(t, true)
	mappings := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		check(t, err)
		n := 0
		for _, b := range maps {
			if b == '\n' {
				n++
			}
		}
		return n
	}
	check(t, w.open(t, w.a, Config{}).Close())
	before := mappings()
	for range 10 {
		check(t, w.open(t, w.a, Config{}).Close())
	}
	// Each socket has five mappings; the runtime may add a few of its own.
	if grown := mappings() - before; grown >= 10 {
		t.Errorf("%d more mappings after ten sockets", grown)
	}
}

func TestStatsFromOtherGoroutines(t *testing.T) {
	w := newWire(t, true)
	a := w.open(t, w.a, Config{RingSize: 256})
	b := w.open(t, w.b, Config{RingSize: 256})
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			last := Stats{}
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := b.Stats()
				if err != nil || got.ReceivedPackets < last.ReceivedPackets {
					t.Errorf("stats went from %+v to %+v, %v", last, got, err)
					return
				}
				last = got
			}
		})
	}
	for seq := 0; seq < 5000; seq += 100 {
		send(a, uint64(seq), 100)
		expect(t, b, uint64(seq), 100)
	}
	check(t, b.Close()) // while they read
	close(done)
	readers.Wait()
	if got, err := b.Stats(); err != nil || got.ReceivedPackets != 5000 {
		t.Errorf("%d packets received, want 5000; %v", got.ReceivedPackets, err)
	}
}

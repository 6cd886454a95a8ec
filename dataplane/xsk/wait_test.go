package xsk

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// elapsed fails unless f takes from least to most.
func elapsed(t *testing.T, what string, least, most time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took < least || took > most {
		t.Errorf("%s took %v, want %v to %v", what, took, least, most)
	}
}

func newWake(t *testing.T) *Wake {
	t.Helper()
	w, err := NewWake()
	check(t, err)
	t.Cleanup(w.Close)
	return w
}

const soon = 500 * time.Millisecond // for a machine that has other things to do

func TestWaitTimes(t *testing.T) {
	wake := newWake(t)
	elapsed(t, "a timeout of 0", 0, soon, func() { Wait(0, wake) })
	elapsed(t, "a timeout of 30 ms", 30*time.Millisecond, soon, func() { Wait(30*time.Millisecond, wake) })
	elapsed(t, "no descriptor at all", 30*time.Millisecond, soon, func() { Wait(30*time.Millisecond, nil) })
	elapsed(t, "a timeout of 200 us", 200*time.Microsecond, soon, func() { Wait(200*time.Microsecond, wake) })
}

func TestWake(t *testing.T) {
	wake := newWake(t)
	wake.Wake()
	wake.Wake()
	elapsed(t, "Wait after Wake", 0, soon, func() { Wait(10*time.Second, wake) })
	elapsed(t, "the Wait after that", 30*time.Millisecond, soon, func() { Wait(30*time.Millisecond, wake) })
	timer := time.AfterFunc(20*time.Millisecond, wake.Wake)
	defer timer.Stop()
	elapsed(t, "an endless Wait", 15*time.Millisecond, soon, func() { Wait(-1, wake) })

	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 1000 {
				wake.Wake()
			}
		})
	}
	wake.Close()
	wake.Close()
	callers.Wait()
	elapsed(t, "Wait for a closed Wake", 30*time.Millisecond, soon, func() { Wait(30*time.Millisecond, wake) })
}

func TestWaitSeesPackets(t *testing.T) {
	w := newWire(t, true)
	a := w.open(t, w.a, Config{RingSize: 64})
	b := w.open(t, w.b, Config{RingSize: 64})
	wake := newWake(t)
	elapsed(t, "Wait without traffic", 50*time.Millisecond, soon, func() { Wait(50*time.Millisecond, wake, a, b) })

	var sender sync.WaitGroup
	sender.Go(func() {
		time.Sleep(20 * time.Millisecond)
		send(a, 0, 5)
	})
	elapsed(t, "Wait for a packet to come", 10*time.Millisecond, soon, func() { Wait(10*time.Second, wake, b) })
	sender.Wait()
	elapsed(t, "Wait with packets there", 0, soon, func() { Wait(10*time.Second, wake, a, b) })
	expect(t, b, 0, 5)
}

func TestWaitOutlivesSignals(t *testing.T) {
	wake := newWake(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	process, thread := unix.Getpid(), unix.Gettid()
	stop := make(chan struct{})
	var signals sync.WaitGroup
	signals.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				// The signal the Go runtime itself uses to preempt.
				unix.Tgkill(process, thread, unix.SIGURG)
			}
		}
	})
	elapsed(t, "a Wait under signals", 100*time.Millisecond, soon, func() { Wait(100*time.Millisecond, wake) })
	close(stop)
	signals.Wait()
}

// A descriptor that only ever reports an error must not turn waiting into
// spinning. The write end of a pipe without reader does just that.
func TestWaitDoesNotSpinOnErrors(t *testing.T) {
	var pipe [2]int
	check(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	check(t, unix.Close(pipe[0]))
	defer unix.Close(pipe[1])
	broken := plainSocket(4)
	broken.fd = pipe[1]
	wake := newWake(t)
	elapsed(t, "a broken descriptor", 30*time.Millisecond, soon, func() { Wait(30*time.Millisecond, wake, broken) })
	elapsed(t, "a broken descriptor, endlessly", retryDown, soon, func() { Wait(-1, wake, broken) })
	wake.Wake()
	elapsed(t, "a broken descriptor and a wake", 0, retryDown, func() { Wait(10*time.Second, wake, broken) })
}

func TestWaitComesBackToPendingPackets(t *testing.T) {
	s := plainSocket(4)
	s.Commit(s.Room()[:60])
	elapsed(t, "Wait before Flush", retryFull, soon, func() { Wait(10*time.Second, nil, s) })
}

func TestWaitRefusesTooManySockets(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Wait took one socket more than it can")
		}
	}()
	Wait(0, nil, make([]Waitable, maxSockets+1)...)
}

func TestNothingAllocates(t *testing.T) {
	modes(t, func(t *testing.T, native bool) {
		w := newWireOf(t, native, jumboMTU)
		a := w.open(t, w.a, Config{RingSize: 512, MaxFrame: jumboFrame})
		b := w.open(t, w.b, Config{RingSize: 512, MaxFrame: jumboFrame})
		wake := newWake(t)
		got := 0
		allocs := testing.AllocsPerRun(500, func() {
			for i := range 64 {
				frame := a.Room()[18:218]
				if i%8 == 0 {
					frame = frame[:9000]
				}
				clear(frame)
				a.Commit(frame)
				a.Room() // not committed
			}
			a.Flush()
			Wait(time.Second, wake, a, b)
			got += len(b.Recv())
			b.Recv()
			b.Flush()
			wake.Wake()
			Wait(time.Second, wake, a, b)
			Wait(time.Microsecond, wake, a, b)
		})
		if allocs != 0 {
			t.Errorf("%v allocations per burst", allocs)
		}
		if got < 500*32 {
			t.Errorf("only %d packets arrived meanwhile", got)
		}
	})
}

package qzmq

import (
	"sync"
	"sync/atomic"
	"time"
)

// reserve keeps Go's collector from running all the time. What a socket receives is
// the application's, which as a rule keeps little of it: hundreds of megabytes a second
// become garbage in a heap that is otherwise small, and the collector, which runs
// whenever the heap has doubled, would run a hundred times a second and halve the
// throughput. The reserve is as much memory as was received in a tenth of a second, up
// to mostReserve. Nobody touches it, so it need not be resident, but it counts as heap,
// and the collector runs about ten times a second, or once for each mostReserve.
//
// It follows the traffic of the process, which has one heap and one collector.
type reserve struct {
	heard    atomic.Uint64 // bytes that were received
	watching atomic.Bool   // look is due

	mu     sync.Mutex // guards what follows
	timer  *time.Timer
	memory []byte
	seen   uint64 // of heard, at the last look
	idle   int    // looks in a row that have found little
}

const (
	lookTime     = 100 * time.Millisecond
	leastReserve = 4 << 20  // the collector does not run for less
	mostReserve  = 32 << 20 // twice that gains a few per cent, and takes as much more in garbage
	mostIdle     = 20       // looks, until it is let go of
)

// received is the process's.
var received reserve

// add is called whenever something was received.
func (r *reserve) add(bytes int) {
	r.heard.Add(uint64(bytes))
	if !r.watching.Load() && r.watching.CompareAndSwap(false, true) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.soon()
	}
}

// soon has look called. The caller holds r.mu.
func (r *reserve) soon() {
	if r.timer == nil {
		r.timer = time.AfterFunc(lookTime, r.look)
	} else {
		r.timer.Reset(lookTime)
	}
}

// look is the timer's, for as long as much is received.
func (r *reserve) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard := r.heard.Load()
	size := min(heard-r.seen, mostReserve)
	r.seen = heard
	if size < leastReserve {
		r.idle++
	} else {
		r.idle = 0
		if size > 2*uint64(len(r.memory)) {
			r.memory = make([]byte, size)
		}
	}
	if r.memory == nil || r.idle == mostIdle {
		r.memory, r.idle = nil, 0
		r.watching.Store(false)
		return
	}
	r.soon()
}

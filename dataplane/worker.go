package dataplane

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
	"golang.org/x/sys/unix"
)

const (
	burstLen    = 64      // records sealed or opened in one call: more gain nothing, and leave the cache
	scratchLen  = 1 << 20 // room for fragments and ICMP errors of one batch
	idleTimeout = time.Second

	// patience is how often a worker with nothing to do lets others run before it
	// sleeps. Who would have sent the next packet then does, and what a wakeup
	// costs is shared by more packets: where programs share cores with workers,
	// that took 30 % off the CPU time of small packets. 20 times gained no more.
	patience = 2
)

// Worker moves the packets of one queue in both directions. Everything in it
// belongs to its goroutine but published and stop; all its memory is taken at
// the start.
type Worker struct {
	engine *Engine
	index  int // which queue, and which lane of every path
	queue  Queue

	// Loaded once a batch.
	now time.Time

	// Outbound.
	burst   *record.Burst
	shared  []*lane    // with a record that still takes packets
	sums    []unsummed // frames that wait for their UDP checksum
	scratch []byte     // what is left of the batch's scratch room
	arena   []byte     // all of it

	// Inbound.
	opens   *record.OpenBurst
	arrived []arrival // what the results of opens belong to
	leased  []*record.Opener
	waiting waiting

	flows   flows
	packet  packet // being worked on; here because it would escape
	inner   packet
	answers bucket
	counts  Stats

	published published
	stop      atomic.Bool
}

// arrival is a record that waits to be opened, but for what record.OpenBurst
// knows of it.
type arrival struct {
	link *Link
	room []byte // inside; the payload comes to lie behind maxLinkHeader bytes
	ecn  byte   // of the outer header
}

// unsummed is a committed frame whose record is not sealed yet.
type unsummed struct {
	lane  *lane
	frame []byte
}

func newWorker(e *Engine, index int, q Queue) *Worker {
	return &Worker{
		engine: e, index: index, queue: q,
		burst:   record.NewBurst(burstLen),
		shared:  make([]*lane, 0, burstLen),
		sums:    make([]unsummed, 0, burstLen),
		arena:   make([]byte, scratchLen),
		opens:   record.NewOpenBurst(burstLen),
		arrived: make([]arrival, 0, burstLen),
		leased:  make([]*record.Opener, 0, 1024),
		waiting: newWaiting(),
		answers: bucket{tokens: icmpBurst},
	}
}

func (w *Worker) run() {
	runtime.LockOSThread() // and never unlocked: what Enter did to the thread ends with it
	if w.queue.Enter != nil {
		w.queue.Enter()
	}
	for idle := 0; !w.stop.Load(); {
		if w.step() {
			idle = 0
			continue
		}
		if idle++; idle <= patience {
			unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			continue
		}
		idle = 0
		w.burst.Forget()
		w.opens.Forget()
		timeout := idleTimeout
		if !w.waiting.empty() {
			timeout = w.waiting.next(w.now)
		}
		w.queue.Wait(timeout)
	}
}

// step carries one batch in each direction and says whether there was any.
func (w *Worker) step() bool {
	w.now = time.Now()
	w.flows.use(w.engine.tables.Load())
	w.scratch = w.arena

	out := w.outbound(w.queue.Inside.Recv())
	in := w.inbound(w.queue.Outside.Recv())
	waited := !w.waiting.empty()
	w.waiting.retry(w)
	w.seal()
	w.queue.Outside.Flush()
	w.queue.Inside.Flush()
	busy := out+in > 0
	if busy || waited {
		w.published.store(&w.counts)
	}
	return busy
}

// outsideRoom gives room for a frame of n bytes outside, flushing once when
// there is none.
func (w *Worker) outsideRoom(n int) []byte {
	room := w.queue.Outside.Room()
	if room == nil {
		w.seal()
		w.queue.Outside.Flush()
		room = w.queue.Outside.Room()
	}
	if len(room) < n {
		return nil
	}
	return room
}

// insideRoom is outsideRoom for the other side. While opened records lie in
// rooms that are not committed yet there is no flushing: it would take the rooms
// back.
func (w *Worker) insideRoom(n int) []byte {
	room := w.queue.Inside.Room()
	if room == nil && len(w.arrived) == 0 {
		w.queue.Inside.Flush()
		room = w.queue.Inside.Room()
	}
	if len(room) < n {
		return nil
	}
	return room
}

// take lends n bytes until the end of the batch, or nil when they are used up.
func (w *Worker) take(n int) []byte {
	if len(w.scratch) < n {
		return nil
	}
	b := w.scratch[:n:n]
	w.scratch = w.scratch[n:]
	return b
}

// routerFor is the address that an ICMP error about p comes from.
func (w *Worker) routerFor(p *packet) netip.Addr {
	if p.v6 {
		return w.flows.tables.router[1]
	}
	return w.flows.tables.router[0]
}

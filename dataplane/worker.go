package dataplane

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"github.com/qzmq/gateway/qzmq/record"
)

const (
	burstLen    = 256        // records sealed in one call
	scratchLen  = 256 * 1024 // room for fragments and ICMP errors of one batch
	idleTimeout = time.Second
)

// Worker moves the packets of one queue in both directions. Everything in it
// belongs to its goroutine but published and stop; all its memory is taken at
// the start.
type Worker struct {
	engine *Engine
	index  int // which queue, and which lane of every path
	queue  Queue

	// Loaded once a batch.
	now    time.Time
	routes *bart.Table[*Link]
	hops   map[netip.Addr]Hop
	router [2]netip.Addr

	burst   *record.Burst
	sums    []unsummed // IPv6 frames that wait for their UDP checksum
	scratch []byte     // what is left of the batch's scratch room
	arena   []byte     // all of it
	leased  []*record.Opener
	waiting waiting
	hopOf   netip.Addr // the destination last looked up in hops in this batch, and
	hop     Hop        // what was found
	hopLen  int        // link-layer header length of the last inside hop
	rest    []byte     // what follows the inner packet being admitted in its record
	packet  packet     // being worked on; here because it would escape
	inner   packet
	answers bucket
	counts  Stats

	published published
	stop      atomic.Bool
}

// unsummed is a committed IPv6 frame whose record is not sealed yet.
type unsummed struct {
	lane  *lane
	frame []byte
}

func newWorker(e *Engine, index int, q Queue) *Worker {
	return &Worker{
		engine: e, index: index, queue: q,
		burst:   record.NewBurst(burstLen),
		sums:    make([]unsummed, 0, burstLen),
		arena:   make([]byte, scratchLen),
		leased:  make([]*record.Opener, 0, 64),
		waiting: newWaiting(),
		hopLen:  ethernetLen,
		answers: bucket{tokens: icmpBurst},
	}
}

func (w *Worker) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for !w.stop.Load() {
		if w.step() {
			continue
		}
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
	w.routes = w.engine.routes.Load()
	w.hops, w.hopOf = *w.engine.hops.Load(), netip.Addr{}
	w.router = *w.engine.router.Load()
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

// seal finishes the records that wait for it. Nothing is flushed outside before.
func (w *Worker) seal() {
	w.burst.Seal()
	for i := range w.sums {
		w.sums[i].lane.finishUDP(w.sums[i].frame)
		w.sums[i] = unsummed{}
	}
	w.sums = w.sums[:0]
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

// insideRoom is outsideRoom for the other side.
func (w *Worker) insideRoom(n int) []byte {
	room := w.queue.Inside.Room()
	if room == nil {
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
		return w.router[1]
	}
	return w.router[0]
}

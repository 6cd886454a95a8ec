package dataplane

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"github.com/qzmq/gateway/qzmq/record"
)

// sessionSlots bounds the sessions installed at once. The low bits of a session
// id are its slot, so that finding a session is one load.
const sessionSlots = 1 << 16

// Queue is what one worker serves.
type Queue struct {
	Inside, Outside Port
	// OutsideSums says that the outside port gives datagrams their UDP checksums.
	OutsideSums bool
	// Wait blocks until one of the ports has packets, Wake was called, or the
	// time is over.
	Wait func(time.Duration)
	// Wake ends a Wait from another goroutine.
	Wake func()
	// Enter, unless nil, is called first, on the operating system thread that
	// the worker has to itself and that ends with it.
	Enter func()
}

// Engine is the dataplane of one gateway: its workers, and the tables they
// read. The methods are the control plane's, callable from any goroutine; none
// of them stops a worker.
type Engine struct {
	workers []*Worker
	wanted  func(netip.Addr)

	// What the workers read.
	tables   atomic.Pointer[tables]
	sessions [sessionSlots]atomic.Pointer[session]

	mu      sync.Mutex // guards what follows: the control plane's side of the tables
	links   map[string]*Link
	outside map[netip.Addr]Hop
}

// tables say where packets go. Immutable: a change makes a new one.
type tables struct {
	routes *bart.Table[*Link]
	hops   map[netip.Addr]Hop // inside next hops by destination
	router [2]netip.Addr      // IPv4 and IPv6 address that ICMP errors come from
}

// session is one link set-up, as the workers see it. Immutable once installed;
// reserved, it has no link yet.
type session struct {
	id      uint32
	link    *Link
	openers []*record.Opener // by stream
}

// NewEngine makes one worker for each queue. wanted is told of inside
// destinations that no next hop is known for; workers call it, so it must not
// block.
func NewEngine(queues []Queue, wanted func(netip.Addr)) *Engine {
	e := &Engine{wanted: wanted, links: map[string]*Link{}}
	e.tables.Store(&tables{routes: new(bart.Table[*Link])})
	for i, q := range queues {
		e.workers = append(e.workers, newWorker(e, i, q))
	}
	return e
}

// Run runs the workers until ctx ends; each keeps an operating system thread to
// itself.
func (e *Engine) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, w := range e.workers {
		wg.Go(w.run)
	}
	<-ctx.Done()
	for _, w := range e.workers {
		w.stop.Store(true)
		w.queue.Wake()
	}
	wg.Wait()
}

// Streams is the number of streams that this side sends to each link: one a
// worker.
func (e *Engine) Streams() int { return len(e.workers) }

// Stats gives the counters of every queue.
func (e *Engine) Stats() []Stats {
	out := make([]Stats, len(e.workers))
	for i, w := range e.workers {
		out[i] = w.published.load()
	}
	return out
}

// SetRoutes replaces the links and what lies behind each. A link that remains
// keeps its path and its sessions; one that is gone loses both.
func (e *Engine) SetRoutes(routes map[string][]netip.Prefix) {
	e.mu.Lock()
	defer e.mu.Unlock()
	table, links := new(bart.Table[*Link]), map[string]*Link{}
	for name, prefixes := range routes {
		l := e.links[name]
		if l == nil {
			l = newLink(name)
		}
		links[name] = l
		for _, p := range prefixes {
			table.Insert(p, l)
		}
	}
	e.change(func(t *tables) { t.routes = table })
	for name, l := range e.links {
		if links[name] == nil {
			l.stop()
			e.removeSessions(l)
		}
	}
	e.links = links
}

// SetHops replaces the next hops: inside ones by inner destination, outside
// ones by the peer's outer address. The maps are not changed afterwards.
func (e *Engine) SetHops(inside, outside map[netip.Addr]Hop) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.change(func(t *tables) { t.hops = inside })
	e.outside = outside
	for _, l := range e.links {
		e.refresh(l)
	}
	for _, w := range e.workers {
		w.queue.Wake() // packets may be waiting for a neighbour
	}
}

// SetRouter sets the addresses that ICMP errors come from; either may be the
// zero Addr.
func (e *Engine) SetRouter(v4, v6 netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.change(func(t *tables) { t.router = [2]netip.Addr{v4, v6} })
}

// change gives the workers new tables; e.mu is held.
func (e *Engine) change(f func(*tables)) {
	t := *e.tables.Load()
	f(&t)
	e.tables.Store(&t)
}

// What the control plane can get wrong when links change under its hands.
var (
	ErrNoLink    = errors.New("dataplane: no such link")    // SetRoutes did not name it
	ErrNoSession = errors.New("dataplane: no such session") // not open, or removed
)

// Install makes the session's link seal along p from the next batch on, in the
// place of its former path. p has one sealer for each worker. Installing the
// path of an earlier session again goes back to it.
func (e *Engine) Install(id uint32, p Path) error {
	if len(p.Sealers) != len(e.workers) {
		return fmt.Errorf("dataplane: %d sealers for %d workers", len(p.Sealers), len(e.workers))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sessions[id%sessionSlots].Load()
	if s == nil || s.id != id || s.link == nil {
		return ErrNoSession
	}
	s.link.sealers[id] = p.Sealers
	s.link.current, s.link.currentID = &p, id
	e.refresh(s.link)
	return nil
}

// Stop ends sealing for the link: its packets are dropped until the next
// Install.
func (e *Engine) Stop(link string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.links[link]; l != nil {
		l.stop()
	}
}

// refresh rebuilds the link's path for the next hop of today.
func (e *Engine) refresh(l *Link) {
	if l.current != nil {
		l.route(len(l.current.Sealers))
		l.path.Store(newPath(l.current, e.outside[l.current.Peer.Addr()], l.ports))
	}
}

// ErrFull reports that no more sessions fit.
var ErrFull = errors.New("dataplane: all session slots are taken")

// NewSession reserves a session id: random, not zero, and no other's while this
// one lives.
func (e *Engine) NewSession() (uint32, error) {
	for range 1000 {
		var b [4]byte
		rand.Read(b[:])
		id := binary.BigEndian.Uint32(b[:])
		if id != 0 && e.sessions[id%sessionSlots].CompareAndSwap(nil, &session{id: id}) {
			return id, nil
		}
	}
	return 0, ErrFull
}

// Open makes a reserved session open records for the link: openers by stream,
// nil where there is none.
func (e *Engine) Open(id uint32, link string, openers []*record.Opener) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.links[link]
	if l == nil {
		return ErrNoLink
	}
	slot := &e.sessions[id%sessionSlots]
	if s := slot.Load(); s == nil || s.id != id || s.link != nil {
		panic("dataplane: a session is opened once, after NewSession")
	}
	l.openers[id] = openers
	slot.Store(&session{id: id, link: l, openers: openers})
	return nil
}

// Remove forgets a session: its records are dropped from the next batch on, and
// a link that sealed along its path stops.
func (e *Engine) Remove(id uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	slot := &e.sessions[id%sessionSlots]
	if s := slot.Load(); s != nil && s.id == id {
		if s.link != nil {
			s.link.remove(id)
		}
		slot.Store(nil)
	}
}

// Prepare derives the next keys of all the link's streams, so that the workers
// only have to take them, and forgets those that are over. It is called about
// once a second; now never goes back.
func (e *Engine) Prepare(link string, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.links[link]; l != nil {
		l.prepare(now)
	}
}

// Epochs says which epoch each stream of the session has come to on this side,
// for the peer to catch up with should the network lose too much.
func (e *Engine) Epochs(id uint32) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	var epochs []byte
	if s := e.sessions[id%sessionSlots].Load(); s != nil && s.id == id && s.link != nil {
		for _, sealer := range s.link.sealers[id] {
			epochs = append(epochs, sealer.Epoch())
		}
	}
	return epochs
}

// Advance takes the peer's Epochs of the session, from an authenticated channel.
func (e *Engine) Advance(id uint32, epochs []byte, now time.Time) {
	s := e.sessions[id%sessionSlots].Load()
	if s == nil || s.id != id {
		return
	}
	for i, epoch := range epochs {
		if i < len(s.openers) && s.openers[i] != nil {
			s.openers[i].Advance(epoch, now)
		}
	}
}

// Arrival is where the records of a stream arrive.
type Arrival struct {
	Queue   int    // of the last authentic record, -1 before the first
	Records uint64 // opened
}

// Arrivals gives the arrival of each stream of the session.
func (e *Engine) Arrivals(id uint32) []Arrival {
	var out []Arrival
	if s := e.sessions[id%sessionSlots].Load(); s != nil && s.id == id {
		for _, o := range s.openers {
			if o == nil {
				out = append(out, Arrival{Queue: -1})
				continue
			}
			out = append(out, Arrival{int(o.Home()) - 1, o.Usage().Records})
		}
	}
	return out
}

// Reroute gives the link's stream another UDP source port, so that it has a
// chance to arrive at another queue of the peer. It is false when there is no
// such stream.
func (e *Engine) Reroute(link string, stream int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.links[link]
	if l == nil || stream >= len(l.ports) {
		return false
	}
	l.ports[stream] = l.freshPort()
	e.refresh(l)
	return true
}

// SourcePorts gives the UDP source port of each of the link's streams that seals.
func (e *Engine) SourcePorts(link string) []uint16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.links[link]; l != nil && l.current != nil {
		return slices.Clone(l.ports)
	}
	return nil
}

func (e *Engine) removeSessions(l *Link) {
	for i := range e.sessions {
		if s := e.sessions[i].Load(); s != nil && s.link == l {
			e.sessions[i].Store(nil)
		}
	}
}

// Usage gives what the link has carried since it was first named, and how worn
// its present keys are.
func (e *Engine) Usage(link string) LinkUsage {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.links[link]; l != nil {
		return l.usage()
	}
	return LinkUsage{}
}

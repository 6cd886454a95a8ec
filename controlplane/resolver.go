package controlplane

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/qzmq/gateway/dataplane"
)

// The way of an address through the resolver:
//
//  1. want: the dataplane met a destination it has no hop for; it joins a
//     bounded queue, once (this file).
//  2. The kernel's routes say which neighbour on which interface leads there.
//     Another interface than the side's own is a refusal (resolver_netlink.go).
//  3. The kernel's neighbour table gives that neighbour's MAC address, or is
//     asked to find it out (resolver_table.go).
//  4. Answers are published as maps that nobody changes any more, and stay
//     current: every notice of the kernel about links, routes, rules and
//     neighbours is followed (resolver_run.go).

// side is one of the gateway's two interfaces.
type side uint8

const (
	insideSide side = iota
	outsideSide
	sides // how many there are
)

// String is the side's name in logs.
func (s side) String() string {
	if s == insideSide {
		return "inside"
	}
	return "outside"
}

const (
	// tableLimit bounds the destinations of one side. A full map of hops is
	// then about 5 MB, which one publication can still copy in milliseconds.
	tableLimit = 65536

	// openLimit bounds the inside destinations without an answer, so that a
	// peer scanning our networks cannot fill the kernel's neighbour table
	// (1,024 entries by default) faster than it forgets.
	openLimit = 512

	// insideQueueLimit bounds what waits to be looked at. The outside's queue
	// is as long as its table: peers are few, named by the operator, and all
	// wanted in one burst at the start.
	insideQueueLimit = 1024

	// patience is how long a question stays open before the destination is
	// forgotten (inside) or asked for again (outside). The kernel gives up on
	// a neighbour after three seconds; two more keep a dead host from being
	// asked for at the rate its packets arrive.
	patience = 5 * time.Second

	// confirmEvery is how often the kernel is told that a stale neighbour is
	// in use. It cannot see our packets, so without this it would never find
	// out that the neighbour has gone.
	confirmEvery = 15 * time.Second

	// publishGap is the least time between two publications, so that a burst
	// of changes is one of them. It grows with the time a publication takes,
	// up to publishGapMost.
	publishGap     = 5 * time.Millisecond
	publishGapMost = 250 * time.Millisecond

	// reviewGap gathers notices about routes before the destinations they
	// touch are looked for; on a router with a full table they never stop.
	reviewGap = 20 * time.Millisecond

	// resyncGap is the least time between two full listings.
	resyncGap = 100 * time.Millisecond

	// slice is how many look-ups are done before notices are read again.
	slice = 256

	// noticeBuffer is the memory for notices not read yet, in bytes.
	noticeBuffer = 4 << 20
)

// resolver answers "which link-layer header reaches this address through this
// interface" from the kernel's tables and keeps the answers current. want,
// forget, mtu, mac and index are safe from any goroutine; the fields from table
// on belong to the one in run.
type resolver struct {
	log     *slog.Logger
	names   [sides]string
	publish func(inside, outside map[netip.Addr]dataplane.Hop)
	handle  *netlink.Handle
	socket  *nl.NetlinkSocket
	links   atomic.Pointer[linkTable]

	// source is the address our packets to peers come from, if the kernel's
	// policy routes depend on it. It is set before run, or left zero.
	source netip.Addr

	mu       sync.Mutex                     // over known, queue and unwanted
	known    [sides]map[netip.Addr]struct{} // in the queue or the table
	queue    [sides][]netip.Addr
	unwanted []netip.Addr // outside
	wake     chan struct{}

	table      [sides]map[netip.Addr]*destination
	open       [sides]map[*destination]struct{} // those without an answer
	neighbours map[neighbourKey]*neighbour
	review     map[*destination]struct{} // routes to look up again
	routes     *bart.Lite                // changed since the last look

	hops     [sides]map[netip.Addr]dataplane.Hop // as last published
	altered  [sides]bool                         // since then
	overfull bool                                // and said so
	lastSync time.Time
	lastPub  time.Time
	pubCost  time.Duration

	// When something is to be done; zero is never.
	sweepAt, reviewAt, resyncAt, publishAt time.Time
	linksDirty                             bool
}

// question is one address on one side.
type question struct {
	side side
	addr netip.Addr
}

// newResolver opens netlink in the network namespace of the calling thread and
// stays there, whichever thread runs it later. Both interfaces must exist now;
// afterwards they may go and come back. publish is called from run, with maps
// that it may keep and must not change, whenever a hop or an attribute of an
// interface has changed. run must be called once, it releases what was opened.
func newResolver(log *slog.Logger, inside, outside string, publish func(inside, outside map[netip.Addr]dataplane.Hop)) (*resolver, error) {
	r := &resolver{
		log:        log,
		names:      [sides]string{inside, outside},
		publish:    publish,
		wake:       make(chan struct{}, 1),
		neighbours: make(map[neighbourKey]*neighbour),
		review:     make(map[*destination]struct{}),
		routes:     new(bart.Lite),
	}
	for s := range sides {
		r.known[s] = make(map[netip.Addr]struct{})
		r.table[s] = make(map[netip.Addr]*destination)
		r.open[s] = make(map[*destination]struct{})
		r.hops[s] = make(map[netip.Addr]dataplane.Hop)
	}
	// Subscribed first, listed second: what changes in between is heard.
	var err error
	if r.socket, err = subscribe(); err != nil {
		return nil, err
	}
	if r.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		r.socket.Close()
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	t, err := r.listLinks()
	for s := range sides {
		if err == nil && t.ports[s].index == 0 {
			err = errors.New("find the " + s.String() + " interface: there is no " + r.names[s])
		}
	}
	if err != nil {
		r.close()
		return nil, err
	}
	r.links.Store(t)
	return r, nil
}

// close gives the sockets back. It is for a resolver that is never run.
func (r *resolver) close() {
	r.socket.Close()
	r.handle.Close()
}

// want asks for the hop to addr on side s. It never blocks. A question that is
// known already costs a look into a map, and one that does not fit into the
// queue is dropped: its next packet asks again. Addresses wanted outside are
// peers and stay until forget; those inside stay while they have an answer.
func (r *resolver) want(s side, addr netip.Addr) {
	addr = addr.Unmap()
	if !addr.IsGlobalUnicast() || addr.Zone() != "" {
		return // no neighbour of ours answers for the rest
	}
	limit := insideQueueLimit
	if s == outsideSide {
		limit = tableLimit
	}
	r.mu.Lock()
	_, known := r.known[s][addr]
	if known || len(r.queue[s]) >= limit {
		r.mu.Unlock()
		return
	}
	r.known[s][addr] = struct{}{}
	r.queue[s] = append(r.queue[s], addr)
	r.mu.Unlock()
	r.rouse()
}

// forget ends the interest in a peer's outside address. It never blocks.
func (r *resolver) forget(addr netip.Addr) {
	addr = addr.Unmap()
	r.mu.Lock()
	if i := slices.Index(r.queue[outsideSide], addr); i >= 0 {
		r.queue[outsideSide] = slices.Delete(r.queue[outsideSide], i, i+1)
		delete(r.known[outsideSide], addr)
	} else {
		r.unwanted = append(r.unwanted, addr)
	}
	r.mu.Unlock()
	r.rouse()
}

func (r *resolver) rouse() {
	select {
	case r.wake <- struct{}{}:
	default: // it is awake
	}
}

// mtu is the interface's largest IP packet in bytes, 0 while it does not exist.
func (r *resolver) mtu(s side) int { return r.links.Load().ports[s].mtu }

// mac is the interface's hardware address, zero while it does not exist.
func (r *resolver) mac(s side) [6]byte { return r.links.Load().ports[s].mac }

// index is the interface's number in the kernel, 0 while it does not exist. It
// changes when the interface is made anew.
func (r *resolver) index(s side) int { return r.links.Load().ports[s].index }

package controlplane

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/gaissmai/bart"

	"github.com/qzmq/gateway/dataplane"
)

// run answers questions and follows the kernel until ctx ends, then returns
// ctx's error. It publishes once at the start, then at every change. Any other
// error means that the kernel can no longer be heard: what was published then
// goes stale, and the gateway should end.
func (r *resolver) run(ctx context.Context) error {
	heard := make(chan notices, 64)
	quit := make(chan struct{})
	go r.receive(heard, quit)
	defer func() {
		close(quit)
		r.socket.Close()
		for range heard { // until receive has gone
		}
		r.handle.Close()
	}()

	now := time.Now()
	r.resyncAt, r.sweepAt = now, now.Add(time.Second)
	r.altered = [sides]bool{true, true}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n := <-heard:
			if err := r.listen(n, heard); err != nil {
				return fmt.Errorf("follow routes and neighbours: %w", err)
			}
		case <-r.wake:
		case <-timer.C:
		}
		more, err := r.work(time.Now())
		if err != nil {
			return err
		}
		timer.Reset(r.rest(more))
	}
}

// listen takes in n and whatever else has been heard by now.
func (r *resolver) listen(n notices, heard <-chan notices) error {
	for range slice {
		if n.err != nil {
			return n.err
		}
		if n.lost && r.resyncAt.IsZero() {
			r.log.Warn("netlink notices were lost, reading the tables anew")
			r.resyncAt = r.lastSync.Add(resyncGap)
		}
		for i := range n.msgs {
			r.hear(&n.msgs[i])
		}
		select {
		case n = <-heard:
		default:
			return nil
		}
	}
	return nil
}

// work does what is due, in the order in which one thing feeds the next, and
// reports whether it left questions for another turn.
func (r *resolver) work(now time.Time) (more bool, err error) {
	if due(&r.resyncAt, now) {
		r.lastSync = now
		if err := r.syncNeighbours(); err != nil {
			return false, fmt.Errorf("list neighbours: %w", err)
		}
		r.linksDirty = true
		r.reviewAll()
	}
	if r.linksDirty {
		if err := r.followLinks(); err != nil {
			return false, err
		}
	}
	if r.reviewAt.IsZero() && r.routes.Size() > 0 {
		r.reviewAt = now.Add(reviewGap)
	}
	if due(&r.reviewAt, now) {
		r.reviewRoutes()
	}
	more = r.takeQueues(now)
	left := slice
	for d := range r.review {
		if left--; left < 0 {
			more = true
			break
		}
		r.resolve(d, now)
	}
	if due(&r.sweepAt, now) {
		r.sweepAt = now.Add(time.Second)
		r.sweep(now)
	}
	if r.publishAt.IsZero() && (r.altered[insideSide] || r.altered[outsideSide]) {
		// A large map takes long to copy. Ten times as long passes until the
		// next, so that changes do not take more than a tenth of a core.
		r.publishAt = r.lastPub.Add(min(max(publishGap, 10*r.pubCost), publishGapMost))
	}
	if due(&r.publishAt, now) {
		r.publishHops()
	}
	return more, nil
}

// due reports whether *t has come, and clears it then.
func due(t *time.Time, now time.Time) bool {
	if t.IsZero() || now.Before(*t) {
		return false
	}
	*t = time.Time{}
	return true
}

// rest is how long there is nothing to do.
func (r *resolver) rest(more bool) time.Duration {
	if more {
		return 0
	}
	next := r.sweepAt
	for _, t := range [...]time.Time{r.reviewAt, r.resyncAt, r.publishAt} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return time.Until(next)
}

// followLinks takes in a change of the interfaces. Every answer depends on
// them, and a publication tells of the new attributes even if no hop moved.
func (r *resolver) followLinks() error {
	r.linksDirty = false
	t, err := r.listLinks()
	if err != nil {
		return err
	}
	old := r.links.Swap(t)
	if maps.Equal(old.egress, t.egress) {
		return nil
	}
	for s := range sides {
		if old.ports[s] != t.ports[s] {
			p := t.ports[s]
			r.log.Info("interface changed", "side", s, "interface", r.names[s],
				"index", p.index, "up", p.up, "mtu", p.mtu)
		}
		r.altered[s] = true
	}
	// An interface that is new to us has neighbours we did not listen to.
	if err := r.syncNeighbours(); err != nil {
		return fmt.Errorf("list neighbours: %w", err)
	}
	r.reviewAll()
	return nil
}

func (r *resolver) reviewAll() {
	for s := range sides {
		for _, d := range r.table[s] {
			r.review[d] = struct{}{}
		}
	}
}

// reviewRoutes marks the destinations that a changed route may lead elsewhere.
func (r *resolver) reviewRoutes() {
	for s := range sides {
		for addr, d := range r.table[s] {
			if r.routes.Contains(addr) || d.via != nil && r.routes.Contains(d.via.addr) {
				r.review[d] = struct{}{}
			}
		}
	}
	r.routes = new(bart.Lite)
}

// takeQueues moves questions into the table, at most a slice of each side.
// While too many inside are open, the rest waits in its bounded queue.
func (r *resolver) takeQueues(now time.Time) (more bool) {
	for s := range sides {
		room := slice
		if s == insideSide {
			room = min(room, openLimit-len(r.open[s]))
		}
		r.mu.Lock()
		n := max(min(room, len(r.queue[s])), 0)
		batch := append([]netip.Addr(nil), r.queue[s][:n]...)
		r.queue[s] = append(r.queue[s][:0], r.queue[s][n:]...)
		more = more || n == slice && len(r.queue[s]) > 0
		r.mu.Unlock()
		for _, addr := range batch {
			if !r.add(question{s, addr}, now) {
				r.refuse(question{s, addr})
			}
		}
	}
	r.mu.Lock()
	unwanted := r.unwanted
	r.unwanted = nil
	r.mu.Unlock()
	for _, addr := range unwanted {
		if d := r.table[outsideSide][addr]; d != nil {
			r.drop(d)
		}
	}
	return more
}

// refuse gives back the place of a peer that found the table full. That can
// only be a mistake of configuration, and one line about it is enough.
func (r *resolver) refuse(q question) {
	r.mu.Lock()
	delete(r.known[q.side], q.addr)
	r.mu.Unlock()
	if !r.overfull {
		r.overfull = true
		r.log.Error("too many peers to resolve", "limit", tableLimit, "address", q.addr)
	}
}

// sweep ends the patience of questions without an answer, and keeps the
// neighbours alive that the kernel takes for unused.
func (r *resolver) sweep(now time.Time) {
	for s := range sides {
		for d := range r.open[s] {
			switch {
			case now.Before(d.until):
			case s == insideSide:
				r.drop(d)
			default:
				d.until = now.Add(patience)
				r.review[d] = struct{}{}
			}
		}
	}
	left := slice
	for _, n := range r.neighbours {
		if left > 0 && len(n.users) > 0 && r.confirm(n, now) {
			left--
		}
	}
}

// publishHops hands out new maps for the sides that changed.
func (r *resolver) publishHops() {
	start := time.Now()
	for s := range sides {
		if !r.altered[s] {
			continue // nobody changes the old map, so it may serve on
		}
		r.altered[s] = false
		hops := make(map[netip.Addr]dataplane.Hop, len(r.table[s])-len(r.open[s]))
		for addr, d := range r.table[s] {
			if d.found {
				hops[addr] = d.hop
			}
		}
		r.hops[s] = hops
	}
	r.publish(r.hops[insideSide], r.hops[outsideSide])
	r.lastPub = time.Now()
	r.pubCost = r.lastPub.Sub(start)
}

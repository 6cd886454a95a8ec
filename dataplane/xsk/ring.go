package xsk

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ring is one of the four rings, in either role. One side writes entries and
// advances the producer index, the other reads them and advances the consumer
// index; both indices count for ever and wrap at 2^32.
//
// We write one of the two indices and only read the other. The kernel's is
// read once a burst and remembered in seen, because each real read may cost a
// cache miss on a line the kernel's core has just written. Ours runs ahead in
// next and becomes visible in one store per burst.
//
// The stores and loads are sync/atomic's, which are at least release and
// acquire: an entry is complete before its index is visible, and is read only
// after its index was seen. They are sequentially consistent besides, which
// needsWakeup relies on: our index is visible before we look at the flag.
type ring[T any] struct {
	producer *atomic.Uint32
	consumer *atomic.Uint32
	flags    *atomic.Uint32 // written by the kernel
	entries  []T            // a power of two long
	mask     uint32
	next     uint32 // our index, ahead of the visible one until publish or release
	seen     uint32 // the kernel's index when we last looked
}

// produce returns the ring in the role of the side that writes entries.
func (r ring[T]) produce() ring[T] {
	r.mask = uint32(len(r.entries) - 1)
	r.next, r.seen = r.producer.Load(), r.consumer.Load()
	return r
}

// consume returns the ring in the role of the side that reads entries.
func (r ring[T]) consume() ring[T] {
	r.mask = uint32(len(r.entries) - 1)
	r.next, r.seen = r.consumer.Load(), r.producer.Load()
	return r
}

// free returns how many entries can be pushed, at most want.
func (r *ring[T]) free(want uint32) uint32 {
	size := r.mask + 1
	if size-(r.next-r.seen) < want {
		r.seen = r.consumer.Load()
	}
	return min(size-(r.next-r.seen), want)
}

// push writes one entry, which stays invisible until publish. The caller has
// asked free.
func (r *ring[T]) push(entry T) {
	r.entries[r.next&r.mask] = entry
	r.next++
}

// publish shows the kernel what was pushed.
func (r *ring[T]) publish() { r.producer.Store(r.next) }

// unsent returns how many entries we pushed that the kernel has not consumed.
func (r *ring[T]) unsent() uint32 {
	r.seen = r.consumer.Load()
	return r.next - r.seen
}

// ready returns how many entries can be read, at most want.
func (r *ring[T]) ready(want uint32) uint32 {
	if r.seen-r.next < want {
		r.seen = r.producer.Load()
	}
	return min(r.seen-r.next, want)
}

// at returns the i-th entry that is ready.
func (r *ring[T]) at(i uint32) T { return r.entries[(r.next+i)&r.mask] }

// release gives the first n ready entries back to the kernel.
func (r *ring[T]) release(n uint32) {
	r.next += n
	r.consumer.Store(r.next)
}

// needsWakeup tells whether the kernel wants a system call before it looks at
// this ring again.
func (r *ring[T]) needsWakeup() bool {
	return r.flags.Load()&unix.XDP_RING_NEED_WAKEUP != 0
}

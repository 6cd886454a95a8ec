package controlplane

import "github.com/qzmq/gateway/dataplane"

// crowd watches at which queues the streams of one session arrive. Receive-side
// scaling is a hash: two streams may fall on one queue while another has none,
// and then one worker carries what two could. The receiver sees that and asks
// the sender for another UDP source port, which is another throw of the dice; so
// no side has to know the other's hash, key or table.
type crowd struct {
	queues int
	seen   []uint64 // records of each stream at the last look
	asked  int
}

const (
	// busyRecords is how many records between two looks make a stream count.
	busyRecords = 64
	// mostMoves bounds what is asked for in a session: on a network card with one
	// queue, or a hash without ports, no throw will ever help.
	mostMoves = 64
)

// move names a stream that should arrive elsewhere, if one queue has two busy
// streams more than another.
func (c *crowd) move(now []dataplane.Arrival) (stream uint16, ok bool) {
	streams, last := make([]int, c.queues), make([]uint16, c.queues) // by queue
	for i, a := range now {
		var before uint64
		if i < len(c.seen) {
			before = c.seen[i]
		}
		if a.Queue >= 0 && a.Queue < c.queues && a.Records-before >= busyRecords {
			streams[a.Queue]++
			last[a.Queue] = uint16(i)
		}
	}
	c.seen = c.seen[:0]
	for _, a := range now {
		c.seen = append(c.seen, a.Records)
	}
	full, empty := 0, 0
	for q, n := range streams {
		if n > streams[full] {
			full = q
		}
		if n < streams[empty] {
			empty = q
		}
	}
	if c.asked == mostMoves || streams[full]-streams[empty] < 2 {
		return 0, false
	}
	c.asked++
	return last[full], true
}

package controlplane

import (
	"testing"

	"github.com/qzmq/gateway/dataplane"
)

func TestCrowdMove(t *testing.T) {
	for _, c := range []struct {
		name    string
		queues  int
		at      []int // the queue of each stream
		records []uint64
		want    int // the stream to move, -1 for none
	}{
		{"none yet", 2, []int{-1, -1}, []uint64{0, 0}, -1},
		{"each its own", 2, []int{1, 0}, []uint64{900, 900}, -1},
		{"two on one of two", 2, []int{1, 1}, []uint64{900, 900}, 1},
		{"two on one of two, one idle", 2, []int{1, 1}, []uint64{900, 63}, -1},
		{"three on two", 2, []int{0, 0, 1}, []uint64{900, 900, 900}, -1},
		{"four on two, crowded", 2, []int{0, 0, 0, 1}, []uint64{900, 900, 900, 900}, 2},
		{"one queue", 1, []int{0, 0, 0}, []uint64{900, 900, 900}, -1},
		{"a queue that is not ours", 2, []int{7, 7}, []uint64{900, 900}, -1},
		{"a third of the queues is empty", 3, []int{0, 1, 0}, []uint64{900, 900, 900}, 2},
	} {
		watch := crowd{queues: c.queues}
		var now []dataplane.Arrival
		for i := range c.at {
			now = append(now, dataplane.Arrival{Queue: c.at[i], Records: c.records[i]})
		}
		got, ok := watch.move(now)
		if ok != (c.want >= 0) || ok && int(got) != c.want {
			t.Errorf("%s: moves %d, %v", c.name, got, ok)
		}
		if _, ok := watch.move(now); ok {
			t.Errorf("%s: moves streams that carry nothing", c.name)
		}
	}
}

// Where no move helps the asking ends.
func TestCrowdGivesUp(t *testing.T) {
	watch, moves := crowd{queues: 2}, 0
	for i := range 10 * mostMoves {
		n := uint64(i+1) * busyRecords
		if _, ok := watch.move([]dataplane.Arrival{{Queue: 0, Records: n}, {Queue: 0, Records: n}}); ok {
			moves++
		}
	}
	if moves != mostMoves {
		t.Errorf("asked %d times, want %d", moves, mostMoves)
	}
}

// Whatever the hash, a few moves spread the streams evenly.
func TestCrowdEnds(t *testing.T) {
	for seed := range uint32(50) {
		const streams, queues = 8, 4
		hash := func(port uint32) int { return int((port*2654435761 ^ seed*40503) >> 13 % queues) }
		ports, next := [streams]uint32{}, uint32(61000)
		for i := range ports {
			ports[i] = next
			next++
		}
		watch, records := crowd{queues: queues}, uint64(0)
		for looks := 0; ; looks++ {
			records += 1000
			var now []dataplane.Arrival
			for _, p := range ports {
				now = append(now, dataplane.Arrival{Queue: hash(p), Records: records})
			}
			stream, ok := watch.move(now)
			if !ok {
				break
			}
			ports[stream] = next
			next++
		}
		var at [queues]int
		for _, p := range ports {
			at[hash(p)]++
		}
		for _, n := range at {
			if n < 1 || n > 3 {
				t.Errorf("seed %d: streams by queue %v after %d moves", seed, at, watch.asked)
				break
			}
		}
	}
}

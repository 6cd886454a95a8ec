package qzmq

import "testing"

// TestQueueReuses has a producer and a consumer in step, for which two chunks do.
func TestQueueReuses(t *testing.T) {
	for _, size := range []int{1, 100, 1000, 70_000, 1 << 20} {
		q := &queue{limits: limits{messages: 1000, bytes: 16 << 20}}
		parts := [][]byte{make([]byte, size)}
		var runs []run
		round := func() {
			for range 3 {
				q.push(parts, frameSize(parts))
			}
			for {
				if runs, _ = q.take(nil, runs[:0]); len(runs) == 0 {
					break
				}
				q.recycle(runs)
			}
		}
		for range 20 {
			round()
		}
		if n := testing.AllocsPerRun(100, round); n > 0 {
			t.Errorf("%d bytes: %v allocations in a round", size, n)
		}
	}
}

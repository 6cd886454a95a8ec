package qzmq

import (
	"testing"
	"testing/synctest"
	"time"
)

// The reserve comes with traffic, is as large as that, and goes when it is over.
func TestReserveFollowsTraffic(t *testing.T) {
	for _, c := range []struct {
		name        string
		each, wants int // bytes in a tenth of a second, of the reserve
	}{
		{"little", 1 << 20, 0},
		{"much", 10 << 20, 10 << 20},
		{"more than there is for anybody", 1 << 30, mostReserve},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r reserve
				has := func() int {
					synctest.Wait()
					r.mu.Lock()
					defer r.mu.Unlock()
					return len(r.memory)
				}
				r.add(0)
				time.Sleep(lookTime / 2) // so that each look sees one of these:
				for range 30 {
					r.add(c.each)
					time.Sleep(lookTime)
				}
				if got := has(); got != c.wants {
					t.Errorf("%d bytes a look make a reserve of %d, not %d", c.each, got, c.wants)
				}
				time.Sleep((mostIdle + 1) * lookTime)
				if got := has(); got > 0 || r.watching.Load() {
					t.Errorf("of the reserve %d bytes are left, and it is looked after: %v", got, r.watching.Load())
				}
			})
		})
	}
}

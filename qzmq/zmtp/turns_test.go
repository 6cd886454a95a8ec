package zmtp

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// queue lets n of a class wait for their turns, each of which is as long as job.
func queue(t *testing.T, turns *Turns, wg *sync.WaitGroup, class, n int, job time.Duration) {
	t.Helper()
	for range n {
		wg.Go(func() {
			leave, err := turns.take(context.Background(), class)
			if err != nil {
				if !errors.Is(err, ErrBusy) {
					t.Error(err)
				}
				return
			}
			time.Sleep(job)
			leave()
		})
	}
	synctest.Wait()
}

// TestKnownGoFirst: ten thousand strangers are there, and a known caller waits for no
// more than the turns that had begun before it came, at most for one to end; with
// two turns or more for none at all.
func TestKnownGoFirst(t *testing.T) {
	const strangers, job = 10_000, 300 * time.Microsecond
	for _, c := range []struct {
		most       int
		runs, wait uint64 // strangers at once, turns that a known one waits for
	}{{1, 1, 1}, {2, 1, 0}, {4, 3, 0}, {16, 12, 0}} {
		synctest.Test(t, func(t *testing.T) {
			turns := newTurns(c.most, maxWaiting)
			var wg sync.WaitGroup
			queue(t, turns, &wg, stranger, strangers, job)
			if turns.strangers != int(c.runs) {
				t.Errorf("%d turns: %d strangers have one", c.most, turns.strangers)
			}
			began := time.Now()
			queue(t, turns, &wg, known, 1, job)
			wg.Wait()
			s, k := turns.Stats()
			if k.Taken != 1 || k.Waited != c.wait || k.MostAhead != c.wait || k.Longest > job || k.Refused != 0 {
				t.Errorf("%d turns: known callers: %+v", c.most, k)
			}
			if s.Taken+s.Refused != strangers || s.Taken != c.runs+maxWaiting || s.Late != 0 {
				t.Errorf("%d turns: strangers: %+v", c.most, s)
			}
			if turns.running != 0 || turns.strangers != 0 || turns.waiting[stranger].Len() != 0 {
				t.Errorf("%d turns: something is left: %d, %d", c.most, turns.running, turns.strangers)
			}
			if took := time.Since(began); took > job*time.Duration(maxWaiting/c.runs+2) {
				t.Errorf("%d turns: all of them took %v", c.most, took)
			}
		})
	}
}

// In each class who waits longest is next, and known callers cannot shut strangers
// out of what is there besides.
func TestTurnsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1, 10)
		leave, err := turns.take(context.Background(), stranger)
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		var wg sync.WaitGroup
		for i, class := range []int{stranger, stranger, known, stranger, known} {
			wg.Go(func() {
				leave, err := turns.take(context.Background(), class)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i) // one turn: nobody else is here
				leave()
			})
			synctest.Wait()
		}
		leave()
		wg.Wait()
		for i, want := range []int{2, 4, 0, 1, 3} {
			if order[i] != want {
				t.Fatalf("order %v", order)
			}
		}
	})
}

// A turn that is not waited for any more goes to the next, also when it comes in
// the very moment.
func TestTurnTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const job = time.Second
		turns := newTurns(1, 10)
		var wg sync.WaitGroup
		queue(t, turns, &wg, known, 1, job)
		for _, limit := range []time.Duration{job / 2, job} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				defer cancel()
				leave, err := turns.take(ctx, stranger)
				if err == nil {
					leave()
				} else if !errors.Is(err, ErrBusy) {
					t.Error(err)
				}
			})
		}
		queue(t, turns, &wg, stranger, 1, job)
		wg.Wait()
		s, _ := turns.Stats()
		if s.Late == 0 || s.Taken+s.Late != 3 || turns.running != 0 || turns.waiting[stranger].Len() != 0 {
			t.Errorf("%+v, %d running", s, turns.running)
		}
	})
}

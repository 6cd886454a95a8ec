package zmtp

import (
	"container/list"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// ErrBusy reports a handshake that was given up because too many others waited to
// have their public-key work done, or because its turn did not come in time.
var ErrBusy = errors.New("zmtp: too many handshakes wait for public-key work")

// Turns bounds the public-key work that callers can make a process do at once: a
// step of a responder that signs, verifies or encapsulates takes a turn first. Any
// number of goroutines may use it, and all listeners of a process share one.
//
// Callers are strangers or known, by where they call from or by a ticket whose
// binder was right. A turn that is free goes to the known who waits longest, and
// to a stranger only when none does and the reserve stays. So no number of
// strangers, though they know whom they call, is ahead of one who is known.
type Turns struct {
	most, reserve, places int

	mu        sync.Mutex
	running   int
	strangers int          // of running
	ended     uint64       // so many turns have
	waiting   [2]list.List // of *turn, the oldest first; by class
	stats     [2]TurnStats
}

// TurnStats is what a class of callers has met.
type TurnStats struct {
	Taken     uint64        // turns
	Waited    uint64        // of those, the ones that were not free at once
	Refused   uint64        // because of too many waiting
	Late      uint64        // given up before the turn came
	Longest   time.Duration // that a turn was waited for
	MostAhead uint64        // turns that others ended while one waited, at most
}

const (
	stranger = iota
	known
)

// turn is a place in the queue.
type turn struct {
	ready chan struct{}
	since uint64 // how many turns had ended when it began to wait
}

// reservedTurns is the part of all turns that strangers leave free.
const reservedTurns = 4

// maxWaiting is how many of each class may wait. At the third of a millisecond
// that a ClientHello of the default suite costs, a stranger who gets a place
// waits about as long as people notice.
const maxWaiting = 1024

// NewTurns makes as many turns as the process has CPUs.
func NewTurns() *Turns { return newTurns(runtime.GOMAXPROCS(0), maxWaiting) }

// newTurns reserves a quarter of the turns, and one at least where there are two.
func newTurns(most, places int) *Turns {
	t := &Turns{most: most, places: places}
	if most > 1 {
		t.reserve = max(1, most/reservedTurns)
	}
	return t
}

// take waits for a turn until ctx ends. The caller leaves once. The only error is
// ErrBusy.
func (t *Turns) take(ctx context.Context, class int) (leave func(), err error) {
	if err := t.wait(ctx, class); err != nil {
		return nil, err
	}
	return func() { t.leave(class) }, nil
}

func (t *Turns) wait(ctx context.Context, class int) error {
	t.mu.Lock()
	s := &t.stats[class]
	if t.free(class) {
		t.begin(class)
		t.mu.Unlock()
		return nil
	}
	queue := &t.waiting[class]
	if queue.Len() == t.places {
		s.Refused++
		t.mu.Unlock()
		return ErrBusy
	}
	mine := &turn{ready: make(chan struct{}), since: t.ended}
	place := queue.PushBack(mine)
	t.mu.Unlock()

	began := time.Now()
	var ended bool
	select {
	case <-mine.ready:
	case <-ctx.Done():
		ended = true
	}
	waited := time.Since(began)

	t.mu.Lock()
	defer t.mu.Unlock()
	s.Longest = max(s.Longest, waited)
	if !ended {
		s.Waited++
		return nil
	}
	s.Late++
	select {
	case <-mine.ready: // it came in the same moment, and goes to the next
		s.Taken--
		t.end(class)
	default:
		queue.Remove(place)
	}
	return ErrBusy
}

func (t *Turns) leave(class int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended++
	t.end(class)
}

// Stats gives what has happened so far to strangers and to known callers.
func (t *Turns) Stats() (strangers, knownCallers TurnStats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stats[stranger], t.stats[known]
}

// free says whether one of this class may begin. The caller holds t.mu, as in all
// that follows.
func (t *Turns) free(class int) bool {
	return t.running < t.most && (class == known || t.strangers < t.most-t.reserve)
}

func (t *Turns) begin(class int) {
	t.running++
	if class == stranger {
		t.strangers++
	}
	t.stats[class].Taken++
}

// end gives the turn to who comes next.
func (t *Turns) end(class int) {
	t.running--
	if class == stranger {
		t.strangers--
	}
	for _, next := range [2]int{known, stranger} {
		for t.waiting[next].Len() > 0 && t.free(next) {
			queue, s := &t.waiting[next], &t.stats[next]
			first := queue.Remove(queue.Front()).(*turn)
			s.MostAhead = max(s.MostAhead, t.ended-first.since)
			t.begin(next)
			close(first.ready)
		}
	}
}

package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// promises is what is demanded of a flow besides what is demanded of all: that no
// message comes twice, none that was not sent, none altered, and that those of one
// connection come in the order in which they were sent.
//
// What a broken connection had in its buffers is lost, as with libzmq, which says
// nothing of it either. What libzmq does keep is the queue of a Connect while nobody is
// there: its session holds the pipe over reconnections. (A Bind's pipe dies with the
// connection, and PUB and ROUTER drop for who is slow or away.)
type promises struct {
	// gapless: on one connection nothing is left out between two messages. It holds
	// where all messages of the sender go down one pipe that outlives connections: a
	// PUSH, DEALER or PAIR with one Connect. Messages are lost with a connection, not
	// within one.
	gapless bool
	// lossless: everything comes. It holds where nobody touches the connection.
	lossless bool
	// steady: messages keep coming, whatever happens to other peers of the same socket.
	steady bool
}

// flow is the model of what one sender says to one receiver: what was sent, what has
// come, and what is owed. Several goroutines use it.
type flow struct {
	id   flowID
	name string
	from qzmq.Fingerprint // whose messages they are
	promises
	verdict *verdict

	mu       sync.Mutex
	offered  uint64 // messages 1 to this one may come
	accepted uint64 // messages 1 to this one were taken by Send
	got      bitset
	received uint64
	stays    map[any]*stay // by connection
	owed     []span
	marked   uint64 // what is accepted after this one is owed at the next call
}

// span is a row of messages, both ends included.
type span struct{ first, last uint64 }

// stay is what has come over a connection, and when.
type stay struct {
	span
	began, ended time.Time
}

func newFlow(id flowID, name string, p promises, v *verdict) *flow {
	return &flow{id: id, name: name, promises: p, verdict: v, stays: map[any]*stay{}}
}

// offer comes before Send, which may fail; the number is then offered again.
func (f *flow) offer(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offered = max(f.offered, seq)
}

// accept comes after a Send that has not failed.
func (f *flow) accept(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted = seq
}

// receive is for a message that has come on a connection, which can be anything that
// differs for different connections.
func (f *flow) receive(connection any, seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.received++
	var before uint64
	on, known := f.stays[connection]
	if known {
		before = on.last
	}
	switch {
	case seq == 0 || seq > f.offered:
		f.verdict.against(f.name, "message %d was never sent", seq)
		return
	case f.got.has(seq):
		f.verdict.against(f.name, "message %d has come twice", seq)
	case known && seq < before:
		f.verdict.against(f.name, "message %d comes after %d on the same connection", seq, before)
	case known && f.gapless && seq > before+1:
		f.verdict.against(f.name, "messages %d to %d are missing within a connection", before+1, seq-1)
	}
	f.got.add(seq)
	now := time.Now()
	if !known {
		on = &stay{span: span{seq, seq}, began: now}
		f.stays[connection] = on
	}
	on.first, on.last, on.ended = min(on.first, seq), max(on.last, seq), now
}

// owe demands that messages come, sooner or later.
func (f *flow) owe(first, last uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if first <= last {
		f.owed = append(f.owed, span{first, last})
	}
}

// mark begins a time in which nothing may be lost, and call ends it: what Send took
// between the two must come.
func (f *flow) mark() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.marked = f.accepted
}

func (f *flow) call() {
	f.mu.Lock()
	first, last := f.marked+1, f.accepted
	f.mu.Unlock()
	f.owe(first, last)
}

// outstanding gives the messages that are owed and have not come.
func (f *flow) outstanding() (all []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	owed := f.owed
	if f.lossless {
		owed = []span{{1, f.accepted}}
	}
	for _, s := range owed {
		for seq := s.first; seq <= s.last; seq++ {
			if !f.got.has(seq) {
				all = append(all, seq)
			}
		}
	}
	return all
}

// settle is for when everything that is owed should have come.
func (f *flow) settle() {
	if missing := f.outstanding(); len(missing) > 0 {
		f.verdict.against(f.name, "%d messages are lost that nothing may lose, the first of them %d; %s", len(missing), missing[0], f.where(missing))
	}
	f.forgive()
}

// where says whether messages were lost with connections or within one, and what came
// over the last connections.
func (f *flow) where(missing []uint64) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	latest := slices.SortedFunc(maps.Values(f.stays), func(a, b *stay) int { return a.began.Compare(b.began) })
	within := 0
	for _, seq := range missing {
		if slices.ContainsFunc(latest, func(on *stay) bool { return on.first < seq && seq < on.last }) {
			within++
		}
	}
	text := fmt.Sprintf("%d of them within a connection", within)
	for _, on := range latest[max(0, len(latest)-3):] {
		text += fmt.Sprintf("; from %s to %s came %d to %d", on.began.Format(clockTime), on.ended.Format(clockTime), on.first, on.last)
	}
	return text
}

// clockTime is how findings tell the time, so that they can be held against each other.
const clockTime = "15:04:05.000"

// forgive is for what is owed and nobody can be blamed for.
func (f *flow) forgive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owed = nil
}

// counts are for the report.
func (f *flow) counts() (accepted, received uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.accepted, f.received
}

// verdict is what was found against all flows and sockets.
type verdict struct {
	mu    sync.Mutex
	found []string
	by    map[string]int // how much of it against whom
}

// enough is how many findings against one are kept in words.
const enough = 5

func (v *verdict) against(who, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.by == nil {
		v.by = map[string]int{}
	}
	if v.by[who]++; v.by[who] <= enough {
		v.found = append(v.found, who+": "+fmt.Sprintf(format, args...))
	}
}

// findings gives everything that was found, in words.
func (v *verdict) findings() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := append([]string(nil), v.found...)
	for who, n := range v.by {
		if n > enough {
			all = append(all, fmt.Sprintf("%s: and %d more", who, n-enough))
		}
	}
	return all
}

// bitset is a set of numbers that begin at 1.
type bitset []uint64

func (b bitset) has(n uint64) bool {
	word := n / 64
	return word < uint64(len(b)) && b[word]&(1<<(n%64)) != 0
}

func (b *bitset) add(n uint64) {
	for n/64 >= uint64(len(*b)) {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

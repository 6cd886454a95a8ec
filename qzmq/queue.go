package qzmq

import (
	"slices"
	"sync"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

// run is whole messages, back to back in the form of ZMTP frames.
type run struct {
	wire     []byte
	messages int
	shared   bool  // others have the same memory: nothing is appended to it or reused
	from     *Peer // who has sent it; nil for the pipe's peer
}

// waker is who waits at an end of a queue. wake must not block, nor take a socket's lock.
type waker interface{ wake() }

// queue carries messages one way, between a socket and whoever is at the other end of
// its pipe: a connection's writer, a connection's reader or, inproc, another socket.
//
// Messages stand in chunks, so that pushing a small one is a copy and taking them is
// an exchange of slices. Each end is woken only when it has come to a stop before: the
// consumer, when it has found nothing; the producer, when it has found no room.
type queue struct {
	mu     sync.Mutex // no other lock but a mailbox's is taken under it
	runs   []run      // the oldest first
	count  int        // messages pushed that the consumer has not acknowledged
	bytes  int        // of their frames
	limits limits

	asleep, blocked    bool // which end has come to a stop
	ended              bool // the producer has said its last
	gone               bool // the consumer is no more: what is pushed is dropped
	consumer, producer waker

	size  int      // of the next chunk
	spare [][]byte // chunks that the consumer has given back
	kept  int      // the bytes of spare
}

// limits is when a queue is full; zero is no limit.
type limits struct {
	messages int
	bytes    int
	conflate bool // only the last message is kept, and there is always room
}

func (q *queue) full() bool {
	l := &q.limits
	return !l.conflate && (l.messages > 0 && q.count >= l.messages || l.bytes > 0 && q.bytes >= l.bytes)
}

// push adds a message and says whether there was room; if not, the producer is woken
// when there is. size is the length of its frames.
func (q *queue) push(parts [][]byte, size int) bool {
	if size > mostChunk {
		return q.pushLarge(parts, size)
	}
	q.mu.Lock()
	if q.full() {
		q.blocked = true
		q.mu.Unlock()
		return false
	}
	if q.gone {
		q.mu.Unlock()
		return true
	}
	q.forConflate()
	r := q.chunk(size)
	r.wire = appendFrames(r.wire, parts)
	r.messages++
	q.pushed(1, size)
	return true
}

// pushLarge is push without having the consumer wait while the message is copied. There
// is one producer, so what has room has it still afterwards.
func (q *queue) pushLarge(parts [][]byte, size int) bool {
	if !q.hasRoom() {
		return false
	}
	q.mu.Lock()
	chunk := q.memory(size)
	q.mu.Unlock()
	return q.pushRun(run{wire: appendFrames(chunk, parts), messages: 1})
}

// pushRun adds whole messages without copying them.
func (q *queue) pushRun(r run) bool {
	q.mu.Lock()
	if q.full() {
		q.blocked = true
		q.mu.Unlock()
		return false
	}
	if q.gone {
		q.mu.Unlock()
		return true
	}
	q.forConflate()
	q.runs = append(q.runs, r)
	q.pushed(r.messages, len(r.wire))
	return true
}

// pushed counts, unlocks and wakes.
func (q *queue) pushed(messages, bytes int) {
	q.count += messages
	q.bytes += bytes
	wake := q.asleep
	q.asleep = false
	consumer := q.consumer
	q.mu.Unlock()
	if wake && consumer != nil {
		consumer.wake()
	}
}

func (q *queue) forConflate() {
	if q.limits.conflate {
		clear(q.runs)
		q.runs, q.count, q.bytes = q.runs[:0], 0, 0
	}
}

// takeAll gives everything that waits, appended to into, for a consumer that will
// acknowledge it. When there is nothing the consumer is woken as soon as there is.
func (q *queue) takeAll(into []run) []run {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asleep = len(q.runs) == 0
	q.shrink()
	into = append(into, q.runs...)
	clear(q.runs)
	q.runs = q.runs[:0]
	return into
}

// take gives some of what waits, appended to into, and makes room for as much at once.
// It is for c, and gives nothing when another consumer is served. When there is nothing
// c is woken as soon as there is; ended says that there will be no more.
func (q *queue) take(c waker, into []run) (taken []run, ended bool) {
	q.mu.Lock()
	if len(q.runs) == 0 || q.consumer != c {
		q.asleep = true
		ended = q.ended && q.consumer == c
		q.mu.Unlock()
		return into, ended
	}
	q.shrink()
	n, messages, bytes := 0, 0, 0
	for n < len(q.runs) && bytes < mostTaken {
		messages += q.runs[n].messages
		bytes += len(q.runs[n].wire)
		n++
	}
	taken = append(into, q.runs[:n]...)
	q.runs = slices.Delete(q.runs, 0, n)
	q.roomMade(messages, bytes)
	return taken, false
}

// acknowledge makes room for messages that were taken before.
func (q *queue) acknowledge(messages, bytes int) {
	q.mu.Lock()
	q.roomMade(messages, bytes)
}

// roomMade counts, unlocks and wakes.
func (q *queue) roomMade(messages, bytes int) {
	q.count = max(0, q.count-messages)
	q.bytes = max(0, q.bytes-bytes)
	wake := q.blocked && !q.full()
	if wake {
		q.blocked = false
	}
	producer := q.producer
	q.mu.Unlock()
	if wake && producer != nil {
		producer.wake()
	}
}

// hasRoom says whether a push would succeed; if not, the producer is woken when it
// would.
func (q *queue) hasRoom() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full() {
		q.blocked = true
		return false
	}
	return true
}

// empty says whether nothing waits to be taken.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.runs) == 0
}

// putBack returns runs that were taken and not used, before all others.
func (q *queue) putBack(runs []run) {
	q.mu.Lock()
	q.runs = append(append([]run(nil), runs...), q.runs...)
	messages, bytes := 0, 0
	for _, r := range runs {
		messages += r.messages
		bytes += len(r.wire)
	}
	q.pushed(messages, bytes)
}

// end says that nothing more comes.
func (q *queue) end() {
	q.mu.Lock()
	q.ended = true
	q.pushed(0, 0)
}

// abandon drops what waits and whatever comes, since nobody takes it.
func (q *queue) abandon() {
	q.mu.Lock()
	q.gone = true
	q.runs, q.spare, q.kept = nil, nil, 0
	q.roomMade(q.count, q.bytes)
}

// clear drops what waits.
func (q *queue) clear() {
	q.mu.Lock()
	q.runs = nil
	q.roomMade(q.count, q.bytes)
}

// serve makes c the consumer, which finds what waits by taking it.
func (q *queue) serve(c waker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.consumer = c
}

// feed makes p the producer.
func (q *queue) feed(p waker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.producer, q.blocked = p, false
}

// limit changes the limits of a queue that is in use.
func (q *queue) limit(l limits) {
	q.mu.Lock()
	q.limits = l
	q.roomMade(0, 0)
}

// connect gives a queue its ends, nil for one that stays, and its limits.
func (q *queue) connect(consumer, producer waker, l limits) {
	q.mu.Lock()
	if consumer != nil {
		q.consumer = consumer
	}
	if producer != nil {
		q.producer = producer
	}
	q.limits = l
	q.roomMade(0, 0)
}

// appendFrames appends the frames of a message.
func appendFrames(dst []byte, parts [][]byte) []byte {
	for i, part := range parts {
		flags := zmtp.More
		if i == len(parts)-1 {
			flags = 0
		}
		dst = append(zmtp.AppendHeader(dst, flags, len(part)), part...)
	}
	return dst
}

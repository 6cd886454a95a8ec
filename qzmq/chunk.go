package qzmq

import "github.com/qzmq/gateway/qzmq/zmtp"

// The memory of a queue: chunks in which messages stand back to back.

// Chunks grow with what waits, up to a record.
const (
	leastChunk = 512
	mostChunk  = zmtp.MaxRecord

	// mostTaken is about how many bytes a connection takes at once, so that what it
	// gives back is used again before it has left the processor's caches.
	mostTaken = 256 << 10

	// What is kept for reuse: as much as may wait in any queue by default, while messages
	// flow, and little of it after restTime.
	mostSpare  = droppingBytes
	smallSpare = 8 << 10
)

// chunk gives a run that has room for size bytes more.
func (q *queue) chunk(size int) *run {
	if n := len(q.runs); n > 0 {
		last := &q.runs[n-1]
		if !last.shared && len(last.wire)+size <= cap(last.wire) {
			return last
		}
		q.size = min(2*q.size, mostChunk)
	}
	q.size = max(q.size, leastChunk)
	q.runs = append(q.runs, run{wire: q.memory(max(q.size, size))})
	return &q.runs[len(q.runs)-1]
}

// shrink makes the next chunk smaller when what waits would have had room in less.
func (q *queue) shrink() {
	if len(q.runs) == 1 && 4*len(q.runs[0].wire) < q.size {
		q.size /= 2
	}
}

// memory gives a chunk of at least size bytes, a spare one if there is one.
func (q *queue) memory(size int) []byte {
	for i, chunk := range q.spare {
		if cap(chunk) >= size {
			last := len(q.spare) - 1
			q.spare[i], q.spare[last] = q.spare[last], nil
			q.spare = q.spare[:last]
			q.kept -= cap(chunk)
			return chunk
		}
		if i == mostTried {
			q.dropSpare() // they are too small for what is sent now
			break
		}
	}
	return make([]byte, 0, size)
}

// mostTried is how many spare chunks are looked at.
const mostTried = 4

func (q *queue) dropSpare() {
	clear(q.spare)
	q.spare, q.kept = q.spare[:0], 0
}

// heavy says whether much is kept for reuse, and rest lets go of it.
func (q *queue) heavy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.kept > smallSpare
}

func (q *queue) rest() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropSpare()
}

// recycle gives back the chunks of runs that were taken and are not needed any more.
func (q *queue) recycle(runs []run) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range runs {
		if r := &runs[i]; !r.shared && q.kept < mostSpare {
			q.spare = append(q.spare, r.wire[:0])
			q.kept += cap(r.wire)
		}
		runs[i] = run{}
	}
}

package dataplane

import "sync"

const pipeRoom = 4096 // the size of an AF_XDP chunk, so that both refuse the same

// Pipe returns both ends of a cable that exists in memory only. What one end
// flushes, the other receives. It behaves like the real thing: each direction
// holds at most capacity packets and loses what does not fit.
func Pipe(capacity int) (a, b *PipeEnd) {
	ab, ba := &wire{capacity: capacity}, &wire{capacity: capacity}
	return &PipeEnd{in: ba, out: ab, room: make([]byte, pipeRoom)}, &PipeEnd{in: ab, out: ba, room: make([]byte, pipeRoom)}
}

// wire is one direction of a pipe.
type wire struct {
	mu       sync.Mutex
	capacity int
	packets  [][]byte
	free     [][]byte
	lost     uint64
	arrived  func()
}

// PipeEnd is one end of a Pipe. It is a Port; each end belongs to one goroutine.
type PipeEnd struct {
	in, out *wire
	lent    [][]byte
	staged  [][]byte
	room    []byte
}

// Recv implements Port.
func (p *PipeEnd) Recv() [][]byte {
	w := p.in
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free = append(w.free, p.lent...)
	p.lent = append(p.lent[:0], w.packets...)
	w.packets = w.packets[:0]
	return p.lent
}

// Room implements Port.
func (p *PipeEnd) Room() []byte {
	if len(p.staged) >= p.out.capacity {
		return nil
	}
	if p.room == nil {
		p.room = p.out.take()
	}
	return p.room
}

// Commit implements Port.
func (p *PipeEnd) Commit(n int) {
	p.staged = append(p.staged, p.room[:n])
	p.room = nil
}

// Flush implements Port.
func (p *PipeEnd) Flush() {
	if len(p.staged) == 0 {
		return
	}
	w := p.out
	w.mu.Lock()
	for _, packet := range p.staged {
		if len(w.packets) < w.capacity {
			w.packets = append(w.packets, packet)
		} else {
			w.lost++
			w.free = append(w.free, packet)
		}
	}
	arrived := w.arrived
	w.mu.Unlock()
	p.staged = p.staged[:0]
	if arrived != nil {
		arrived()
	}
}

// Close implements Port.
func (p *PipeEnd) Close() error { return nil }

// Notify has f called after each Flush of the other end, on its goroutine.
func (p *PipeEnd) Notify(f func()) {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	p.in.arrived = f
}

// Lost counts the packets that this end sent and that did not fit.
func (p *PipeEnd) Lost() uint64 {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.lost
}

func (w *wire) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.free); n > 0 {
		b := w.free[n-1][:pipeRoom]
		w.free = w.free[:n-1]
		return b
	}
	return make([]byte, pipeRoom)
}

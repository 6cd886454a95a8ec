package dataplane

import "sync"

const pipeRoom = 4096 // the size of an AF_XDP chunk, so that both refuse the same

// Pipe returns both ends of a cable that exists in memory only. What one end
// flushes, the other receives. It behaves like the real thing: each direction
// holds at most capacity packets and loses what does not fit.
func Pipe(capacity int) (a, b *PipeEnd) {
	ab, ba := &wire{capacity: capacity}, &wire{capacity: capacity}
	return &PipeEnd{in: ba, out: ab}, &PipeEnd{in: ab, out: ba}
}

// wire is one direction of a pipe.
type wire struct {
	mu       sync.Mutex
	capacity int
	packets  []parcel
	free     [][]byte
	lost     uint64
	arrived  func()
}

// parcel is a packet and the room that it lies in.
type parcel struct{ frame, room []byte }

// PipeEnd is one end of a Pipe. It is a Port; each end belongs to one goroutine.
type PipeEnd struct {
	in, out *wire
	lent    []parcel // of the last Recv, which the next one gives back
	frames  [][]byte // what Recv returns
	rooms   [][]byte // given since the last Flush; nil when committed
	next    int      // where in rooms the next Commit most likely is
	staged  []parcel
}

// Recv implements Port.
func (p *PipeEnd) Recv() [][]byte {
	w := p.in
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range p.lent {
		w.free = append(w.free, l.room)
	}
	p.lent = append(p.lent[:0], w.packets...)
	w.packets = w.packets[:0]
	p.frames = p.frames[:0]
	for _, l := range p.lent {
		p.frames = append(p.frames, l.frame)
	}
	return p.frames
}

// Room implements Port.
func (p *PipeEnd) Room() []byte {
	if len(p.rooms) >= p.out.capacity {
		return nil
	}
	room := p.out.take()
	p.rooms = append(p.rooms, room)
	return room
}

// Commit implements Port.
func (p *PipeEnd) Commit(frame []byte) {
	// A part of a room that was not cut in capacity ends where its room ends.
	end := &frame[:cap(frame)][cap(frame)-1]
	for range p.rooms {
		if p.next == len(p.rooms) {
			p.next = 0
		}
		room := p.rooms[p.next]
		if room != nil && end == &room[pipeRoom-1] {
			p.staged = append(p.staged, parcel{frame, room})
			p.rooms[p.next] = nil
			p.next++
			return
		}
		p.next++
	}
	panic("dataplane: what is committed lies in no room of this port")
}

// Flush implements Port.
func (p *PipeEnd) Flush() {
	w := p.out
	w.mu.Lock()
	for _, room := range p.rooms {
		if room != nil {
			w.free = append(w.free, room)
		}
	}
	for _, s := range p.staged {
		if len(w.packets) < w.capacity {
			w.packets = append(w.packets, s)
		} else {
			w.lost++
			w.free = append(w.free, s.room)
		}
	}
	arrived := w.arrived
	w.mu.Unlock()
	sent := len(p.staged) > 0
	p.rooms, p.next, p.staged = p.rooms[:0], 0, p.staged[:0]
	if sent && arrived != nil {
		arrived()
	}
}

// Close implements Port.
func (p *PipeEnd) Close() error { return nil }

// Notify has f called after each Flush of the other end that sent something, on
// its goroutine.
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
		b := w.free[n-1]
		w.free = w.free[:n-1]
		return b
	}
	return make([]byte, pipeRoom)
}

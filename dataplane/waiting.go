package dataplane

import (
	"time"
)

const (
	waitingMost    = 64 // packets of one worker
	waitingPerHost = 8
	waitingTime    = 2 * time.Second
	waitingRoom    = 1 << 16 // any IP packet; pages never used cost no memory
)

// waiting holds packets for inside neighbours that the kernel is asked to find.
// It is small on purpose: a peer that scans its routes must not fill memory.
type waiting struct {
	packets []waitingPacket
	rooms   [][]byte // free memory, one room for each packet that is not in use
}

type waitingPacket struct {
	p     packet
	since time.Time
}

func newWaiting() waiting {
	w := waiting{packets: make([]waitingPacket, 0, waitingMost), rooms: make([][]byte, waitingMost)}
	memory := make([]byte, waitingMost*waitingRoom)
	for i := range w.rooms {
		w.rooms[i] = memory[i*waitingRoom : (i+1)*waitingRoom : (i+1)*waitingRoom]
	}
	return w
}

func (q *waiting) empty() bool { return len(q.packets) == 0 }

// next is how long a worker may sleep with packets waiting; a new next hop wakes
// it earlier.
func (q *waiting) next(now time.Time) time.Duration {
	return max(time.Millisecond, waitingTime-now.Sub(q.packets[0].since))
}

// add keeps a copy of p and asks for its next hop.
func (q *waiting) add(w *Worker, p *packet) Drop {
	same := 0
	for i := range q.packets {
		if q.packets[i].p.destination() == p.destination() {
			same++
		}
	}
	if len(q.rooms) == 0 || same >= waitingPerHost {
		return DropNeighbourQueue
	}
	room := q.rooms[len(q.rooms)-1]
	q.rooms = q.rooms[:len(q.rooms)-1]
	kept := *p
	kept.b = room[:copy(room, p.b)]
	q.packets = append(q.packets, waitingPacket{kept, w.now})
	w.engine.wanted(p.destination().addr())
	return noDrop
}

// retry sends what has a next hop by now and drops what waited too long.
func (q *waiting) retry(w *Worker) {
	if len(q.packets) == 0 {
		return
	}
	kept := q.packets[:0]
	for i := range q.packets {
		one := q.packets[i]
		why := noDrop
		hop := &w.flows.of(one.p.destination()).hop
		switch {
		case hop.Len() > 0:
			why = w.deliver(hop, &one.p, nil)
		case w.now.Sub(one.since) > waitingTime:
			why = DropNeighbour
		default:
			kept = append(kept, one)
			continue
		}
		if why != noDrop {
			w.counts.Dropped[why]++
		}
		q.rooms = append(q.rooms, one.p.b[:waitingRoom:waitingRoom])
	}
	q.packets = kept
}

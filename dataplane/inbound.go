package dataplane

import (
	"encoding/binary"

	"github.com/qzmq/gateway/qzmq/record"
)

// The way in, in the order in which a packet meets it:
//
//  1. inbound: the frames of a batch
//  2. receive: UDP payload, session, stream, window
//  3. open: the tags of the whole burst in one call
//  4. unpack: the inner packets of a record
//  5. admit: source, congestion, TTL, MSS
//  6. deliver: next hop and link-layer header, or a place in the waiting queue

// inbound opens a batch of outside frames and says how many there were.
func (w *Worker) inbound(frames [][]byte) int {
	for _, frame := range frames {
		if why := w.receive(frame); why != noDrop {
			w.counts.Dropped[why]++
		}
	}
	w.open()
	w.release()
	return len(frames)
}

// verdicts translates what an opener says.
var verdicts = [...]Drop{
	record.Opened:     noDrop,
	record.Malformed:  DropNotRecord,
	record.WrongEpoch: DropWrongEpoch,
	record.Replayed:   DropReplayed,
	record.Forged:     DropForged,
	record.Exhausted:  DropOpenExhausted,
}

// receive puts one record in line to be opened into the inside port's room.
func (w *Worker) receive(frame []byte) Drop {
	sealed, ecn, ok := udpPayload(frame)
	if !ok {
		return DropNotRecord
	}
	h, ok := record.ParseHeader(sealed)
	if !ok {
		return DropNotRecord
	}
	s := w.engine.sessions[h.Session%sessionSlots].Load()
	if s == nil || s.id != h.Session || s.link == nil {
		return DropUnknownSession
	}
	if int(h.Stream) >= len(s.openers) || s.openers[h.Stream] == nil {
		return DropUnknownStream
	}
	o := s.openers[h.Stream]
	stray := o.Home() != w.owner()
	if stray || w.opens.Full() {
		w.open()
	}
	room := w.insideRoom(maxLinkHeader + len(sealed) - record.Overhead)
	if room == nil && len(w.arrived) > 0 {
		w.open() // what lies in rooms leaves, and then there may be some
		room = w.insideRoom(maxLinkHeader + len(sealed) - record.Overhead)
	}
	if room == nil {
		return DropInsideFull
	}
	if !w.lease(o) {
		return DropStreamBusy
	}
	// Which header will stand before the inner packet is not known before it is
	// opened. There is room for the longest.
	v := w.opens.Add(o, room[maxLinkHeader:], sealed)
	if v == record.Opened {
		w.arrived = append(w.arrived, arrival{s.link, room, ecn})
	}
	if stray {
		// By itself, and if it is not authentic the stream is let go at once:
		// what strangers send to another queue must not keep the stream from
		// the queue that it arrives at.
		w.open()
		// One that the worker had before moved away meanwhile, and is kept until
		// the end of the batch like any other.
		if last := len(w.leased) - 1; w.leased[last] == o && o.Home() != w.owner() {
			o.Release()
			w.leased = w.leased[:last]
		}
	}
	return verdicts[v]
}

// open verifies the records that are in line and sends on what they hold. Until
// a tag was found right nothing has changed anywhere but counters.
func (w *Worker) open() {
	w.opens.Open()
	for i := range w.arrived {
		a := &w.arrived[i]
		payload, verdict := w.opens.Result(i)
		why := verdicts[verdict]
		if verdict == record.Opened {
			w.counts.In.Records++
			w.counts.In.Bytes += uint64(len(payload))
			why = w.unpack(a, payload)
		}
		if why != noDrop {
			w.counts.Dropped[why]++
		}
	}
	w.arrived = w.arrived[:0]
	w.opens.Reset()
}

// leaseTries is how often a worker looks whether another one is done with a
// stream, and homeTries how often where the stream is at home: there the other
// one has it for a single record, forged most likely, and this is longer than
// the largest takes.
const leaseTries, homeTries = 64, 1 << 14

// lease makes the worker the opener's owner until the end of the batch.
func (w *Worker) lease(o *record.Opener) bool {
	if o.OwnedBy(w.owner()) {
		return true
	}
	for i := 0; i < leaseTries || i < homeTries && o.Home() == w.owner(); i++ {
		if o.Acquire(w.owner()) {
			w.leased = append(w.leased, o)
			return true
		}
	}
	return false
}

func (w *Worker) owner() uint32 { return uint32(w.index) + 1 }

// release gives back all leases.
func (w *Worker) release() {
	for i, o := range w.leased {
		o.Release()
		w.leased[i] = nil
	}
	w.leased = w.leased[:0]
}

// udpPayload finds the UDP payload of an outside frame and the outer ECN bits.
// The steering program has checked addresses and port; lengths are checked
// again, since this is where memory is at stake.
func udpPayload(frame []byte) (payload []byte, ecn byte, ok bool) {
	n, _, ok := linkHeaderLen(frame)
	var p packet
	if !ok || !p.parse(frame[n:]) {
		return nil, 0, false
	}
	protocol, at, ok := p.transport()
	if !ok || protocol != protocolUDP || len(p.b) < at+udpLen {
		return nil, 0, false
	}
	length := int(binary.BigEndian.Uint16(p.b[at+4:]))
	if length < udpLen || at+length > len(p.b) {
		return nil, 0, false
	}
	return p.b[at+udpLen : at+length], p.ecn(), true
}

// unpack delivers the inner packets of a record: back to back, zeros after the
// last.
func (w *Worker) unpack(a *arrival, payload []byte) Drop {
	p := &w.inner
	for first := true; len(payload) > 0; first = false {
		if payload[0] == 0 {
			return padding(payload)
		}
		if !p.parse(payload) {
			return DropBadPayload
		}
		room := a.room // which the first packet leaves in
		if !first {
			room = nil
			w.counts.SharedIn++
		}
		payload = payload[len(p.b):]
		if why := w.admit(a, p, room); why != noDrop {
			w.counts.Dropped[why]++
		}
	}
	return noDrop
}

func padding(b []byte) Drop {
	for _, v := range b {
		if v != 0 {
			return DropBadPayload
		}
	}
	return noDrop
}

// admit checks what the peer may send and does what a router does. The packet
// lies in room behind maxLinkHeader bytes, or elsewhere if room is nil.
func (w *Worker) admit(a *arrival, p *packet, room []byte) Drop {
	if w.flows.of(p.source()).link != a.link {
		return DropBadSource
	}
	switch inner := p.ecn(); { // RFC 6040 section 4.2
	case a.ecn == ecnCongestion && inner == ecnNotCapable:
		return DropCongested
	case a.ecn == ecnCongestion && inner != ecnCongestion, a.ecn == ecnCapable1 && inner == ecnCapable0:
		p.setECN(a.ecn)
	}
	path := a.link.path.Load()
	if !p.decrementTTL() {
		if path != nil {
			w.answerPeer(path, p)
		}
		return DropTTLExpired
	}
	if path != nil {
		p.clampMSS(path.mtu)
	}
	hop := &w.flows.of(p.destination()).hop
	if hop.Len() == 0 {
		return w.waiting.add(w, p)
	}
	return w.deliver(hop, p, room)
}

// deliver puts an inner packet behind its link-layer header and sends it: from
// where it lies behind maxLinkHeader bytes of room, or, if room is nil, from
// another room.
func (w *Worker) deliver(hop *Hop, p *packet, room []byte) Drop {
	if room == nil {
		if room = w.insideRoom(maxLinkHeader + len(p.b)); room == nil {
			return DropInsideFull
		}
		copy(room[maxLinkHeader:], p.b)
	}
	frame := room[maxLinkHeader-hop.Len():][:hop.Len()+len(p.b)]
	hop.put(frame, p.etherType())
	w.queue.Inside.Commit(frame)
	return noDrop
}

// answerPeer tells a sender behind the peer that its packet's hops are used up.
func (w *Worker) answerPeer(path *path, p *packet) {
	if !w.answers.take(w.now, icmpPerSecond, icmpBurst) {
		return
	}
	b := w.take(errorRoom)
	if b == nil {
		return
	}
	var e packet
	if n := putICMP(b, p, w.routerFor(p), icmpTimeExceeded, 0); n > 0 && e.parse(b[:n]) {
		if w.send(&path.lanes[w.index], path.mtu, &e) == noDrop {
			w.counts.Answered++
		}
	}
}

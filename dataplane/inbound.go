package dataplane

import (
	"encoding/binary"

	"github.com/qzmq/gateway/qzmq/record"
)

// The way in, in the order in which a packet meets it:
//
//  1. inbound: the frames of a batch
//  2. open: UDP payload, session, stream, window and tag
//  3. unpack: the inner packets of a record
//  4. admit: source, congestion, TTL, MSS
//  5. deliver: next hop and link-layer header, or a place in the waiting queue

// inbound opens a batch of outside frames and says how many there were.
func (w *Worker) inbound(frames [][]byte) int {
	for _, frame := range frames {
		if why := w.open(frame); why != noDrop {
			w.counts.Dropped[why]++
		}
	}
	w.release(0)
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

// open verifies one record into the inside port's room. Until the tag was found
// right nothing has changed anywhere but counters.
func (w *Worker) open(frame []byte) Drop {
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
	// The header that will stand before the inner packet is not known before it
	// is opened; it is nearly always as long as the last one.
	size := len(sealed) - record.Overhead
	room := w.insideRoom(maxLinkHeader + size)
	if room == nil {
		return DropInsideFull
	}
	opener, held := s.openers[h.Stream], len(w.leased)
	if !w.lease(opener) {
		return DropStreamBusy
	}
	n, verdict := opener.Open(room[w.hopLen:w.hopLen+size], sealed)
	if verdict != record.Opened {
		// Whoever can see a session id can send its streams to the wrong queue.
		// What is not authentic must not keep a stream from its own.
		w.release(held)
		return verdicts[verdict]
	}
	w.counts.In.Records++
	w.counts.In.Bytes += uint64(n)
	return w.unpack(s.link, room[w.hopLen:w.hopLen+n], ecn)
}

// lease makes the worker the opener's owner until the end of the batch.
func (w *Worker) lease(o *record.Opener) bool {
	for _, l := range w.leased {
		if l == o {
			return true
		}
	}
	if !o.Acquire() {
		return false
	}
	w.leased = append(w.leased, o)
	return true
}

// release gives back all leases but the first n.
func (w *Worker) release(n int) {
	for _, o := range w.leased[n:] {
		o.Release()
	}
	clear(w.leased[n:])
	w.leased = w.leased[:n]
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
// last. payload lies in the inside port's room.
func (w *Worker) unpack(link *Link, payload []byte, ecn byte) Drop {
	p := &w.inner
	for len(payload) > 0 {
		if payload[0] == 0 {
			return padding(payload)
		}
		if !p.parse(payload) {
			return DropBadPayload
		}
		w.rest = payload[len(p.b):]
		if why := w.admit(link, p, ecn); why != noDrop {
			w.counts.Dropped[why]++
		}
		payload, w.rest = w.rest, nil
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

// admit checks what the peer may send and does what a router does.
func (w *Worker) admit(link *Link, p *packet, ecn byte) Drop {
	if owner, ok := w.routes.Lookup(p.src); !ok || owner != link {
		return DropBadSource
	}
	switch inner := p.ecn(); { // RFC 6040 section 4.2
	case ecn == ecnCongestion && inner == ecnNotCapable:
		return DropCongested
	case ecn == ecnCongestion && inner != ecnCongestion, ecn == ecnCapable1 && inner == ecnCapable0:
		p.setECN(ecn)
	}
	path := link.path.Load()
	if !p.decrementTTL() {
		if path != nil {
			w.answerPeer(path, p)
		}
		return DropTTLExpired
	}
	if path != nil {
		p.clampMSS(path.mtu)
	}
	if p.dst != w.hopOf { // packets to one host come in trains, and the map costs as much as the rest of admit
		hop, ok := w.hops[p.dst]
		if !ok {
			return w.waiting.add(w, p)
		}
		w.hopOf, w.hop = p.dst, hop
	}
	return w.deliver(&w.hop, p)
}

// deliver puts an inner packet behind its link-layer header and sends it. The
// packet may lie in the very room that it is sent from.
func (w *Worker) deliver(hop *Hop, p *packet) Drop {
	room := w.insideRoom(hop.Len() + len(p.b))
	if room == nil {
		return DropInsideFull
	}
	if grown := hop.Len() - w.hopLen; grown > 0 && len(w.rest) > 0 && &p.b[0] == &room[w.hopLen] {
		// The first packet of a record moves up for a longer header than was
		// expected; what follows it in the record has to move first. open left
		// room for it.
		moved := w.rest[grown : grown+len(w.rest)]
		copy(moved, w.rest)
		w.rest = moved
	}
	copy(room[hop.Len():], p.b) // moves nothing when it is in place already
	hop.put(room, p.etherType())
	w.queue.Inside.Commit(hop.Len() + len(p.b))
	w.hopLen = hop.Len()
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

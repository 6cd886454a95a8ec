package dataplane

import (
	"encoding/binary"

	"github.com/qzmq/gateway/qzmq/record"
)

// The way out, in the order in which a packet meets it:
//
//  1. outbound: the frames of a batch
//  2. protect: IP header, route, MTU, TTL, MSS
//  3. enclose: into a record, alone or beside others of the batch (share.go)
//  4. add: the record in a UDP datagram in a frame, in the outside port's room
//  5. seal: the whole batch in one call, then Flush

// outbound seals a batch of inside frames and says how many there were.
func (w *Worker) outbound(frames [][]byte) int {
	for _, frame := range frames {
		if why := w.protect(frame); why != noDrop {
			w.counts.Dropped[why]++
		}
	}
	return len(frames)
}

// protect sends one inside frame on its way to the peer that its destination
// belongs to. The frame is changed in place.
func (w *Worker) protect(frame []byte) Drop {
	n, etherType, ok := linkHeaderLen(frame)
	if !ok || etherType != etherIPv4 && etherType != etherIPv6 {
		return DropNotIP
	}
	p := &w.packet
	if !p.parse(frame[n:]) || p.etherType() != etherType {
		return DropMalformed
	}
	link := w.flows.of(p.destination()).link
	if link == nil {
		return DropNoRoute
	}
	path := link.path.Load()
	if path == nil {
		return DropNoSession
	}
	if len(p.b) > path.mtu && p.dontFragment() {
		w.answer(frame, n, p, icmpTooBig, path.mtu)
		return DropTooBig
	}
	if !p.decrementTTL() {
		w.answer(frame, n, p, icmpTimeExceeded, 0)
		return DropTTLExpired
	}
	p.clampMSS(path.mtu)
	return w.send(&path.lanes[w.index], path.mtu, p)
}

// send seals p along a lane, in fragments if it must.
func (w *Worker) send(l *lane, mtu int, p *packet) Drop {
	if len(p.b) > mtu {
		return w.fragment(l, mtu, p)
	}
	return w.enclose(l, mtu, p.b, p.ecn())
}

// enclose puts an inner packet into a record of the lane. The packet's bytes
// stay as they are until the batch is sealed.
func (w *Worker) enclose(l *lane, mtu int, inner []byte, ecn byte) Drop {
	if l.n == 0 {
		return DropNoNextHop
	}
	if l.open.packets > 0 {
		if l.takes(inner, mtu, ecn) {
			l.join(inner)
			w.counts.SharedOut++
			return noDrop
		}
		w.close(l)
	}
	room := w.outsideRoom(l.n + record.Overhead + len(inner))
	if room == nil {
		return DropOutsideFull
	}
	if !l.shares || len(inner)+ipv4Len > mtu {
		return w.add(l, room, inner, ecn) // nothing else could follow in it
	}
	l.open = openRecord{room: room, first: inner, n: len(inner), packets: 1, ecn: ecn}
	if !l.listed {
		w.shared, l.listed = append(w.shared, l), true
	}
	return noDrop
}

// close ends the lane's open record.
func (w *Worker) close(l *lane) {
	why := w.add(l, l.open.room, l.payload(), l.open.ecn)
	if why != noDrop {
		w.counts.Dropped[why] += uint64(l.open.packets)
	}
	l.open = openRecord{}
}

// add leaves a record to the burst and commits its frame, which lies at the
// start of room.
func (w *Worker) add(l *lane, room, payload []byte, ecn byte) Drop {
	if w.burst.Full() {
		w.sealBurst()
	}
	n := record.Overhead + len(payload)
	frame := room[:l.n+n]
	if !w.burst.Add(l.sealer, frame[l.n:], payload) {
		return DropKeyExhausted
	}
	l.put(frame, n, ecn)
	if l.sums && !w.queue.OutsideSums {
		w.sums = append(w.sums, unsummed{l, frame})
	}
	w.queue.Outside.Commit(frame)
	w.counts.Out.Records++
	w.counts.Out.Bytes += uint64(len(payload))
	return noDrop
}

// seal closes and seals every record of the batch. Nothing is flushed outside
// before.
func (w *Worker) seal() {
	for i, l := range w.shared {
		if l.listed = false; l.open.packets > 0 {
			w.close(l)
		}
		w.shared[i] = nil
	}
	w.shared = w.shared[:0]
	w.sealBurst()
}

func (w *Worker) sealBurst() {
	w.burst.Seal()
	for i := range w.sums {
		w.sums[i].lane.finishUDP(w.sums[i].frame)
		w.sums[i] = unsummed{}
	}
	w.sums = w.sums[:0]
}

// fragment splits an IPv4 packet as RFC 791 section 3.2 says. Every fragment
// carries all options: more than asked, and harmless.
func (w *Worker) fragment(l *lane, mtu int, p *packet) Drop {
	if p.v6 {
		return DropBelowMinimum // only its sender may split it: RFC 8200 section 5
	}
	header := int(p.b[0]&15) * 4
	step := (mtu - header) &^ 7
	if step < 8 {
		return DropBelowMinimum
	}
	where := binary.BigEndian.Uint16(p.b[6:])
	body := p.b[header:]
	if int(where&fragmentOffsetMask)+len(body)/8 > fragmentOffsetMask {
		return DropMalformed // it ends past 64 KiB, and its offsets would run into the flags
	}
	for at := 0; at < len(body); at += step {
		part := body[at:min(at+step, len(body))]
		b := w.take(header + len(part))
		if b == nil {
			return DropScratchFull
		}
		copy(b, p.b[:header])
		copy(b[header:], part)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		offset := where + uint16(at/8)
		if at+step < len(body) {
			offset |= flagMoreFragments
		}
		binary.BigEndian.PutUint16(b[6:], offset)
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], checksum(addBytes(0, b[:header])))
		if why := w.enclose(l, mtu, b, p.ecn()); why != noDrop {
			return why
		}
	}
	return noDrop
}

// answer tells the inside sender of p, which came in frame behind a link-layer
// header of n bytes, why it goes no further.
func (w *Worker) answer(frame []byte, n int, p *packet, kind icmpError, mtu int) {
	if frame[0]&1 != 0 || !w.answers.take(w.now, icmpPerSecond, icmpBurst) {
		return // never about what was sent to more than one host: RFC 1122 section 3.2.2
	}
	room := w.insideRoom(n + errorRoom)
	if room == nil {
		return
	}
	length := putICMP(room[n:], p, w.routerFor(p), kind, mtu)
	if length == 0 {
		return
	}
	copy(room, frame[6:12]) // back to where it came from, VLAN tags and all
	copy(room[6:], frame[:6])
	copy(room[12:n], frame[12:n])
	w.queue.Inside.Commit(room[:n+length])
	w.counts.Answered++
}

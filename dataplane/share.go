package dataplane

import "github.com/qzmq/gateway/qzmq/record"

// openRecord is a record that still takes packets: those of one batch for one
// link share records as far as they fit, so that acknowledgements and small
// messages cost one tag and one datagram together. It never waits for more: the
// end of the batch closes it. Nothing is copied for a packet that stays alone.
type openRecord struct {
	room    []byte // outside, for the whole frame
	first   []byte // the first packet where it arrived; nil once others follow it in room
	n       int    // bytes of payload
	packets int    // 0: there is no open record
	ecn     byte   // of every packet in it, for one outer header speaks for all (RFC 6040)
}

// takes says whether inner may follow in the lane's open record.
func (l *lane) takes(inner []byte, mtu int, ecn byte) bool {
	n := l.open.n + len(inner)
	return ecn == l.open.ecn && n <= mtu && l.n+record.Overhead+n <= len(l.open.room)
}

// join puts inner behind what is in the open record.
func (l *lane) join(inner []byte) {
	payload := l.open.room[l.n+record.HeaderLen:]
	if l.open.first != nil {
		copy(payload, l.open.first)
		l.open.first = nil
	}
	copy(payload[l.open.n:], inner)
	l.open.n += len(inner)
	l.open.packets++
}

// payload is what is to be sealed: in its place already, or where the only
// packet arrived.
func (l *lane) payload() []byte {
	if l.open.first != nil {
		return l.open.first
	}
	return l.open.room[l.n+record.HeaderLen:][:l.open.n]
}

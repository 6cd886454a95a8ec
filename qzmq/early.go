package qzmq

import (
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// Early data (SPEC.md section 2.5): what waits for a reconnection and is of a safe topic
// travels with its first flight.

// earlyRuns are messages that have been taken out of a pipe to travel early.
type earlyRuns struct {
	data *handshake.EarlyData
	from *queue
	runs []run
}

// takeEarly takes the messages that wait in front, as long as they are of safe topics
// and few enough.
func (d *dialer) takeEarly(t *transport) *earlyRuns {
	e := &earlyRuns{data: t.safe.Early()}
	if d.p == nil {
		return e
	}
	e.from = d.p.out
	all, _ := e.from.take(nil, nil) // more than may be early
	most := handshake.MaxEarlyData
	if t.opts.MaxEarlyData > 0 {
		most = int(t.opts.MaxEarlyData)
	}
	size := 0
	for i, r := range all {
		for rest := r.wire; len(rest) > 0; {
			parts, after := firstMessage(rest)
			n := len(rest) - len(after)
			if size += n; size > most || e.data.Add(parts) != nil {
				left := append([]run{{wire: rest, messages: r.messages, shared: true}}, all[i+1:]...)
				e.from.putBack(left)
				return e
			}
			r.messages--
			e.runs = append(e.runs, run{wire: rest[:n:n], messages: 1, shared: true})
			rest = after
		}
	}
	return e
}

// putBack is for a handshake that has failed: what was said early may have arrived or
// not, and is said again.
func (e *earlyRuns) putBack() {
	if e != nil && len(e.runs) > 0 {
		e.from.putBack(e.runs)
	}
}

// refused puts back what was not taken early by a peer that there is a session with.
func (e *earlyRuns) refused(messages []handshake.EarlyMessage) {
	if e != nil && len(messages) > 0 {
		e.from.putBack(e.runs[len(e.runs)-len(messages):])
	}
}

// firstMessage gives the parts of the message that wire begins with, and what follows.
func firstMessage(wire []byte) (parts handshake.EarlyMessage, after []byte) {
	for more := true; more; {
		h, n, err := zmtp.ParseHeader(wire)
		if err != nil || n == 0 {
			panic("qzmq: a queue has what is no message")
		}
		end := n + int(h.Size)
		parts = append(parts, wire[n:end])
		wire, more = wire[end:], h.Flags&zmtp.More != 0
	}
	return parts, wire
}

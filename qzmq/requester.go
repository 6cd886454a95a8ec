package qzmq

import "encoding/binary"

// requester is REQ, RFC 28: a request goes to one peer, in turn, and then its reply
// comes from that peer. Around the body stand
//
//	[request id]   4 bytes, with the option req_correlate
//	empty          where the envelope ends
//	body ...
//
// With req_relaxed another request may follow before the reply; a reply that comes
// late is not given out.
type requester struct {
	dealer
	waiting bool  // for a reply
	asked   *pipe // who was; nil when he is gone
	id      uint32
	head    [4]byte
	scratch [][]byte
}

func (t *requester) detach(p *pipe) {
	t.dealer.detach(p)
	if t.asked == p {
		t.asked = nil
	}
}

func (t *requester) send(body [][]byte) error {
	set := &t.s.set
	if t.waiting && !set.reqRelaxed {
		return ErrState
	}
	if asked := t.asked; t.waiting && asked != nil && !set.reqCorrelate {
		t.asked = nil
		asked.reset(errReset) // nothing else tells the old reply from the new one
	}
	if !t.out.ready() {
		return errAgain
	}
	parts := t.scratch[:0]
	if set.reqCorrelate {
		t.id++
		binary.BigEndian.PutUint32(t.head[:], t.id)
		parts = append(parts, t.head[:])
	}
	parts = append(append(parts, nil), body...)
	// What was not asked for is not to be taken for the reply.
	for {
		if _, p := t.in.next(nil); p == nil {
			break
		}
	}
	t.asked = t.out.send(parts, frameSize(parts))
	t.waiting = true
	clear(parts)
	t.scratch = parts[:0]
	return nil
}

func (t *requester) recv(parts [][]byte) ([][]byte, *pipe, error) {
	if !t.waiting {
		return parts, nil, ErrState
	}
	start := len(parts)
	for {
		got, p := t.in.next(parts[:start])
		if p == nil {
			return got, nil, errAgain
		}
		if t.asked != nil && p != t.asked {
			continue
		}
		skip := t.envelope(got[start:])
		if skip == 0 {
			continue
		}
		n := copy(got[start:], got[start+skip:])
		t.waiting, t.asked = false, nil
		return got[:start+n], p, nil
	}
}

// envelope says how many parts stand before the body of the reply that is waited for,
// none if it is another one or no reply at all.
func (t *requester) envelope(parts [][]byte) int {
	n := 0
	if t.s.set.reqCorrelate {
		if len(parts[0]) != len(t.head) || binary.BigEndian.Uint32(parts[0]) != t.id {
			return 0
		}
		n++
	}
	if len(parts) < n+2 || len(parts[n]) != 0 {
		return 0
	}
	return n + 1
}

func (t *requester) poll() int {
	ready := 0
	if t.waiting {
		ready = t.in.poll()
	}
	if !t.waiting || t.s.set.reqRelaxed {
		ready |= t.out.poll()
	}
	return ready
}

package qzmq

import "bytes"

// replier is REP, RFC 28: it receives a request, from its peers in turn, and sends
// the reply to whose it was, in the envelope in which the request came: all parts up
// to the first empty one.
type replier struct {
	base
	in       fairQueue
	replying bool
	to       *pipe // nil when he is gone: the reply is dropped
	envelope [][]byte
	scratch  [][]byte
}

func (t *replier) attach(p *pipe) error { t.in.add(p); return nil }
func (t *replier) readable(p *pipe)     { t.in.add(p) }

func (t *replier) detach(p *pipe) { t.disconnected(p) }

func (t *replier) disconnected(p *pipe) {
	if t.to == p {
		t.to = nil
	}
}

func (t *replier) recv(parts [][]byte) ([][]byte, *pipe, error) {
	if t.replying {
		return parts, nil, ErrState
	}
	start := len(parts)
	for {
		got, p := t.in.next(parts[:start])
		if p == nil {
			return got, nil, errAgain
		}
		end := start
		for end < len(got) && len(got[end]) > 0 {
			end++
		}
		if end+1 >= len(got) {
			continue // no end of the envelope, or nothing behind it
		}
		t.envelope = t.envelope[:0]
		for _, part := range got[start : end+1] {
			t.envelope = append(t.envelope, bytes.Clone(part))
		}
		n := copy(got[start:], got[end+1:])
		t.replying, t.to = true, p
		if !p.live {
			t.to = nil // what it said has outlived it
		}
		return got[:start+n], p, nil
	}
}

func (t *replier) send(body [][]byte) error {
	if !t.replying {
		return ErrState
	}
	if t.to != nil {
		parts := append(append(t.scratch[:0], t.envelope...), body...)
		if !t.to.out.push(parts, frameSize(parts)) {
			t.s.metrics.dropped++ // it asks and does not read
		}
		clear(parts)
		t.scratch = parts[:0]
	}
	t.replying, t.to = false, nil
	return nil
}

func (t *replier) poll() int {
	if t.replying {
		return PollOut
	}
	return t.in.poll()
}

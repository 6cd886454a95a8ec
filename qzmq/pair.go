package qzmq

// pair is PAIR, RFC 31: one peer and no other.
type pair struct {
	base
	peer     *pipe // nil while there is none
	readFrom fairQueue
}

func (t *pair) attach(p *pipe) error {
	if t.peer != nil {
		return errOnePeer
	}
	t.peer = p
	t.readFrom.add(p)
	return nil
}

func (t *pair) detach(p *pipe) {
	if t.peer == p {
		t.peer = nil
	}
}

func (t *pair) readable(p *pipe) { t.readFrom.add(p) }

func (t *pair) send(parts [][]byte) error {
	if t.peer == nil || !t.peer.out.push(parts, frameSize(parts)) {
		return errAgain
	}
	return nil
}

func (t *pair) recv(parts [][]byte) ([][]byte, *pipe, error) {
	parts, p := t.readFrom.next(parts)
	if p == nil {
		return parts, nil, errAgain
	}
	return parts, p, nil
}

func (t *pair) poll() int {
	ready := t.readFrom.poll()
	if t.peer != nil && t.peer.out.hasRoom() {
		ready |= PollOut
	}
	return ready
}

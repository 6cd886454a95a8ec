package qzmq

// PUSH and PULL, RFC 30.

// pusher sends each message to one peer, in turn, and waits when none has room.
type pusher struct {
	base
	loadBalancer
}

func (t *pusher) attach(p *pipe) error { t.add(p); return nil }
func (t *pusher) detach(p *pipe)       { t.remove(p) }
func (t *pusher) writable(p *pipe)     { t.add(p) }

func (t *pusher) send(parts [][]byte) error {
	if t.loadBalancer.send(parts, frameSize(parts)) == nil {
		return errAgain
	}
	return nil
}

func (t *pusher) poll() int { return t.loadBalancer.poll() }

// puller receives from its peers in turn.
type puller struct {
	base
	fairQueue
}

func (t *puller) attach(p *pipe) error { t.add(p); return nil }
func (t *puller) readable(p *pipe)     { t.add(p) }

func (t *puller) recv(parts [][]byte) ([][]byte, *pipe, error) {
	parts, p := t.next(parts)
	if p == nil {
		return parts, nil, errAgain
	}
	return parts, p, nil
}

func (t *puller) poll() int { return t.fairQueue.poll() }

package qzmq

// dealer is DEALER, RFC 28: it sends to its peers in turn and receives from them in
// turn, and neither waits for the other.
type dealer struct {
	base
	out loadBalancer
	in  fairQueue
}

func (t *dealer) attach(p *pipe) error {
	t.out.add(p)
	t.in.add(p)
	return nil
}

func (t *dealer) connected(p *pipe) error { t.probe(p); return nil }
func (t *dealer) detach(p *pipe)          { t.out.remove(p) }
func (t *dealer) readable(p *pipe)        { t.in.add(p) }
func (t *dealer) writable(p *pipe)        { t.out.add(p) }

func (t *dealer) send(parts [][]byte) error {
	if t.out.send(parts, frameSize(parts)) == nil {
		return errAgain
	}
	return nil
}

func (t *dealer) recv(parts [][]byte) ([][]byte, *pipe, error) {
	parts, p := t.in.next(parts)
	if p == nil {
		return parts, nil, errAgain
	}
	return parts, p, nil
}

func (t *dealer) poll() int { return t.in.poll() | t.out.poll() }

package qzmq

// pattern is what makes a socket one of its type: a state machine over the socket's
// pipes. It runs under the socket's lock, and waits for nothing: errAgain says that
// there is no room, or no message, now.
type pattern interface {
	// attach takes a pipe, whether a peer is there or not; an error refuses it.
	attach(p *pipe) error
	// detach is its end: nothing can be sent any more, what has come can be received.
	detach(p *pipe)
	// connected says that a peer is there, p.peer; an error refuses it.
	connected(p *pipe) error
	// disconnected says that it is not there any more, and that perhaps another one
	// or the same will be.
	disconnected(p *pipe)
	// readable and writable say that a pipe has messages again, or room.
	readable(p *pipe)
	writable(p *pipe)
	// send takes a message, which stays the caller's.
	send(parts [][]byte) error
	// recv gives the next message, appended to parts, and whose it is.
	recv(parts [][]byte) ([][]byte, *pipe, error)
	// poll says which of both would not wait: PollIn and PollOut.
	poll() int
}

// newPattern makes the state machine of a socket's type.
func newPattern(s *socket) (pattern, error) {
	switch s.kind {
	case PUSH:
		return &pusher{base: base{s}}, nil
	case PULL:
		return &puller{base: base{s}}, nil
	case PAIR:
		return &pair{base: base{s}}, nil
	case DEALER:
		return &dealer{base: base{s}}, nil
	case ROUTER:
		return newRouter(s), nil
	case REQ:
		return &requester{dealer: dealer{base: base{s}}}, nil
	case REP:
		return &replier{base: base{s}}, nil
	case PUB, XPUB:
		return &publisher{base: base{s}}, nil
	case SUB, XSUB:
		return &subscriber{base: base{s}}, nil
	case STREAM:
		return nil, errStream
	}
	return nil, errUnknownType(s.kind)
}

// base is the part of a pattern that most types have in common: nothing happens.
type base struct{ s *socket }

func (base) detach(*pipe)          {}
func (base) connected(*pipe) error { return nil }
func (base) disconnected(*pipe)    {}
func (base) readable(*pipe)        {}
func (base) writable(*pipe)        {}

func (b base) send([][]byte) error {
	return unsupported(b.s.kind, "send")
}

func (b base) recv(parts [][]byte) ([][]byte, *pipe, error) {
	return parts, nil, unsupported(b.s.kind, "receive")
}

// probe greets a ROUTER with an empty message, so that it knows our name before we
// say anything (option probe_router).
func (b base) probe(p *pipe) {
	if b.s.set.probeRouter {
		empty := [][]byte{nil}
		p.out.push(empty, frameSize(empty))
	}
}

package qzmq

import (
	"encoding/binary"
	"fmt"
)

// router is ROUTER, RFC 28: what it receives has in front the name of the peer, its
// routing id, and what it sends goes to the peer that is named in front.
type router struct {
	base
	in    fairQueue
	peers map[string]*pipe // the router table
	next  uint32           // for peers that have not named themselves
}

func newRouter(s *socket) *router { return &router{base: base{s}, peers: map[string]*pipe{}} }

func (t *router) attach(p *pipe) error { t.in.add(p); return nil }
func (t *router) readable(p *pipe)     { t.in.add(p) }

// connected enters the peer into the table. A name that is in use stays with who has
// it, or a peer could take the messages of another; with router_handover it goes to
// who comes last.
func (t *router) connected(p *pipe) error {
	id := p.peer.RoutingID
	if p.id != nil && p.peer.assigned {
		id = p.id // as before, when it comes again
	}
	if len(id) == 0 {
		t.next++
		id = binary.BigEndian.AppendUint32([]byte{0}, t.next)
		p.peer.assigned = true
	}
	if other := t.peers[string(id)]; other != nil && other != p {
		if !t.s.set.routerHandover {
			return fmt.Errorf("%w: %q", errDuplicateID, id)
		}
		other.reset(errReset)
	}
	p.id = id
	t.peers[string(id)] = p
	t.probe(p)
	return nil
}

func (t *router) detach(p *pipe) { t.disconnected(p) }

func (t *router) disconnected(p *pipe) {
	if t.peers[string(p.id)] == p {
		delete(t.peers, string(p.id))
	}
}

func (t *router) recv(parts [][]byte) ([][]byte, *pipe, error) {
	start := len(parts)
	got, p := t.in.next(append(parts, nil))
	if p == nil {
		return parts, nil, errAgain
	}
	got[start] = p.name()
	return got, p, nil
}

// send drops what is for nobody, or for somebody who has no room; with
// router_mandatory that is an error, or waits.
func (t *router) send(parts [][]byte) error {
	p := t.peers[string(parts[0])]
	body := parts[1:]
	switch {
	case p == nil && t.s.set.routerMandatory:
		return fmt.Errorf("%w: no peer has the routing id %q", ErrHostUnreachable, parts[0])
	case p == nil || len(body) == 0:
		t.s.metrics.dropped++
	case p.out.push(body, frameSize(body)):
	case t.s.set.routerMandatory:
		return errAgain
	default:
		t.s.metrics.dropped++
	}
	return nil
}

// poll says that sending never waits: it depends on to whom.
func (t *router) poll() int { return t.in.poll() | PollOut }

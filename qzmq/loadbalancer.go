package qzmq

import "slices"

// loadBalancer gives messages to pipes in turn, and passes those over that have no
// room (RFC 28, 30: "round-robin").
type loadBalancer struct {
	pipes []*pipe // that may have room
	turn  int
}

// add takes a pipe into the round: it may have room.
func (b *loadBalancer) add(p *pipe) {
	if !p.sending {
		p.sending = true
		b.pipes = append(b.pipes, p)
	}
}

// remove takes a pipe out for good.
func (b *loadBalancer) remove(p *pipe) {
	if i := slices.Index(b.pipes, p); i >= 0 {
		b.out(i)
	}
}

func (b *loadBalancer) out(i int) {
	b.pipes[i].sending = false
	b.pipes = slices.Delete(b.pipes, i, i+1)
	if i < b.turn {
		b.turn--
	}
}

// send gives the message to the next pipe with room and says which, nil when there is
// none.
func (b *loadBalancer) send(parts [][]byte, size int) *pipe {
	for len(b.pipes) > 0 {
		if b.turn >= len(b.pipes) {
			b.turn = 0
		}
		p := b.pipes[b.turn]
		if p.out.push(parts, size) {
			b.turn++
			return p
		}
		b.out(b.turn)
	}
	return nil
}

// poll says whether there is room.
func (b *loadBalancer) poll() int {
	if b.ready() {
		return PollOut
	}
	return 0
}

// ready says whether there is a pipe with room.
func (b *loadBalancer) ready() bool {
	for len(b.pipes) > 0 {
		if b.turn >= len(b.pipes) {
			b.turn = 0
		}
		if b.pipes[b.turn].out.hasRoom() {
			return true
		}
		b.out(b.turn)
	}
	return false
}

package qzmq

import "slices"

// fairQueue takes messages from pipes in turn, one from each, so that none has to
// wait for those who say more (RFC 28 to 31: "fair-queuing").
type fairQueue struct {
	pipes []*pipe // that may have a message
	turn  int
}

// add takes a pipe into the round: it may have a message.
func (f *fairQueue) add(p *pipe) {
	if !p.receiving {
		p.receiving = true
		f.pipes = append(f.pipes, p)
	}
}

// next gives the next message and whose it is, nil when there is none.
func (f *fairQueue) next(parts [][]byte) ([][]byte, *pipe) {
	for len(f.pipes) > 0 {
		if f.turn >= len(f.pipes) {
			f.turn = 0
		}
		p := f.pipes[f.turn]
		got, ok := p.next(parts)
		if ok {
			f.turn++
			return got, p
		}
		f.drop()
	}
	return parts, nil
}

// drop takes the pipe whose turn it is out of the round.
func (f *fairQueue) drop() {
	f.pipes[f.turn].receiving = false
	f.pipes = slices.Delete(f.pipes, f.turn, f.turn+1)
}

// poll says whether a message is there.
func (f *fairQueue) poll() int {
	for len(f.pipes) > 0 {
		if f.turn >= len(f.pipes) {
			f.turn = 0
		}
		if p := f.pipes[f.turn]; len(p.rest) > 0 || p.refill() {
			return PollIn
		}
		f.drop()
	}
	return 0
}

package main

import (
	"math/rand/v2"
	"time"
)

// kind is what the proxy does to a connection.
type kind int

const (
	cut       kind = iota // both sides are reset
	end                   // one direction ends as if its sender had closed it
	stall                 // nothing passes for a while
	slow                  // every piece is late for a while
	corrupt               // bits are flipped
	truncate              // bytes are left out
	duplicate             // bytes are repeated
	swap                  // bytes change places
	inject                // bytes are put in
	refuse                // a connection is closed as soon as it is there
	silent                // a connection is taken and nothing is passed on
	impostor              // somebody else is at the other end
	kinds
)

var kindNames = [kinds]string{"cut", "ended", "stalled", "slowed", "corrupted", "truncated", "duplicated", "swapped", "injected", "refused", "silent", "impostor"}

// fault is something that happens to one direction when so many bytes have passed.
type fault struct {
	at     int64
	kind   kind
	length int           // of bytes, where it is about bytes
	lasts  time.Duration // where it is about time
	random uint64        // for what else there is to choose
}

// fate is everything that happens to a connection. It depends on the seed, the proxy
// and the number of the connection alone, so that a seed brings back the same faults;
// which of them a connection lives to see depends on the clocks of both sides.
type fate struct {
	opening    kind // refuse, silent or impostor, or kinds for none
	directions [2][]fault
}

// Odds, in a thousand, of what happens as a connection opens.
const (
	refused   = 60
	silenced  = 30
	pretended = 60
)

// A direction has this many faults at most, the first in the handshake or soon after,
// the others when a few hundred kilobytes have passed.
const (
	faultsEach    = 6
	handshakeSize = 6 << 10
	usualDistance = 200 << 10
)

func fateOf(seed uint64, proxy, connection int) fate {
	r := rand.New(rand.NewPCG(seed, uint64(proxy)<<32|uint64(connection)))
	f := fate{opening: kinds}
	switch odds := r.IntN(1000); {
	case odds < refused:
		f.opening = refuse
	case odds < refused+silenced:
		f.opening = silent
	case odds < refused+silenced+pretended:
		f.opening = impostor
	}
	for d := range f.directions {
		at := int64(0)
		for i := range faultsEach {
			if i == 0 && r.IntN(4) == 0 {
				at += int64(r.IntN(handshakeSize))
			} else {
				at += handshakeSize + int64(r.ExpFloat64()*usualDistance)
			}
			f.directions[d] = append(f.directions[d], fault{
				at: at, kind: kind(r.IntN(int(inject) + 1)), length: 1 + r.IntN(64),
				lasts: time.Duration(50+r.IntN(1500)) * time.Millisecond, random: r.Uint64(),
			})
		}
	}
	return f
}

// spoil gives the piece as the other side gets it. Faults of time and of whole
// connections leave it as it is.
func (f fault) spoil(piece []byte) []byte {
	r := rand.New(rand.NewPCG(f.random, 0))
	at := r.IntN(len(piece))
	n := min(f.length, len(piece)-at)
	switch f.kind {
	case corrupt:
		for range 1 + f.length/8 {
			piece[r.IntN(len(piece))] ^= 1 << r.IntN(8)
		}
	case truncate:
		return append(piece[:at:at], piece[at+n:]...)
	case duplicate:
		return append(piece[:at+n:at+n], piece[at:]...)
	case swap:
		half := n / 2
		spoilt := append([]byte(nil), piece...)
		copy(spoilt[at:], piece[at+half:at+2*half])
		copy(spoilt[at+half:], piece[at:at+half])
		return spoilt
	case inject:
		junk := make([]byte, f.length)
		for i := range junk {
			junk[i] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 { // a plain frame with a message
			junk = plainMessage(author{f.random}.write(evil, 1))
		}
		return append(append(piece[:at:at], junk...), piece[at:]...)
	}
	return piece
}

package qzmq

import "github.com/qzmq/gateway/qzmq/zmtp"

// pipe is a peer of a socket: a queue each way. For Connect it is there before the
// peer is, and stays when the connection is lost; for Bind it comes and goes with a
// connection. What is not said to be otherwise belongs to the socket's lock.
type pipe struct {
	owner    *socket
	in, out  *queue
	endpoint string
	peer     *Peer // who is at the other end; nil while nobody is
	kind     SocketType
	id       []byte // by which a ROUTER knows it
	shown    []byte // id, as the application has it
	live     bool   // a peer is there
	inproc   *pipe  // the other end, in the same process
	called   bool   // inproc: we have connected

	// Of what was taken from in:
	runs  []run
	at    int    // the run of which rest is left
	rest  []byte // messages not given out yet
	whose *Peer  // who has sent them, who may have gone since
	done  int    // messages given out and not acknowledged
	bytes int    // of their frames
	least int    // so many are acknowledged together

	receiving, sending bool // it is among those that may have a message, have room
	conn               *connection

	topics    map[string]struct{} // subscriptions of the peer: publisher.go
	asked     map[string]struct{} // and those that it has asked for under xpub_manual
	topicSize int                 // of both, as qzmq.subbytes counts
	matches   bool                // the message that is being sent: publisher.go
	mail      event               // guarded by the mailbox
}

// next gives the parts of the next message, appended to parts; they are slices of a
// chunk that other messages stand in as well. It is false when there is none, and the
// socket is told as soon as there is.
func (p *pipe) next(parts [][]byte) (_ [][]byte, ok bool) {
	if len(p.rest) == 0 && !p.refill() {
		return parts, false
	}
	before := len(p.rest)
	for more := true; more; {
		head, size := 2, 0
		if b := p.rest[0]; b <= byte(zmtp.More) {
			size = int(p.rest[1])
			more = b == byte(zmtp.More)
		} else {
			h, n, err := zmtp.ParseHeader(p.rest)
			if err != nil || n == 0 {
				panic("qzmq: a message that was checked has no frame")
			}
			head, size, more = n, int(h.Size), h.Flags&zmtp.More != 0
		}
		parts = append(parts, p.rest[head:head+size:head+size])
		p.rest = p.rest[head+size:]
	}
	p.done++
	p.bytes += before - len(p.rest)
	if p.done >= p.least {
		p.acknowledge()
	}
	return parts, true
}

func (p *pipe) refill() bool {
	if p.at < len(p.runs) {
		p.runs[p.at] = run{} // its memory is the application's alone
		p.at++
	}
	if p.at >= len(p.runs) {
		p.acknowledge()
		p.runs = p.in.takeAll(p.runs[:0])
		p.at = 0
		if len(p.runs) == 0 {
			return false
		}
	}
	p.rest, p.whose = p.runs[p.at].wire, p.runs[p.at].from
	if p.whose == nil {
		p.whose = p.peer
	}
	p.shown = nil
	return true
}

// name gives the routing id in memory that is the application's, as the messages are
// that came with it.
func (p *pipe) name() []byte {
	if p.shown == nil {
		p.shown = append([]byte(nil), p.id...)
	}
	return p.shown[:len(p.shown):len(p.shown)]
}

func (p *pipe) acknowledge() {
	if p.done > 0 {
		p.in.acknowledge(p.done, p.bytes)
		p.done, p.bytes = 0, 0
	}
}

// readEnd and writeEnd are what wakes the socket.
type readEnd struct{ *pipe }

func (e readEnd) wake() { e.owner.mail.post(e.pipe, readable) }

type writeEnd struct{ *pipe }

func (e writeEnd) wake() { e.owner.mail.post(e.pipe, writable) }

// frameSize is the length of a message's frames.
func frameSize(parts [][]byte) (size int) {
	for _, p := range parts {
		size += len(p) + 2
		if len(p) > 255 {
			size += 7
		}
	}
	return size
}

package main

import (
	"errors"
	"net/netip"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// pair is two gateways that know each other, ready for any number of handshakes.
type pair struct {
	initiator handshake.Config
	responder handshake.Config
	door      *handshake.Door
	from      netip.Addr
	greetings [2][64]byte // any: the machines only hash them
}

// newPair makes identities of the suite's algorithm for both sides.
func newPair(suite handshake.Suite) (*pair, error) {
	first, err := handshake.GenerateIdentityFor(suite.Sig)
	if err != nil {
		return nil, err
	}
	second, err := handshake.GenerateIdentityFor(suite.Sig)
	if err != nil {
		return nil, err
	}
	return pairOf(suite, first, second)
}

func pairOf(suite handshake.Suite, first, second *handshake.Identity) (*pair, error) {
	mode := handshake.ModeClassical // admits everything, so that every suite can be measured
	p := &pair{from: netip.MustParseAddr("192.0.2.1")}
	p.initiator = handshake.Config{
		Identity: first, Suites: []handshake.Suite{suite}, Mode: mode,
		Purpose: handshake.PurposeLink, Peer: second.Fingerprint(),
	}
	known := first.Fingerprint()
	p.responder = handshake.Config{
		Identity: second, Suites: []handshake.Suite{suite}, Mode: mode, Purpose: handshake.PurposeLink,
		Authorize: func(f handshake.Fingerprint) bool { return f == known },
	}
	var err error
	p.door, err = handshake.NewDoor(p.responder)
	return p, err
}

// exchange is a finished handshake: its messages and both sessions.
type exchange struct {
	hello, answer, key, last []byte // ClientHello, ServerHello, ClientKey, Finished
	sessions                 [sides]*handshake.Session
}

func (x *exchange) wireLen() int { return len(x.hello) + len(x.answer) + len(x.key) + len(x.last) }

func (x *exchange) close() {
	for _, s := range x.sessions {
		s.Close()
	}
}

var errUnfinished = errors.New("a handshake ended without a session")

// handshake is one from the first line to the last of both sides: an initiator
// makes its machine from a config, a responder from its door, as listeners do.
func (p *pair) handshake(w *stopwatch) (x exchange, err error) {
	w.start()
	i, err := handshake.NewInitiator(p.initiator)
	if err != nil {
		return x, err
	}
	if x.hello, err = i.Start(p.greetings[initiator]); err != nil {
		return x, err
	}
	i.PeerGreeting(p.greetings[responder])
	w.lap(initiator)

	r := p.door.Responder(p.from, time.Time{})
	r.Greetings(p.greetings[initiator], p.greetings[responder])
	if x.answer, _, err = r.Handle(x.hello); err != nil {
		return x, err
	}
	w.lap(responder)
	if x.key, _, err = i.Handle(x.answer); err != nil {
		return x, err
	}
	w.lap(initiator)
	if x.last, x.sessions[responder], err = r.Handle(x.key); err != nil {
		return x, err
	}
	w.lap(responder)
	if _, x.sessions[initiator], err = i.Handle(x.last); err != nil {
		return x, err
	}
	w.lap(initiator)
	if x.sessions[initiator] == nil || x.sessions[responder] == nil {
		return x, errUnfinished
	}
	return x, nil
}

package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/qzmq/gateway/qzmq"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// attackers are around every socket that binds. They know its fingerprint, and have
// everything but a key that is let in:
//
//   - a socket with a wrong key calls all the time, with messages ready to be sent, and
//     subscribes to everything;
//   - a program calls that speaks plain ZMTP and does not wait for answers;
//   - proxies lead some who want to connect to a socket with a wrong key that lets
//     everybody in, or to a program that speaks plain ZMTP.
//
// Nobody may hear them, and they may hear nothing.
type attackers struct {
	sockets   []*party
	listeners []net.Listener
	pretend   map[*party][]string // who is there instead of a party
	all       sync.WaitGroup
	over      context.Context
	stop      context.CancelFunc
}

// partner is the kind of socket that talks to a kind.
var partner = map[qzmq.SocketType]qzmq.SocketType{
	qzmq.PULL: qzmq.PUSH, qzmq.PUSH: qzmq.PULL, qzmq.ROUTER: qzmq.DEALER, qzmq.REP: qzmq.REQ,
	qzmq.PUB: qzmq.SUB, qzmq.SUB: qzmq.PUB, qzmq.XPUB: qzmq.XSUB, qzmq.PAIR: qzmq.PAIR,
}

// surround puts attackers around a party that has bound.
func (a *attackers) surround(w *world, kind qzmq.SocketType, p *party) error {
	if a.pretend == nil {
		a.pretend = map[*party][]string{}
		a.over, a.stop = context.WithCancel(context.Background())
	}
	caller, err := a.socket(w, partner[kind], p.self)
	if err == nil {
		err = caller.Connect(p.endpoint)
	}
	if err != nil {
		return err
	}
	double, err := a.socket(w, kind, p.self)
	if err == nil {
		double.endpoint, err = double.listen()
	}
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.listeners = append(a.listeners, plain)
	a.pretend[p] = []string{double.endpoint[len("tcp://"):], plain.Addr().String()}
	a.all.Go(func() { a.pretendPlain(w, plain, kind) })
	a.all.Go(func() { a.callPlain(w, p.endpoint[len("tcp://"):], partner[kind]) })
	return nil
}

func (a *attackers) impostors(p *party) []string { return a.pretend[p] }

// socket makes one that says evil things to whoever lets it, and listens.
func (a *attackers) socket(w *world, kind qzmq.SocketType, peer qzmq.Fingerprint) (*party, error) {
	o, err := w.options(false)
	if err != nil {
		return nil, err
	}
	o.Peer = peer
	p, err := w.open(kind, "attacking "+kind.String(), o, map[string]any{"reconnect_ivl": 4 * reconnect, "sndtimeo": 0})
	if err != nil {
		return nil, err
	}
	a.sockets = append(a.sockets, p)
	if kind == qzmq.SUB || kind == qzmq.XSUB {
		err = p.Subscribe("")
	}
	a.all.Go(func() {
		for seq := uint64(1); a.over.Err() == nil; seq++ {
			p.SendMultipart(w.write(evil, seq)) // there is no room, or nobody, as a rule
			a.sleep(20 * time.Millisecond)
		}
	})
	a.all.Go(func() {
		for a.over.Err() == nil {
			m, err := p.RecvMessage(a.over)
			switch {
			case err == nil:
				w.verdict.against(p.name, "hears a message of %d parts from %s", len(m.Parts), m.Peer.Address)
			case errors.Is(err, qzmq.ErrClosed), errors.Is(err, qzmq.ErrNotSupported):
				return
			case err != nil:
				a.sleep(20 * time.Millisecond) // a REQ that has not asked, for instance
			}
		}
	})
	return p, err
}

// callPlain calls all the time, as a plain ZMTP program that says everything at once.
func (a *attackers) callPlain(w *world, address string, kind qzmq.SocketType) {
	for a.over.Err() == nil {
		if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			a.speakPlain(w, c, kind)
		}
		a.sleep(100 * time.Millisecond)
	}
}

// pretendPlain is at the other end for who is led there.
func (a *attackers) pretendPlain(w *world, l net.Listener, kind qzmq.SocketType) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		a.all.Go(func() { a.speakPlain(w, c, kind) })
	}
}

func (a *attackers) speakPlain(w *world, c net.Conn, kind qzmq.SocketType) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	greeting := zmtp.NewGreeting("NULL", false)
	ready := zmtp.Metadata{{Name: "Socket-Type", Value: []byte(kind.String())}}.Append(nil)
	all := zmtp.AppendCommand(greeting[:], "READY", ready)
	for seq := range uint64(3) {
		all = append(all, plainMessage(w.write(evil, seq))...)
	}
	c.Write(all)
	var answer [4 << 10]byte
	for {
		if _, err := c.Read(answer[:]); err != nil {
			return
		}
	}
}

// plainMessage is a message as it is on the wire when nothing protects it.
func plainMessage(parts [][]byte) (wire []byte) {
	for i, part := range parts {
		flags := zmtp.More
		if i == len(parts)-1 {
			flags = 0
		}
		wire = append(zmtp.AppendHeader(wire, flags, len(part)), part...)
	}
	return wire
}

func (a *attackers) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-a.over.Done():
	}
}

func (a *attackers) close() {
	if a.stop == nil {
		return
	}
	a.stop()
	for _, l := range a.listeners {
		l.Close()
	}
	var all sync.WaitGroup
	for _, p := range a.sockets {
		all.Go(func() { p.transport.Close() })
	}
	all.Wait()
	a.all.Wait()
}

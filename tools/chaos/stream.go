package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// stream is a sender, whose messages go to one flow or, of a publisher, to several. It
// belongs to who holds the world's going, and to its own goroutine.
type stream struct {
	flows []*flow // all of one flowID
	seq   uint64
	send  func(seq uint64) error
}

// one sends the next message and says whether it was taken.
func (w *world) one(s *stream) bool {
	seq := s.seq + 1
	for _, f := range s.flows {
		f.offer(seq)
	}
	err := s.send(seq)
	switch {
	case err == nil:
		s.seq = seq
		for _, f := range s.flows {
			f.accept(seq)
		}
		return true
	case errors.Is(err, qzmq.ErrAgain), errors.Is(err, qzmq.ErrHostUnreachable), errors.Is(err, qzmq.ErrClosed), w.ctx.Err() != nil:
	default:
		w.verdict.against(s.flows[0].name, "Send: %v", err)
	}
	return false
}

// says makes a party send messages of its flows, now and then some, until the world
// ends.
func (w *world) says(p *party, flows ...*flow) {
	id := flows[0].id
	s := &stream{flows: flows, send: func(seq uint64) error { return p.SendContext(w.ctx, w.write(id, seq)...) }}
	w.streams = append(w.streams, s)
	r := rand.New(rand.NewPCG(w.seed, uint64(id)))
	w.all.Go(func() {
		for w.ctx.Err() == nil {
			w.going.RLock()
			for range 1 + r.IntN(12) {
				w.one(s)
			}
			w.going.RUnlock()
			w.sleep(time.Duration(r.IntN(40)) * time.Millisecond)
		}
	})
}

func (w *world) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.ctx.Done():
	}
}

// hears makes a party receive, and checks what comes against its flows. heard, which
// may be nil, is then told. A ROUTER's messages have a prefix of one part, the routing
// id.
func (w *world) hears(p *party, prefix int, flows []*flow, heard func(m qzmq.Message, f *flow, seq uint64)) {
	w.all.Go(func() {
		for m, err := range p.Messages(w.ctx) {
			if err != nil {
				w.verdict.against(p.name, "Recv: %v", err)
				return
			}
			if f, seq, ok := w.check(p, m, prefix, flows); ok && heard != nil {
				heard(m, f, seq)
			}
		}
	})
}

// check gives the flow and the number of a message that is in order.
func (w *world) check(p *party, m qzmq.Message, prefix int, flows []*flow) (*flow, uint64, bool) {
	id, seq, err := w.read(m.Parts[min(prefix, len(m.Parts)):])
	if id == evil {
		w.verdict.against(p.name, "an attacker has been heard, from %s", m.Peer.Address)
		return nil, 0, false
	}
	if err != nil {
		w.verdict.against(p.name, "%v", err)
		return nil, 0, false
	}
	for _, f := range flows {
		if f.id != id {
			continue
		}
		if m.Peer.Fingerprint != f.from {
			w.verdict.against(f.name, "message %d is said to be from %v", seq, m.Peer.Fingerprint)
		}
		f.receive(m.Peer, seq)
		return f, seq, true
	}
	w.verdict.against(p.name, "a message of flow %d, which is not for it", id)
	return nil, 0, false
}

// asks makes a REQ ask and wait for the answer, which has the number of the question;
// when none comes in time it asks the next question (req_relaxed). hears is for where
// questions arrive.
func (w *world) asks(p *party, questions, answers *flow) {
	s := &stream{flows: []*flow{questions}, send: func(seq uint64) error { return p.SendContext(w.ctx, w.write(questions.id, seq)...) }}
	w.streams = append(w.streams, s)
	r := rand.New(rand.NewPCG(w.seed, uint64(questions.id)))
	w.all.Go(func() {
		for w.ctx.Err() == nil {
			w.going.RLock()
			answers.offer(s.seq + 1)
			if w.one(s) {
				answers.accept(s.seq)
				w.answered(p, s.seq, answers)
			}
			w.going.RUnlock()
			w.sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		}
	})
}

// Patience with an answer: in a storm questions and answers are lost.
const (
	impatient = 500 * time.Millisecond
	patient   = 10 * time.Second
)

var errTooLate = errors.New("too late")

func (w *world) answered(p *party, seq uint64, answers *flow) {
	patience := impatient
	if answers.lossless || weather(w.sky.Load()) == calm {
		patience = patient
	}
	ctx, stop := context.WithTimeoutCause(w.ctx, patience, errTooLate)
	defer stop()
	m, err := p.RecvMessage(ctx)
	switch {
	case errors.Is(err, errTooLate), errors.Is(err, qzmq.ErrClosed), w.ctx.Err() != nil:
		return // what is owed and has not come is found in the end
	case err != nil:
		w.verdict.against(answers.name, "Recv: %v", err)
		return
	}
	if _, n, ok := w.check(p, m, 0, []*flow{answers}); ok && n != seq {
		w.verdict.against(answers.name, "question %d gets the answer to %d", seq, n)
	}
}

// answer sends what follows from a message, out of the goroutine that received it, and
// not when there is no room or nobody any more.
func (w *world) answer(p *party, f *flow, seq uint64, parts [][]byte) bool {
	f.offer(seq)
	err := p.SendMultipart(parts)
	switch {
	case err == nil:
		f.accept(seq)
		return true
	case errors.Is(err, qzmq.ErrAgain), errors.Is(err, qzmq.ErrHostUnreachable), errors.Is(err, qzmq.ErrClosed):
	default:
		w.verdict.against(f.name, "Send: %v", fmt.Errorf("message %d: %w", seq, err))
	}
	return false
}

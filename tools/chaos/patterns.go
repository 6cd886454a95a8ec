package main

import (
	"errors"
	"fmt"

	"github.com/qzmq/gateway/qzmq"
)

// build makes all patterns at once. Every socket that binds has peers that reach it
// through proxies and, where the pattern has several, one that nobody disturbs: what
// happens to the others must not be seen there.
func (w *world) build() error {
	for _, pattern := range []func() error{w.pipeline, w.fanOut, w.dialogue, w.questions, w.publication, w.reversed, w.relayed, w.couple} {
		if err := pattern(); err != nil {
			return err
		}
	}
	return nil
}

// kept is what is promised of a Connect that is the only one of its socket.
func kept(through bool) promises {
	return promises{gapless: true, lossless: !through, steady: !through}
}

// dropped is what is promised where the pattern drops for who is away.
func dropped(through bool) promises { return promises{lossless: !through, steady: !through} }

// published is what is promised to a subscriber: everything from the first message on
// that it hears, if nobody disturbs it and it is not slow.
func published(through bool) promises { return promises{gapless: !through, steady: !through} }

// pipeline: several PUSH connect to a PULL.
func (w *world) pipeline() error {
	pull, err := w.bind(qzmq.PULL, nil)
	if err != nil {
		return err
	}
	var flows []*flow
	for _, through := range []bool{true, true, false} {
		push, err := w.connect(qzmq.PUSH, pull, through, nil)
		if err != nil {
			return err
		}
		f := w.flow(push, pull, kept(through))
		flows = append(flows, f)
		w.says(push, f)
	}
	w.hears(pull, 0, flows, nil)
	return nil
}

// fanOut: several PULL connect to a PUSH, which deals messages out to them; what a dead
// connection was dealt is lost, but each comes to one PULL only.
func (w *world) fanOut() error {
	push, err := w.bind(qzmq.PUSH, nil)
	if err != nil {
		return err
	}
	f := newFlow(flowID(len(w.flows)+1), push.name+" to PULL", promises{steady: true}, &w.verdict)
	f.from = push.self
	w.flows = append(w.flows, f)
	for _, through := range []bool{true, false} {
		pull, err := w.connect(qzmq.PULL, push, through, nil)
		if err != nil {
			return err
		}
		w.hears(pull, 0, []*flow{f}, nil)
	}
	w.says(push, f)
	return nil
}

// dialogue: several DEALER talk to a ROUTER, some by a name of their own, which the
// ROUTER hands over to a new connection (router_handover). It answers every message.
func (w *world) dialogue() error {
	router, err := w.bind(qzmq.ROUTER, map[string]any{"router_mandatory": true, "router_handover": true, "sndtimeo": 0})
	if err != nil {
		return err
	}
	type line struct {
		answers *flow
		seq     uint64
	}
	lines := map[*flow]*line{} // by what is said to the ROUTER
	var flows []*flow
	for i, through := range []bool{true, true, false} {
		var set map[string]any
		if i == 0 {
			set = map[string]any{"routing_id": "a name of its own"}
		}
		dealer, err := w.connect(qzmq.DEALER, router, through, set)
		if err != nil {
			return err
		}
		f := w.flow(dealer, router, kept(through))
		lines[f] = &line{answers: w.flow(router, dealer, dropped(through))}
		flows = append(flows, f)
		w.hears(dealer, 0, []*flow{lines[f].answers}, nil)
		w.says(dealer, f)
	}
	w.hears(router, 1, flows, func(m qzmq.Message, f *flow, _ uint64) {
		l := lines[f]
		if w.answer(router, l.answers, l.seq+1, append(m.Parts[:1:1], w.write(l.answers.id, l.seq+1)...)) {
			l.seq++
		}
	})
	return nil
}

// questions: several REQ ask a REP, and ask the next question when no answer comes.
func (w *world) questions() error {
	rep, err := w.bind(qzmq.REP, nil)
	if err != nil {
		return err
	}
	answers := map[*flow]*flow{}
	var flows []*flow
	for _, through := range []bool{true, true, false} {
		req, err := w.connect(qzmq.REQ, rep, through, map[string]any{"req_relaxed": true, "req_correlate": true})
		if err != nil {
			return err
		}
		f := w.flow(req, rep, dropped(through))
		answers[f] = w.flow(rep, req, dropped(through))
		flows = append(flows, f)
		w.asks(req, f, answers[f])
	}
	w.hears(rep, 0, flows, func(_ qzmq.Message, f *flow, seq uint64) {
		err := rep.SendMultipart(w.write(answers[f].id, seq))
		if err != nil && !errors.Is(err, qzmq.ErrClosed) && !errors.Is(err, qzmq.ErrAgain) {
			w.verdict.against(answers[f].name, "Send: %v", err)
		}
	})
	return nil
}

// topics is how many a publisher has.
const topics = 3

// subscribe makes subscribers of a publisher's topics, each of other ones, and gives
// what every topic's messages are received as.
func (w *world) subscribe(pub *party, ids [topics]flowID, kind qzmq.SocketType, through ...bool) (byTopic [topics][]*flow, err error) {
	for i, through := range through {
		sub, err := w.connect(kind, pub, through, nil)
		if err != nil {
			return byTopic, err
		}
		var flows []*flow
		for t, id := range ids {
			if t == i%topics {
				continue // this one is not subscribed to
			}
			f := w.flowOf(id, pub, sub, published(through))
			flows, byTopic[t] = append(flows, f), append(byTopic[t], f)
			if err := sub.Subscribe(string(topicOf(id))); err != nil {
				return byTopic, err
			}
		}
		w.hears(sub, 0, flows, nil)
	}
	return byTopic, nil
}

// ids gives flow ids whose topics differ from each other.
func (w *world) ids() (all [topics]flowID) {
	for t := range all {
		all[t] = flowID(1000 + 16*len(w.flows) + t)
	}
	return all
}

// publication: several SUB connect to a PUB.
func (w *world) publication() error {
	pub, err := w.bind(qzmq.PUB, nil)
	if err != nil {
		return err
	}
	byTopic, err := w.subscribe(pub, w.ids(), qzmq.SUB, true, true, true, false)
	if err != nil {
		return err
	}
	for _, flows := range byTopic {
		w.says(pub, flows...)
	}
	return nil
}

// reversed: PUB connects to SUB.
func (w *world) reversed() error {
	sub, err := w.bind(qzmq.SUB, nil)
	if err != nil {
		return err
	}
	if err := sub.Subscribe(""); err != nil {
		return err
	}
	var flows []*flow
	for _, through := range []bool{true, false} {
		pub, err := w.connect(qzmq.PUB, sub, through, nil)
		if err != nil {
			return err
		}
		f := w.flow(pub, sub, published(through))
		flows = append(flows, f)
		w.says(pub, f)
	}
	w.hears(sub, 0, flows, nil)
	return nil
}

// relayed: several XSUB connect to an XPUB, which hears their subscriptions and nobody
// else's.
func (w *world) relayed() error {
	pub, err := w.bind(qzmq.XPUB, map[string]any{"xpub_verboser": true})
	if err != nil {
		return err
	}
	ids := w.ids()
	byTopic, err := w.subscribe(pub, ids, qzmq.XSUB, true, true, false)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for t, id := range ids {
		wanted[fmt.Sprintf("\x01%c", topicOf(id))], wanted[fmt.Sprintf("\x00%c", topicOf(id))] = true, true
		w.says(pub, byTopic[t]...)
	}
	w.all.Go(func() {
		for m, err := range pub.Messages(w.ctx) {
			if err != nil {
				w.verdict.against(pub.name, "Recv: %v", err)
				return
			}
			if len(m.Parts) != 1 || !wanted[string(m.Parts[0])] {
				w.verdict.against(pub.name, "hears %q, from %s", m.Parts[0], m.Peer.Address)
			}
		}
	})
	return nil
}

// couple: a PAIR connects to another, and both talk.
func (w *world) couple() error {
	near, err := w.bind(qzmq.PAIR, nil)
	if err != nil {
		return err
	}
	far, err := w.connect(qzmq.PAIR, near, true, nil)
	if err != nil {
		return err
	}
	there, back := w.flow(far, near, kept(true)), w.flow(near, far, promises{})
	w.hears(near, 0, []*flow{there}, nil)
	w.hears(far, 0, []*flow{back}, nil)
	w.says(far, there)
	w.says(near, back)
	return nil
}

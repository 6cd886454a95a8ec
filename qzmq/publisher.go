package qzmq

import (
	"bytes"
	"slices"
)

// The first byte of a subscription, as XPUB and XSUB show them to the application.
const (
	cancelMark    = 0
	subscribeMark = 1
)

// publisher is PUB and XPUB, RFC 29: a message goes to every peer that has subscribed
// to the beginning of its first part. A peer that has no room misses it; none is ever
// waited for, unless XPUB is told to by xpub_nodrop.
type publisher struct {
	base
	topics  trie[[]*pipe] // who has subscribed, by topic
	pipes   []*pipe
	matched []*pipe // of the message that is being sent

	// XPUB's:
	said    []said // subscriptions and messages of peers, to be received
	waiting int    // bytes of them
	current *pipe  // whose subscription was received last: xpub_manual
}

// said is what a peer has said to an XPUB.
type said struct {
	body []byte
	from *pipe
}

func (t *publisher) attach(p *pipe) error {
	t.pipes = append(t.pipes, p)
	t.readable(p)
	return nil
}

func (t *publisher) detach(p *pipe) {
	t.disconnected(p)
	if i := slices.Index(t.pipes, p); i >= 0 {
		t.pipes = slices.Delete(t.pipes, i, i+1)
	}
}

func (t *publisher) connected(p *pipe) error {
	if welcome := t.s.set.xpubWelcome; len(welcome) > 0 {
		message := [][]byte{welcome}
		p.out.push(message, frameSize(message))
	}
	t.readable(p) // inproc, it may have subscribed already
	return nil
}

// topicCost is what a subscription takes besides its topic: its place in the map and the
// tree, and the list of who has it. TestSubscriptionCost measures it.
const topicCost = 192

// note adds a topic to one of a peer's maps, forget takes it out; they count its memory.
func (p *pipe) note(topics *map[string]struct{}, topic string) {
	if *topics == nil {
		*topics = map[string]struct{}{}
	}
	if _, has := (*topics)[topic]; !has {
		(*topics)[topic] = struct{}{}
		p.topicSize += topicCost + len(topic)
	}
}

func (p *pipe) forget(topics map[string]struct{}, topic string) {
	if _, has := topics[topic]; has {
		delete(topics, topic)
		p.topicSize -= topicCost + len(topic)
	}
}

// disconnected takes back the peer's subscriptions. An XPUB is told of those that
// nobody else has, or under xpub_manual of all that the peer has asked for.
func (t *publisher) disconnected(p *pipe) {
	topics := p.topics
	p.topics = nil
	for topic := range topics {
		if last := t.cancel(p, topic); (last || t.s.set.xpubVerboser) && !t.s.set.xpubManual {
			t.tell(p, append([]byte{cancelMark}, topic...))
		}
	}
	for topic := range p.asked {
		t.tell(p, append([]byte{cancelMark}, topic...))
	}
	p.asked, p.topicSize = nil, 0
	p.out.clear() // was for subscriptions that are over
}

// readable reads what a peer says at once, since a PUB is never asked to.
func (t *publisher) readable(p *pipe) {
	if _, there := t.s.pipes[p]; there && !p.live {
		return // not yet
	}
	for {
		parts, ok := p.next(nil)
		if !ok {
			return
		}
		if !p.live {
			continue // it asks for what it will not take
		}
		body := parts[0]
		if len(parts) > 1 || len(body) == 0 || body[0] > subscribeMark {
			if t.s.kind == XPUB {
				for _, part := range parts {
					t.tell(p, part)
				}
			}
			continue
		}
		t.subscription(p, body)
	}
}

// subscription takes one and tells an XPUB of it when it is news: the first for its
// topic or the last, or whichever it wants to know. A peer that wants more than a peer
// may have is cut, since without a part of its messages it would not know; one in the
// same process may have all that the process has.
func (t *publisher) subscription(p *pipe, body []byte) {
	set := &t.s.set
	topic := string(body[1:])
	if body[0] == subscribeMark && t.tooMuch(p, topic) {
		t.s.metrics.cut++
		p.reset(ErrSubscriptions)
		return
	}
	if set.xpubManual {
		t.asks(p, topic, body[0] == subscribeMark)
		t.tell(p, body) // the application decides
		return
	}
	_, has := p.topics[topic]
	if body[0] == subscribeMark {
		first := !has && t.subscribe(p, topic)
		if first || set.xpubVerbose || set.xpubVerboser {
			t.tell(p, body)
		}
		return
	}
	last := has && t.cancel(p, topic)
	if last || set.xpubVerboser {
		t.tell(p, body)
	}
}

func (t *publisher) tooMuch(p *pipe, topic string) bool {
	_, has := p.topics[topic]
	if t.s.set.xpubManual {
		_, has = p.asked[topic]
	}
	most := t.s.set.subBytes
	return !has && most > 0 && p.topicSize+topicCost+len(topic) > most && p.inproc == nil
}

// asks notes what a peer wants that the application decides about.
func (t *publisher) asks(p *pipe, topic string, subscribe bool) {
	if subscribe {
		p.note(&p.asked, topic)
	} else {
		p.forget(p.asked, topic)
	}
}

// subscribe says whether the peer is the first for the topic.
func (t *publisher) subscribe(p *pipe, topic string) (first bool) {
	p.note(&p.topics, topic)
	who := t.topics.put(topic)
	*who = append(*who, p)
	return len(*who) == 1
}

// cancel says whether the peer was the last for the topic.
func (t *publisher) cancel(p *pipe, topic string) (last bool) {
	p.forget(p.topics, topic)
	who := t.topics.get(topic)
	if who == nil {
		return false
	}
	if i := slices.Index(*who, p); i >= 0 {
		*who = slices.Delete(*who, i, i+1)
	}
	if len(*who) > 0 {
		return false
	}
	t.topics.remove(topic)
	return true
}

// mostSaid is how much waits for an XPUB that does not receive, of up to rcvbytes.
// Subscriptions have their effect in any case.
const mostSaid = 1 << 16

// tell copies what is said, which else would keep all that came in one record with it.
func (t *publisher) tell(p *pipe, body []byte) {
	most := t.s.set.receiveLimits().bytes
	switch {
	case t.s.kind != XPUB:
	case len(t.said) >= mostSaid, most > 0 && t.waiting+len(body) > most:
		t.s.metrics.dropped++
	default:
		t.said = append(t.said, said{bytes.Clone(body), p})
		t.waiting += len(body)
	}
}

// manual subscribes, or cancels, for the peer whose subscription was received last. For
// one that is gone there is nothing to do.
func (t *publisher) manual(topic string, subscribe bool) error {
	if !t.s.set.xpubManual || t.current == nil {
		return ErrState
	}
	if !t.current.live {
		return nil
	}
	_, has := t.current.topics[topic]
	if subscribe && !has {
		t.subscribe(t.current, topic)
	} else if !subscribe && has {
		t.cancel(t.current, topic)
	}
	return nil
}

func (t *publisher) send(parts [][]byte) error {
	t.match(parts[0])
	defer t.unmatch()
	if t.s.set.xpubNodrop {
		for _, p := range t.matched {
			if !p.out.hasRoom() {
				return errAgain
			}
		}
	}
	t.s.metrics.dropped += distribute(t.matched, parts)
	return nil
}

// match finds who gets a message, each once whatever he has subscribed to.
func (t *publisher) match(topic []byte) {
	t.topics.match(topic, func(who *[]*pipe) bool {
		for _, p := range *who {
			if !p.matches {
				p.matches = true
				t.matched = append(t.matched, p)
			}
		}
		return true
	})
	if !t.s.set.invertMatching {
		return
	}
	t.matched = t.matched[:0]
	for _, p := range t.pipes {
		p.matches = p.live && !p.matches
		if p.matches {
			t.matched = append(t.matched, p)
		}
	}
}

func (t *publisher) unmatch() {
	for _, p := range t.matched {
		p.matches = false
	}
	clear(t.matched)
	t.matched = t.matched[:0]
}

func (t *publisher) recv(parts [][]byte) ([][]byte, *pipe, error) {
	if t.s.kind == PUB {
		return t.base.recv(parts)
	}
	if len(t.said) == 0 {
		return parts, nil, errAgain
	}
	first := t.said[0]
	t.said[0] = said{}
	t.said = t.said[1:]
	t.waiting -= len(first.body)
	t.current = first.from
	return append(parts, first.body), first.from, nil
}

// shareFrom is the size from which a message stands once for all who get it; a smaller
// one is copied sooner than its place is noted.
const shareFrom = 1 << 10

// distribute gives a message to pipes, and says to how many it could not be given: it
// is laid out once.
func distribute(pipes []*pipe, parts [][]byte) (dropped uint64) {
	size := frameSize(parts)
	if size < shareFrom || len(pipes) < 2 {
		for _, p := range pipes {
			if !p.out.push(parts, size) {
				dropped++
			}
		}
		return dropped
	}
	shared := run{wire: appendFrames(make([]byte, 0, size), parts), messages: 1, shared: true}
	for _, p := range pipes {
		if !p.out.pushRun(shared) {
			dropped++
		}
	}
	return dropped
}

func (t *publisher) poll() int {
	if len(t.said) > 0 {
		return PollIn | PollOut
	}
	return PollOut
}

package qzmq

import (
	"slices"
)

// subscriber is SUB and XSUB, RFC 29: what it has subscribed to is told to every peer,
// and told again to one that comes back. A SUB also looks itself whether a message is
// what it has asked for.
type subscriber struct {
	base
	in     fairQueue
	topics trie[int] // how often the application has subscribed
	live   []*pipe   // whose peer knows our subscriptions
	held   [][]byte  // a message that poll has found
	whose  *pipe
}

func (t *subscriber) attach(p *pipe) error {
	// Subscriptions are as many as the application makes, and none may be lost.
	p.out.limit(limits{})
	t.in.add(p)
	return nil
}

func (t *subscriber) detach(p *pipe)   { t.disconnected(p) }
func (t *subscriber) readable(p *pipe) { t.in.add(p) }

// connected tells the peer every topic. What was said to one before it is over.
func (t *subscriber) connected(p *pipe) error {
	p.out.clear()
	t.topics.walk("", func(topic string, _ *int) { say(p, subscribeMark, topic) })
	t.live = append(t.live, p)
	return nil
}

func (t *subscriber) disconnected(p *pipe) {
	if i := slices.Index(t.live, p); i >= 0 {
		t.live = slices.Delete(t.live, i, i+1)
	}
}

func say(p *pipe, mark byte, topic string) {
	message := [][]byte{append([]byte{mark}, topic...)}
	p.out.push(message, frameSize(message))
}

// subscribe counts, and tells all peers: a publisher that wants to know of all
// subscriptions hears of those that we have already, too.
func (t *subscriber) subscribe(topic string) {
	*t.topics.put(topic)++
	for _, p := range t.live {
		say(p, subscribeMark, topic)
	}
}

// cancel tells all peers when nothing of the application's is left of it.
func (t *subscriber) cancel(topic string) {
	n := t.topics.get(topic)
	if n == nil {
		return
	}
	if *n--; *n > 0 && !t.s.set.xsubVerbose {
		return
	} else if *n == 0 {
		t.topics.remove(topic)
	}
	for _, p := range t.live {
		say(p, cancelMark, topic)
	}
}

// send, of an XSUB, is a subscription if the first byte says so, and otherwise a
// message for all publishers.
func (t *subscriber) send(parts [][]byte) error {
	if t.s.kind == SUB {
		return t.base.send(parts)
	}
	body := parts[0]
	switch {
	case len(parts) == 1 && len(body) > 0 && body[0] == subscribeMark:
		t.subscribe(string(body[1:]))
	case len(parts) == 1 && len(body) > 0 && body[0] == cancelMark:
		t.cancel(string(body[1:]))
	default:
		t.s.metrics.dropped += distribute(t.live, parts)
	}
	return nil
}

func (t *subscriber) recv(parts [][]byte) ([][]byte, *pipe, error) {
	if t.held != nil {
		parts, p := append(parts, t.held...), t.whose
		t.held, t.whose = nil, nil
		return parts, p, nil
	}
	start := len(parts)
	for {
		got, p := t.in.next(parts[:start])
		if p == nil {
			return got, nil, errAgain
		}
		if t.s.kind == XSUB || t.wants(got[start]) {
			return got, p, nil
		}
	}
}

func (t *subscriber) wants(topic []byte) bool {
	wanted := false
	t.topics.match(topic, func(*int) bool {
		wanted = true
		return false
	})
	return wanted != t.s.set.invertMatching
}

// poll looks for a message that is wanted, and holds it.
func (t *subscriber) poll() (ready int) {
	if t.s.kind == XSUB {
		ready = PollOut
	}
	if t.held == nil {
		parts, p, err := t.recv(nil)
		if err != nil {
			return ready
		}
		t.held, t.whose = parts, p
	}
	return ready | PollIn
}

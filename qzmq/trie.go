package qzmq

import (
	"cmp"
	"slices"
	"strings"
)

// trie has values for topics, and finds those of all topics that a message's topic
// begins with. A chain without branches is one node, so memory is that of the topics
// and a match never looks at a byte twice, whatever a peer subscribes to. The zero
// value is empty.
type trie[V any] struct {
	prefix string // of this node, after those above it
	there  bool   // value is a topic's
	value  V
	kids   []*trie[V] // sorted by the first byte of their prefixes, which differ
}

func (t *trie[V]) child(b byte) (int, bool) {
	return slices.BinarySearchFunc(t.kids, b, func(k *trie[V], b byte) int { return cmp.Compare(k.prefix[0], b) })
}

// put gives the place of a topic's value, which is there from now on.
func (t *trie[V]) put(topic string) *V {
	for topic != "" {
		i, ok := t.child(topic[0])
		if !ok {
			t.kids = slices.Insert(t.kids, i, &trie[V]{prefix: topic})
		}
		kid := t.kids[i]
		n := common(kid.prefix, topic)
		if n < len(kid.prefix) {
			// A copy: the topic may be long, and be gone while this node stays.
			above := &trie[V]{prefix: strings.Clone(kid.prefix[:n]), kids: []*trie[V]{kid}}
			kid.prefix = kid.prefix[n:]
			t.kids[i] = above
			kid = above
		}
		t, topic = kid, topic[n:]
	}
	t.there = true
	return &t.value
}

// get gives the place of a topic's value, nil if it is not there.
func (t *trie[V]) get(topic string) *V {
	for topic != "" {
		i, ok := t.child(topic[0])
		if !ok || !strings.HasPrefix(topic, t.kids[i].prefix) {
			return nil
		}
		t = t.kids[i]
		topic = topic[len(t.prefix):]
	}
	if !t.there {
		return nil
	}
	return &t.value
}

// remove forgets a topic.
func (t *trie[V]) remove(topic string) {
	if topic == "" {
		var zero V
		t.there, t.value = false, zero
		return
	}
	i, ok := t.child(topic[0])
	if !ok || !strings.HasPrefix(topic, t.kids[i].prefix) {
		return
	}
	kid := t.kids[i]
	kid.remove(topic[len(kid.prefix):])
	if kid.there {
		return
	}
	switch len(kid.kids) {
	case 0:
		t.kids = slices.Delete(t.kids, i, i+1)
	case 1:
		only := kid.kids[0]
		only.prefix = kid.prefix + only.prefix
		t.kids[i] = only
	}
}

// match visits the values of all topics that begin topic, until visit is false.
func (t *trie[V]) match(topic []byte, visit func(*V) bool) {
	for {
		if t.there && !visit(&t.value) || len(topic) == 0 {
			return
		}
		i, ok := t.child(topic[0])
		if !ok {
			return
		}
		t = t.kids[i]
		n := len(t.prefix)
		if len(topic) < n || string(topic[:n]) != t.prefix {
			return
		}
		topic = topic[n:]
	}
}

// walk visits all topics, in order.
func (t *trie[V]) walk(before string, visit func(topic string, v *V)) {
	before += t.prefix
	if t.there {
		visit(before, &t.value)
	}
	for _, kid := range t.kids {
		kid.walk(before, visit)
	}
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

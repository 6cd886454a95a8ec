package qzmq

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestTrie compares the trie with a map, over topics that have much in common.
func TestTrie(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	topic := func() string {
		b := make([]byte, random.IntN(6))
		for i := range b {
			b[i] = "ab\x00"[random.IntN(3)]
		}
		return string(b)
	}
	var tr trie[int]
	all := map[string]int{}
	for range 20_000 {
		s := topic()
		switch random.IntN(3) {
		case 0:
			*tr.put(s)++
			all[s]++
		case 1:
			tr.remove(s)
			delete(all, s)
		case 2:
			want := 0
			for topic, n := range all {
				if strings.HasPrefix(s, topic) {
					want += n
				}
			}
			got := 0
			tr.match([]byte(s), func(n *int) bool { got += *n; return true })
			if got != want {
				t.Fatalf("%q matches %d, want %d", s, got, want)
			}
			if n := tr.get(s); (n != nil) != (all[s] > 0) || n != nil && *n != all[s] {
				t.Fatalf("%q is %v, want %d", s, n, all[s])
			}
		}
	}
	var topics []string
	tr.walk("", func(topic string, _ *int) { topics = append(topics, topic) })
	if !slices.IsSorted(topics) || len(topics) != len(all) {
		t.Errorf("%d topics, want %d", len(topics), len(all))
	}
	for topic := range all {
		tr.remove(topic)
	}
	if len(tr.kids) > 0 || tr.there {
		t.Error("something is left of a trie that was emptied")
	}
}

// TestTrieMemory: a topic is one node, however long.
func TestTrieMemory(t *testing.T) {
	var tr trie[int]
	*tr.put(strings.Repeat("x", 1<<20)) = 1
	if len(tr.kids) != 1 || len(tr.kids[0].kids) != 0 {
		t.Error("a topic has more than a node")
	}
}

// loosePipe is a pipe between the test, on one side, and nobody.
func loosePipe(s *socket, l limits) *pipe {
	p := &pipe{owner: s, in: &queue{limits: l}, out: &queue{limits: l}, live: true}
	p.in.consumer, p.out.producer = readEnd{p}, writeEnd{p}
	p.least = leastAcknowledged(l)
	s.pipes[p] = struct{}{}
	return p
}

func put(p *pipe, bodies ...string) {
	for _, b := range bodies {
		m := [][]byte{[]byte(b)}
		p.in.push(m, frameSize(m))
	}
}

func taken(p *pipe) (all []string) {
	runs, _ := p.out.take(nil, nil)
	for _, r := range runs {
		for rest := r.wire; len(rest) > 0; {
			var parts [][]byte
			parts, rest = firstMessage(rest)
			all = append(all, string(parts[0]))
		}
	}
	return all
}

func TestFairQueue(t *testing.T) {
	s := &socket{pipes: map[*pipe]struct{}{}}
	a, b, c := loosePipe(s, limits{}), loosePipe(s, limits{}), loosePipe(s, limits{})
	var f fairQueue
	for _, p := range []*pipe{a, b, c} {
		f.add(p)
		f.add(p) // once is enough
	}
	put(a, "a1", "a2", "a3", "a4")
	put(b, "b1")
	put(c, "c1", "c2")
	var got []string
	next := func() bool {
		parts, p := f.next(nil)
		if p != nil {
			got = append(got, string(parts[0]))
		}
		return p != nil
	}
	for next() {
	}
	if want := "a1 b1 c1 a2 c2 a3 a4"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if len(f.pipes) != 0 || s.mail.posted.Load() {
		t.Error("pipes without messages take part")
	}
	put(b, "b2")
	s.mail.collect(func(p *pipe, e event) {
		if p != b || e != readable {
			t.Errorf("event %d", e)
		}
		f.add(p)
	})
	if got = nil; !next() || got[0] != "b2" || next() {
		t.Errorf("%v after being woken", got)
	}
}

func TestLoadBalancer(t *testing.T) {
	s := &socket{pipes: map[*pipe]struct{}{}}
	a, b, c := loosePipe(s, limits{messages: 2}), loosePipe(s, limits{messages: 4}), loosePipe(s, limits{messages: 1})
	var l loadBalancer
	for _, p := range []*pipe{a, b, c} {
		l.add(p)
	}
	sent := 0
	for {
		m := [][]byte{fmt.Append(nil, sent)}
		if l.send(m, frameSize(m)) == nil {
			break
		}
		sent++
	}
	if sent != 7 || l.ready() {
		t.Errorf("%d messages had room, want 7", sent)
	}
	for _, want := range []struct {
		p   *pipe
		all string
	}{{a, "0 3"}, {b, "1 4 5 6"}, {c, "2"}} {
		if got := strings.Join(taken(want.p), " "); got != want.all {
			t.Errorf("%s, want %s", got, want.all)
		}
	}
	woken := 0
	s.mail.collect(func(p *pipe, e event) {
		if e == writable {
			woken++
			l.add(p)
		}
	})
	if woken != 3 || !l.ready() {
		t.Errorf("%d pipes had room again", woken)
	}
	l.remove(b)
	m := [][]byte{nil}
	for range 3 {
		l.send(m, frameSize(m))
	}
	if n := len(taken(b)); n != 0 {
		t.Errorf("a pipe that was removed got %d", n)
	}
}

// TestDistribute gives a message to all, whatever happens to one of them, and large
// ones without a copy for each.
func TestDistribute(t *testing.T) {
	for _, size := range []int{1, shareFrom} {
		s := &socket{pipes: map[*pipe]struct{}{}}
		var pipes []*pipe
		for i := range 10 {
			pipes = append(pipes, loosePipe(s, limits{messages: i + 1}))
		}
		body := strings.Repeat("x", size)
		dropped := uint64(0)
		for range 10 {
			dropped += distribute(pipes, [][]byte{[]byte(body)})
		}
		if dropped != 45 {
			t.Errorf("%d dropped, want 45", dropped)
		}
		shared := map[*byte]int{}
		for i, p := range pipes {
			runs, _ := p.out.take(nil, nil)
			n := 0
			for _, r := range runs {
				n += r.messages
				shared[&r.wire[0]]++
			}
			if n != i+1 {
				t.Errorf("pipe %d got %d", i, n)
			}
		}
		if size >= shareFrom && len(shared) != 10 {
			t.Errorf("10 messages of %d bytes in %d places", size, len(shared))
		}
	}
}

// TestQueueLimits: by messages, by bytes, by neither, and the last one only.
func TestQueueLimits(t *testing.T) {
	m := [][]byte{make([]byte, 98)} // 100 bytes of frame
	for _, test := range []struct {
		l    limits
		want int
	}{{limits{messages: 5}, 5}, {limits{bytes: 250}, 3}, {limits{messages: 5, bytes: 150}, 2}, {limits{}, 50}, {limits{messages: 1, conflate: true}, 50}} {
		q := &queue{limits: test.l}
		n := 0
		for n < 50 && q.push(m, 100) {
			n++
		}
		if n != test.want {
			t.Errorf("%+v: %d had room, want %d", test.l, n, test.want)
		}
		runs := q.takeAll(nil)
		kept := 0
		for _, r := range runs {
			kept += r.messages
		}
		if test.l.conflate && kept != 1 || !test.l.conflate && kept != n {
			t.Errorf("%+v: %d were kept of %d", test.l, kept, n)
		}
		if n < 50 {
			if q.push(m, 100) {
				t.Errorf("%+v: there is room before any is acknowledged", test.l)
			}
			q.acknowledge(1, 100)
			if test.l.messages > 0 && test.l.bytes == 0 && !q.push(m, 100) {
				t.Errorf("%+v: there is no room after one was acknowledged", test.l)
			}
		}
	}
}

// TestRouterTable: names, names that are in use, and who takes them over.
func TestRouterTable(t *testing.T) {
	a, _ := sites(t, true, nil)
	s := open(t, a, ROUTER).(*socket)
	r := s.pattern.(*router)
	enter := func(id string) (*pipe, error) {
		p := loosePipe(s, limits{messages: 10})
		return p, s.peered(p, &Peer{RoutingID: []byte(id)})
	}
	x, err := enter("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enter("x"); err == nil {
		t.Error("two peers have the same name")
	}
	y, _ := enter("")
	z, _ := enter("")
	if string(y.id) == string(z.id) || len(y.id) != 5 || y.id[0] != 0 {
		t.Errorf("names %q and %q were given", y.id, z.id)
	}
	s.set.routerHandover = true
	x2, err := enter("x")
	if err != nil || r.peers["x"] != x2 {
		t.Errorf("handover: %v", err)
	}
	r.detach(x)
	if r.peers["x"] != x2 {
		t.Error("who has lost a name takes it away")
	}
	if err := r.send([][]byte{[]byte("x"), []byte("body")}); err != nil || len(taken(x)) != 0 || len(taken(x2)) != 1 {
		t.Errorf("a message for x: %v", err)
	}
	r.detach(x2)
	if err := r.send([][]byte{[]byte("x"), nil}); err != nil || s.metrics.dropped != 1 {
		t.Errorf("for nobody: %v, %d dropped", err, s.metrics.dropped)
	}
}

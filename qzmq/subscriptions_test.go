package qzmq

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// pumped is a PUB or XPUB that is asked all the time, as one is that sends, until the
// test ends.
func pumped(t *testing.T, s Socket) {
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				s.GetOption("events")
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })
}

// A peer that subscribes for ever is cut, and everybody is told; to the others nothing
// happens, and it may come again.
func TestSubscribesForEver(t *testing.T) {
	short := func(i int) string { return fmt.Sprintf("%08d", i) }
	const limit = 1 << 20
	for name, test := range map[string]struct {
		kind    SocketType
		plain   bool
		options []any
		topic   func(i int) string
		fit     int // subscriptions that are not too many
	}{
		"PUB":             {kind: PUB, topic: short, fit: limit / (topicCost + 8)},
		"PUB, plain":      {kind: PUB, plain: true, topic: short, fit: limit / (topicCost + 8)},
		"XPUB":            {kind: XPUB, topic: short, fit: limit / (topicCost + 8)},
		"XPUB, manual":    {kind: XPUB, options: []any{"xpub_manual", true}, topic: short, fit: limit / (topicCost + 8)},
		"ever longer":     {kind: PUB, topic: func(i int) string { return strings.Repeat("a", i+1) }, fit: 1260},
		"more than there": {kind: PUB, topic: func(int) string { return strings.Repeat("a", limit) }},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := sites(t, test.plain, nil)
			pub := open(t, a, test.kind, append(test.options, "qzmq.subbytes", limit)...)
			url := bind(t, pub, "tcp://127.0.0.1:*")
			events := pub.Monitor()
			pumped(t, pub)
			good := open(t, b, SUB)
			connect(t, good, url)
			subscribe(t, good, "good", true)
			decide(pub, "good")
			until(t, pub, good, "good 1")

			bad := open(t, b, XSUB, "reconnect_ivl", -1, "sndhwm", 0)
			connect(t, bad, url)
			for i := range test.fit + 100 {
				send(t, bad, "\x01"+test.topic(i))
			}
			if gone := awaitEvent(t, events, EventDisconnected); !errors.Is(gone.Err, ErrSubscriptions) {
				t.Errorf("it went because of %v", gone.Err)
			}
			until(t, pub, good, "good 2")

			// One that asks for what it may have gets it, and again when it has cancelled all.
			modest := open(t, b, XSUB, "sndhwm", 0)
			connect(t, modest, url)
			for range 2 {
				for i := range test.fit {
					send(t, modest, "\x01"+test.topic(i))
				}
				for i := range test.fit {
					send(t, modest, "\x00"+test.topic(i))
				}
			}
			send(t, modest, "\x01modest")
			decide(pub, "modest")
			until(t, pub, modest, "modest")
			if n := pub.GetMetrics().PeersCut; n != 1 {
				t.Errorf("%d peers were cut, one was to be", n)
			}
		})
	}
}

// decide takes, at a manual XPUB, what somebody asks for, up to this topic.
func decide(pub Socket, topic string) {
	if manual, _ := pub.GetOption("xpub_manual"); manual != true {
		return
	}
	for {
		m, err := pub.Recv()
		if err != nil {
			return
		}
		if string(m) == "\x01"+topic {
			pub.Subscribe(topic)
			return
		}
	}
}

// until sends until a message has arrived.
func until(t *testing.T, pub, sub Socket, text string) {
	t.Helper()
	sub.SetOption("rcvtimeo", 20*time.Millisecond)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		send(t, pub, text)
		if m, err := sub.RecvMultipart(); err == nil && string(m[0]) == text {
			return
		}
	}
	t.Fatalf("%q does not arrive", text)
}

// A long topic that is cancelled leaves nothing, whatever short ones it began with.
func TestCancelledTopics(t *testing.T) {
	s, err := newSocket(site(t, Options{InsecurePlaintext: true}), PUB)
	if err != nil {
		t.Fatal(err)
	}
	pub, p := s.pattern.(*publisher), s.newPipe(&s.set, "")
	before := heap()
	long := strings.Repeat("x", 1<<20)
	for i := range 50 {
		begin := fmt.Sprintf("%02d", i)
		pub.subscription(p, []byte("\x01"+begin+long))
		pub.subscription(p, []byte("\x01"+begin))
		pub.subscription(p, []byte("\x01"+begin)) // again, which takes nothing
		pub.subscription(p, []byte("\x00"+begin+long))
	}
	if p.topicSize != 50*(topicCost+2) || len(p.topics) != 50 {
		t.Errorf("%d topics, counted as %d bytes", len(p.topics), p.topicSize)
	}
	if took := heap() - before; took > 20*len(long) {
		t.Errorf("50 short topics take %d bytes", took)
	}
	pub.disconnected(p)
	if p.topicSize != 0 {
		t.Errorf("%d bytes are left", p.topicSize)
	}
	runtime.KeepAlive(pub)
}

// What peers say to an XPUB that does not receive takes no more than rcvbytes, and what
// it gets is whole.
func TestNobodyListens(t *testing.T) {
	a, b := sites(t, true, nil)
	pub := open(t, a, XPUB, "qzmq.rcvbytes", 1<<20)
	url := bind(t, pub, "tcp://127.0.0.1:*")
	pumped(t, pub)
	sub := open(t, b, XSUB)
	connect(t, sub, url)
	connected(t, sub, 1)
	const size, sent = 50_000, 100
	for range sent {
		send(t, sub, strings.Repeat("x", size))
	}
	fit := (1 << 20) / size
	for end := time.Now().Add(5 * time.Second); pub.GetMetrics().MessagesDropped < sent-uint64(fit); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d were dropped, %d fit of %d", pub.GetMetrics().MessagesDropped, fit, sent)
		}
	}
	for range fit {
		expect(t, pub, strings.Repeat("x", size))
	}
	send(t, sub, "\x01again")
	expect(t, pub, "\x01again")
	if n := pub.GetMetrics().MessagesDropped; n != sent-uint64(fit) {
		t.Errorf("%d were dropped, %d fit of %d", n, fit, sent)
	}
}

// TestSubscriptionCost: what qzmq.subbytes counts is what subscriptions take, give or
// take a half, short topics and long ones.
func TestSubscriptionCost(t *testing.T) {
	for _, length := range []int{8, 20, 200, 2000} {
		var took []int // each; other tests may be about to give memory back
		counted := 0
		for range 5 {
			s, err := newSocket(site(t, Options{InsecurePlaintext: true}), PUB)
			if err != nil {
				t.Fatal(err)
			}
			pub, p := s.pattern.(*publisher), s.newPipe(&s.set, "")
			before := heap()
			const n = 10_000
			for i := range n {
				pub.subscription(p, fmt.Appendf(nil, "\x01%0*d", length, i*7919))
			}
			took, counted = append(took, (heap()-before)/n), p.topicSize/n
			runtime.KeepAlive(pub)
		}
		slices.Sort(took)
		t.Logf("topics of %d bytes: %d bytes each, counted %d", length, took, counted)
		if took[2] > counted*3/2 || took[2] < counted/2 {
			t.Errorf("topics of %d bytes take %d bytes each, counted are %d", length, took[2], counted)
		}
	}
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

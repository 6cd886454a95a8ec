package qzmq_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq"
)

// pair is two socket types and what they say to each other. The first is called "first",
// the second "second", where somebody asks.
type pair struct {
	first, second qzmq.SocketType
	talk          func(t testing.TB, first, second party)
}

func pairs() []pair {
	return []pair{
		{qzmq.REQ, qzmq.REP, func(t testing.TB, req, rep party) {
			for _, m := range bodies() {
				gives(t, req, m...)
				wants(t, rep, m...)
				gives(t, rep, m...)
				wants(t, req, m...)
			}
		}},
		{qzmq.REQ, qzmq.ROUTER, func(t testing.TB, req, router party) {
			for _, m := range bodies() {
				gives(t, req, m...)
				wants(t, router, with(m, "first", "")...)
				gives(t, router, with(m, "first", "")...)
				wants(t, req, m...)
			}
		}},
		{qzmq.DEALER, qzmq.REP, func(t testing.TB, dealer, rep party) {
			for _, m := range bodies() {
				gives(t, dealer, with(m, "a", "b", "")...)
				wants(t, rep, m...)
				gives(t, rep, m...)
				wants(t, dealer, with(m, "a", "b", "")...)
			}
		}},
		{qzmq.DEALER, qzmq.ROUTER, func(t testing.TB, dealer, router party) {
			for _, m := range bodies() {
				gives(t, dealer, m...)
				wants(t, router, with(m, "first")...)
				gives(t, router, with(m, "first")...)
				wants(t, dealer, m...)
			}
		}},
		{qzmq.DEALER, qzmq.DEALER, bothWays},
		{qzmq.PAIR, qzmq.PAIR, bothWays},
		{qzmq.ROUTER, qzmq.ROUTER, func(t testing.TB, a, b party) {
			for _, m := range bodies() {
				gives(t, a, with(m, "second")...)
				wants(t, b, with(m, "first")...)
				gives(t, b, with(m, "first")...)
				wants(t, a, with(m, "second")...)
			}
		}},
		{qzmq.PUSH, qzmq.PULL, oneWay},
		{qzmq.PUB, qzmq.SUB, publish},
		{qzmq.XPUB, qzmq.SUB, publish},
		{qzmq.PUB, qzmq.XSUB, publish},
		{qzmq.XPUB, qzmq.XSUB, publish},
	}
}

// bodies are messages of sizes around the limits of frames and records, with empty parts
// and with many.
func bodies() (all [][]string) {
	for _, size := range []int{0, 1, 255, 256, 65_000, 65_519, 65_536, 300_000} {
		all = append(all, []string{strings.Repeat("x", size)})
	}
	many := make([]string, 300)
	for i := range many {
		many[i] = strings.Repeat("y", i)
	}
	return append(all, []string{"", "", ""}, []string{"a", "", strings.Repeat("z", 70_000), ""}, many)
}

func with(m []string, before ...string) []string { return append(before, m...) }

func oneWay(t testing.TB, from, to party) {
	for _, m := range bodies() {
		gives(t, from, m...)
		wants(t, to, m...)
	}
	for i := range 200 { // in order
		gives(t, from, fmt.Sprint(i), "more")
	}
	for i := range 200 {
		wants(t, to, fmt.Sprint(i), "more")
	}
}

func bothWays(t testing.TB, a, b party) {
	oneWay(t, a, b)
	oneWay(t, b, a)
}

// publish is for all publishers and subscribers. A PUB does not say who has subscribed,
// so it speaks until it is heard.
func publish(t testing.TB, pub, sub party) {
	subscribe := func(topic string) {
		if sub.kind() == qzmq.XSUB {
			gives(t, sub, "\x01"+topic)
		} else {
			sub.subscribe(topic)
		}
	}
	subscribe("topic")
	subscribe("heard")
	eventually(t, "somebody listens", func() bool {
		pub.offer("heard?")
		return sub.take(soon) != nil
	})
	gives(t, pub, "heard!")
	for m := sub.take(patient); m == nil || m[0] != "heard!"; m = sub.take(patient) {
		if m == nil {
			t.Fatal("nothing is heard")
		}
	}
	if pub.kind() == qzmq.XPUB {
		heard := map[string]bool{}
		for range 2 {
			heard[strings.Join(pub.take(patient), "|")] = true
		}
		if !heard["\x01topic"] || !heard["\x01heard"] {
			t.Errorf("an XPUB has heard %v", heard)
		}
	}
	for _, m := range bodies() {
		gives(t, pub, with(m, "other")...)
		gives(t, pub, with(m, "topic ")...)
		wants(t, sub, with(m, "topic ")...)
	}
}

package qzmq

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMandatoryAndHandover(t *testing.T) {
	a, b := sites(t, false, nil)
	router := open(t, b, ROUTER)
	url := bind(t, router, tcp)
	send(t, router, "nobody", "x") // dropped
	router.SetOption("router_mandatory", true)
	if err := router.SendMultipart([][]byte{[]byte("nobody"), nil}); !errors.Is(err, ErrHostUnreachable) {
		t.Errorf("%v", err)
	}
	first := open(t, a, DEALER, "identity", "x")
	connect(t, first, url)
	send(t, first, "1")
	expect(t, router, "x|1")
	second := open(t, a, DEALER, "identity", "x")
	events := router.Monitor()
	connect(t, second, url)
	if e := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(e.Err, errDuplicateID) {
		t.Errorf("%v", e.Err)
	}
	send(t, router, "x", "for the first")
	expect(t, first, "for the first")
	router.SetOption("router_handover", true)
	third := open(t, a, DEALER, "identity", "x")
	first.SetOption("reconnect_ivl", -1)
	second.Close()
	connect(t, third, url)
	send(t, third, "3")
	expect(t, router, "x|3")
	send(t, router, "x", "for the third")
	expect(t, third, "for the third")
}

func TestRequestRelaxed(t *testing.T) {
	a, _ := sites(t, true, nil)
	router, req := open(t, a, ROUTER), open(t, a, REQ, "req_relaxed", true, "req_correlate", true)
	connect(t, req, bind(t, router, tcp))
	var ids []string
	for i := range 3 {
		send(t, req, fmt.Sprint(i))
		m, err := router.RecvMultipart()
		if err != nil || len(m) != 4 || len(m[1]) != 4 || len(m[2]) != 0 || string(m[3]) != fmt.Sprint(i) {
			t.Fatalf("%q, %v", m, err)
		}
		ids = append(ids, string(m[0])+"|"+string(m[1]))
	}
	for i, both := range ids { // the first two are late
		id, correlation, _ := strings.Cut(both, "|")
		send(t, router, id, correlation, "", "reply "+fmt.Sprint(i))
	}
	expect(t, req, "reply 2")
	// Without ids it is the connection that tells old from new.
	for _, url := range []string{tcp, "inproc://relaxed"} {
		rep, req := open(t, a, REP), open(t, a, REQ, "req_relaxed", true, "reconnect_ivl", 1)
		connect(t, req, bind(t, rep, url))
		send(t, req, "old")
		expect(t, rep, "old")
		send(t, req, "new")
		time.Sleep(100 * time.Millisecond)
		send(t, rep, "to old")
		expect(t, rep, "new")
		send(t, rep, "to new")
		expect(t, req, "to new")
	}
}

func TestReplyEnvelope(t *testing.T) {
	a, _ := sites(t, true, nil)
	dealer, rep := open(t, a, DEALER), open(t, a, REP)
	connect(t, dealer, bind(t, rep, "inproc://rep"))
	send(t, dealer, "malformed")
	send(t, dealer, "")
	send(t, dealer, "a", "", "body", "", "more")
	expect(t, rep, "body||more")
	send(t, rep, "answer")
	expect(t, dealer, "a||answer")
}

func TestProbeRouter(t *testing.T) {
	a, b := sites(t, false, nil)
	router, dealer := open(t, b, ROUTER), open(t, a, DEALER, "probe_router", true, "routing_id", "x")
	connect(t, dealer, bind(t, router, tcp))
	expect(t, router, "x|")
	send(t, router, "x", "hello")
	expect(t, dealer, "hello")
}

func TestVerbose(t *testing.T) {
	for _, test := range []struct {
		option string
		want   string
	}{{"", "\x01a,\x00a"}, {"xpub_verbose", "\x01a,\x01a,\x00a"}, {"xpub_verboser", "\x01a,\x01a,\x00a,\x00a"}} {
		a, b := sites(t, false, nil)
		xpub := open(t, b, XPUB)
		if test.option != "" {
			xpub.SetOption(test.option, true)
		}
		url := bind(t, xpub, tcp)
		var subs []Socket
		for i := range 2 {
			sub := open(t, a, SUB)
			connect(t, sub, url)
			sub.Subscribe("a")
			subscribed(t, xpub, i+1)
			subs = append(subs, sub)
		}
		subs[0].Unsubscribe("a")
		subscribed(t, xpub, 1)
		subs[1].Close()
		subscribed(t, xpub, 0)
		var got []string
		for xpub.SetOption("rcvtimeo", 50); ; {
			m, err := xpub.Recv()
			if err != nil {
				break
			}
			got = append(got, string(m))
		}
		if strings.Join(got, ",") != test.want {
			t.Errorf("%q: %q, want %q", test.option, got, test.want)
		}
	}
}

func TestManual(t *testing.T) {
	a, b := sites(t, false, nil)
	xpub, sub := open(t, b, XPUB, "xpub_manual", true, "xpub_welcome_msg", "welcome"), open(t, a, SUB)
	sub.Subscribe("")
	if err := xpub.Subscribe("x"); !errors.Is(err, ErrState) {
		t.Errorf("%v", err)
	}
	connect(t, sub, bind(t, xpub, tcp))
	expect(t, sub, "welcome")
	expect(t, xpub, "\x01")
	if err := xpub.Subscribe("only"); err != nil {
		t.Fatal(err)
	}
	send(t, xpub, "other")
	send(t, xpub, "only this")
	expect(t, sub, "only this")
}

func TestNoDrop(t *testing.T) {
	a, _ := sites(t, true, nil)
	xpub, sub := open(t, a, XPUB, "xpub_nodrop", true, "sndhwm", 2, "sndtimeo", 0), open(t, a, SUB, "rcvhwm", 2)
	sub.Subscribe("")
	connect(t, sub, bind(t, xpub, "inproc://nodrop"))
	subscribed(t, xpub, 1)
	n := 0
	for ; n < 10; n++ {
		if err := xpub.Send([]byte("x")); err != nil {
			break
		}
	}
	if n != 4 {
		t.Errorf("%d were sent", n)
	}
}

func TestInvertMatching(t *testing.T) {
	a, b := sites(t, false, nil)
	pub, sub := open(t, b, PUB, "invert_matching", true), open(t, a, SUB, "invert_matching", true)
	sub.Subscribe("a")
	connect(t, sub, bind(t, pub, tcp))
	subscribed(t, pub, 1)
	send(t, pub, "abc")
	send(t, pub, "xyz")
	expect(t, sub, "xyz")
}

func TestPairTakesOne(t *testing.T) {
	a, b := sites(t, false, nil)
	x, y, z := open(t, b, PAIR), open(t, a, PAIR), open(t, a, PAIR)
	url := bind(t, x, tcp)
	events := x.Monitor()
	connect(t, y, url)
	send(t, y, "y")
	expect(t, x, "y")
	connect(t, z, url)
	if e := awaitEvent(t, events, EventHandshakeFailed); !errors.Is(e.Err, errOnePeer) {
		t.Errorf("%v", e.Err)
	}
	z.Close()
	send(t, x, "still")
	expect(t, y, "still")
	y.Close()
	awaitEvent(t, events, EventDisconnected) // until then another one is turned away
	w := open(t, a, PAIR)
	connect(t, w, url)
	send(t, w, "w")
	expect(t, x, "w")
}

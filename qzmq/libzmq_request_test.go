package qzmq_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// Requests and replies as libzmq's own tests have them; docs/libzmq-tests.md says which.

func TestReqRoundRobin(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		req := p.bound(qzmq.REQ)
		var reps []*sock
		for range 5 {
			reps = append(reps, p.to(req, qzmq.REP))
		}
		for range 2 {
			for _, rep := range reps {
				req.send("ABC")
				rep.expect("ABC")
				rep.send("DEF")
				req.expect("DEF")
			}
		}
	})
}

// A reply counts from who was asked, and from nobody else.
func TestReqListensToCurrentPeer(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		req := p.bound(qzmq.REQ, "routing_id", "A")
		var routers []*sock
		for range 3 {
			routers = append(routers, p.to(req, qzmq.ROUTER, "router_mandatory", true))
		}
		for i, asked := range routers {
			req.send("ABC")
			asked.expect("A", "", "ABC")
			for _, before := range routers[:i] {
				before.send("A", "", "WRONG")
			}
			asked.send("A", "", "GOOD")
			req.expect("GOOD")
		}
	})
}

func TestReqMessageFormat(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		req := p.bound(qzmq.REQ)
		router := p.to(req, qzmq.ROUTER)
		req.send("ABC", "DEF")
		m := router.recv()
		if len(m) != 4 || m[1] != "" || m[2] != "ABC" || m[3] != "DEF" {
			t.Fatalf("on the wire %q", m)
		}
		router.send(m[0], "", "GHI")
		req.expect("GHI")
	})
}

// A socket without a peer does not take a message.
func TestSendWithoutPeers(t *testing.T) {
	for _, kind := range []qzmq.SocketType{qzmq.REQ, qzmq.DEALER, qzmq.PUSH, qzmq.PAIR} {
		t.Run(kind.String(), func(t *testing.T) {
			s := newPlace(t, "tcp").bound(kind)
			s.refuses(qzmq.ErrAgain, "")
			s.set("sndtimeo", 50)
			began := time.Now()
			if err := s.Send(nil); err != qzmq.ErrTimeout || time.Since(began) < 50*time.Millisecond {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	}
}

// Two requests with their numbers, answered the wrong way round.
func TestReqCorrelate(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		router := p.bound(qzmq.ROUTER)
		req := p.to(router, qzmq.REQ, "req_correlate", true)
		req.send("question")
		m := router.recv()
		if len(m) != 4 || len(m[1]) != 4 || m[2] != "" || m[3] != "question" {
			t.Fatalf("on the wire %q", m)
		}
		for name, bad := range map[string][]string{
			"without a number":         {m[0], "", "wrong"},
			"another number":           {m[0], "9999", "", "wrong"},
			"a number that is longer":  {m[0], m[1] + "x", "", "wrong"},
			"no end of the envelope":   {m[0], m[1], "wrong"},
			"a number and nothing":     {m[0], m[1]},
			"an envelope, and no body": {m[0], m[1], ""},
		} {
			t.Log(name)
			router.send(bad...)
		}
		router.send(m[0], m[1], "", "right")
		req.expect("right")
	})
}

// With req_relaxed and req_correlate a second request is sent, to the next peer, and the
// reply to the first is not given out.
func TestReqRelaxedNextPeer(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		req := p.bound(qzmq.REQ, "req_relaxed", true, "req_correlate", true)
		var reps []*sock
		for range 3 {
			reps = append(reps, p.to(req, qzmq.REP))
		}
		for i, rep := range reps {
			req.send(fmt.Sprint("question ", i))
			rep.expect(fmt.Sprint("question ", i))
		}
		for i, rep := range reps {
			rep.send(fmt.Sprint("answer ", i))
		}
		req.expect("answer 2")
	})
}

// Case 1: a request, then another; what is late is dropped. Case 3: the first peer is gone.
func TestReqRelaxedLateReply(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		router := p.bound(qzmq.ROUTER)
		req := p.to(router, qzmq.REQ, "req_relaxed", true, "req_correlate", true)
		req.send("first")
		first := router.recv()
		req.send("second")
		second := router.recv()
		router.send(first[0], first[1], "", "late")
		router.send(second[0], second[1], "", "in time")
		req.expect("in time")
	})
}

// Without req_correlate the connection is replaced, so that nothing of it is taken for a
// reply to the second request.
func TestReqRelaxedAlone(t *testing.T) {
	p := newPlace(t, "tcp")
	router := p.bound(qzmq.ROUTER)
	req := p.to(router, qzmq.REQ, "req_relaxed", true, "reconnect_ivl", 1)
	req.send("first")
	first := router.recv()
	req.send("second")
	second := router.recv()
	if first[0] == second[0] {
		t.Error("the second request came by the connection of the first")
	}
	router.send(second[0], "", "in time")
	req.expect("in time")
}

func TestReqOutOfTurn(t *testing.T) {
	p := newPlace(t, "tcp")
	rep := p.bound(qzmq.REP)
	req := p.to(rep, qzmq.REQ)
	if _, err := req.Recv(); err != qzmq.ErrState {
		t.Errorf("a REQ that has not asked: %v", err)
	}
	rep.refuses(qzmq.ErrState, "unasked")
	req.send("x")
	req.refuses(qzmq.ErrState, "again")
	rep.expect("x")
	if _, err := rep.Recv(); err != qzmq.ErrState {
		t.Errorf("a REP that has not replied: %v", err)
	}
}

// Each of many is served in its turn, however much another one asks.
func TestRepFairQueue(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		rep := p.bound(qzmq.REP)
		var reqs []*sock
		for range 5 {
			reqs = append(reqs, p.to(rep, qzmq.REQ))
		}
		for range 2 {
			reqs[0].send("A")
			rep.expect("A")
			rep.send("A")
			reqs[0].expect("A")
		}
		for i, req := range reqs {
			req.send(fmt.Sprint(i))
		}
		served := map[string]bool{}
		for range reqs {
			m := rep.recv()
			served[m[0]] = true
			rep.send("to ", m[0])
		}
		for i, req := range reqs {
			req.expect("to ", fmt.Sprint(i))
		}
		if len(served) != len(reqs) {
			t.Errorf("served were %v", served)
		}
	})
}

func TestRepEnvelope(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		rep := p.bound(qzmq.REP)
		dealer := p.to(rep, qzmq.DEALER)
		for _, envelope := range [][]string{{""}, {"X", "Y", ""}} {
			dealer.send(append(envelope, "A", "", "B")...)
			rep.expect("A", "", "B")
			rep.send("C", "")
			dealer.expect(append(envelope, "C", "")...)
		}
	})
}

// What is no request is passed over.
func TestInvalidRep(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		rep := p.bound(qzmq.REP)
		dealer := p.to(rep, qzmq.DEALER)
		dealer.send("no", "end", "of the envelope")
		dealer.send("nothing", "")
		dealer.send("", "right")
		rep.expect("right")
		rep.send("reply")
		dealer.expect("", "reply")

		router := p.another(qzmq.ROUTER)
		req := p.to(router, qzmq.REQ)
		req.send("request")
		m := router.recv()
		router.send(m[0])
		router.send(m[0], "bottom")
		router.send(m[0], "")
		router.send(m[0], "", "reply")
		req.expect("reply")
	})
}

// A device of ROUTER and DEALER between REQ and REP.
func TestReqRepDevice(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		front, back := p.bound(qzmq.ROUTER), p.another(qzmq.DEALER)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- qzmq.Proxy(ctx, front, back, nil) }()
		req, rep := p.to(front, qzmq.REQ), p.to(back, qzmq.REP)
		for range 10 {
			req.send("ABC", "DEF")
			rep.expect("ABC", "DEF")
			rep.send("GHI", "JKL")
			req.expect("GHI", "JKL")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

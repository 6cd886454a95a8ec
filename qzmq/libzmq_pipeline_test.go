package qzmq_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq"
)

// PUSH and DEALER send to each peer in turn.
func TestSendsInTurn(t *testing.T) {
	for _, kinds := range [][2]qzmq.SocketType{{qzmq.PUSH, qzmq.PULL}, {qzmq.DEALER, qzmq.DEALER}} {
		t.Run(kinds[0].String(), func(t *testing.T) {
			everyplace(t, func(t *testing.T, p *place) {
				sender := p.bound(kinds[0])
				var receivers []*sock
				for range 5 {
					receivers = append(receivers, p.to(sender, kinds[1]))
				}
				for _, m := range []string{"ABC", "DEF"} {
					for range receivers {
						sender.send(m)
					}
				}
				for _, r := range receivers {
					r.expect("ABC")
					r.expect("DEF")
				}
			})
		})
	}
}

func TestDealerRoundRobin(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		dealer := p.bound(qzmq.DEALER)
		var reps []*sock
		for range 5 {
			reps = append(reps, p.to(dealer, qzmq.REP))
		}
		for range reps {
			dealer.send("", "ABC")
		}
		for _, rep := range reps {
			rep.expect("ABC")
		}
	})
}

// PULL and DEALER receive from each peer in turn.
func TestReceivesInTurn(t *testing.T) {
	for _, kinds := range [][2]qzmq.SocketType{{qzmq.PULL, qzmq.PUSH}, {qzmq.DEALER, qzmq.DEALER}} {
		t.Run(kinds[0].String(), func(t *testing.T) {
			everyplace(t, func(t *testing.T, p *place) {
				receiver := p.bound(kinds[0])
				var senders []*sock
				for range 5 {
					senders = append(senders, p.to(receiver, kinds[1]))
				}
				for i, s := range senders {
					s.send(fmt.Sprint("first ", i))
				}
				from := map[string]bool{}
				for range senders {
					from[receiver.recv()[0]] = true
				}
				if len(from) != len(senders) {
					t.Errorf("of each one, there were %v", from)
				}
			})
		})
	}
}

// One who says much does not keep out one who says little.
func TestFairQueueIsFair(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		pull := p.bound(qzmq.PULL)
		loud, quiet := p.to(pull, qzmq.PUSH), p.to(pull, qzmq.PUSH)
		loud.fill("loud")
		pull.readable()
		quiet.send("quiet")
		// It comes when it has arrived, and then within one round: what stands in one
		// record of the loud one counts as one.
		eventually(t, "the quiet one is heard", func() bool { return pull.recv()[0] == "quiet" })
	})
}

// A peer that goes takes with it what was to be sent to it, and one that comes again gets
// what is sent from then on.
func TestPushDestroysQueue(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			push := p.bound(qzmq.PUSH, "sndhwm", 1)
			at := push.at()
			pull := p.to(push, qzmq.PULL, "rcvhwm", 1)
			large := strings.Repeat("x", 1<<20)
			push.fill(large)
			if err := pull.Disconnect(at); err != nil {
				t.Fatal(err)
			}
			push.await(qzmq.EventDisconnected)
			eventually(t, "nobody to send to", func() bool {
				push.set("sndtimeo", 0)
				defer push.set("sndtimeo", patient)
				return errors.Is(push.Send([]byte("lost")), qzmq.ErrAgain)
			})
			pull.dial(at)
			push.connected()
			push.send("new")
			// What had arrived may be received, before or after; "lost" never is.
			for m, seen := "", false; !seen || pull.polls(qzmq.PollIn); seen = seen || m == "new" {
				if m = pull.recv()[0]; m != "new" && m != large {
					t.Fatalf("received %.20q", m)
				}
			}
		})
	}
}

// A message is lost whole or not at all when the peer goes in the middle of it.
func TestPushPartsStayTogether(t *testing.T) {
	for _, name := range []string{"tcp", "ipc", "plain"} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, name)
			push := p.bound(qzmq.PUSH, "sndhwm", 1, "linger", 0)
			at := push.at()
			large := strings.Repeat("b", 16<<20)
			pull := p.to(push, qzmq.PULL, "rcvhwm", 1, "linger", 0)
			push.send("0", "0", large)
			pull.expect("0", "0", large)
			push.send("1")
			push.send("2", "2", large)
			if err := pull.Disconnect(at); err != nil {
				t.Fatal(err)
			}
			push.await(qzmq.EventDisconnected)
			pull.dial(at)
			push.connected()
			push.send("5", "5", large)
			for {
				switch m := pull.recv(); m[0] {
				case "1":
					if len(m) != 1 {
						t.Fatalf("%d parts", len(m))
					}
				case "2":
					if len(m) != 3 || m[1] != "2" || m[2] != large {
						t.Fatalf("%d parts", len(m))
					}
				case "5":
					if len(m) != 3 || m[1] != "5" || m[2] != large {
						t.Fatalf("%d parts", len(m))
					}
					return
				default:
					t.Fatalf("received %.20q", m)
				}
			}
		})
	}
}

// PAIR: back and forth, and no third one.
func TestPairBackAndForth(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		a := p.bound(qzmq.PAIR)
		b := p.to(a, qzmq.PAIR)
		for range 3 {
			b.send("12345678ABCDEFGH", "12345678abcdefgh")
			a.expect("12345678ABCDEFGH", "12345678abcdefgh")
			a.send("back", "")
			b.expect("back", "")
		}
		third := open(t, p.connect, qzmq.PAIR, "reconnect_ivl", -1)
		third.Connect(a.at())
		if !p.inproc {
			a.await(qzmq.EventHandshakeFailed)
		}
		a.send("to the second")
		b.expect("to the second")
		third.empty()
	})
}

// When the one is gone there is room for another.
func TestPairAgain(t *testing.T) {
	everyplace(t, func(t *testing.T, p *place) {
		a := p.bound(qzmq.PAIR)
		for i := range 3 {
			b := p.to(a, qzmq.PAIR)
			b.send(fmt.Sprint(i))
			a.expect(fmt.Sprint(i))
			b.close()
			if !p.inproc {
				a.await(qzmq.EventDisconnected)
			}
			a.refuses(qzmq.ErrAgain, "nobody is there")
		}
	})
}

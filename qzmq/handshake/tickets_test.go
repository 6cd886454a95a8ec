package handshake

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func numbered(peer, n int) *ticket {
	t := &ticket{psk: make([]byte, 32), expires: time.Hour, signed: 0}
	binary.BigEndian.PutUint64(t.id[:], uint64(n))
	binary.BigEndian.PutUint64(t.peer[:], uint64(peer)+1)
	t.psk[0] = 1
	return t
}

// at gives what find does, where no ticket has been used.
func (s *ServerTickets) at(t *testing.T, now time.Duration, id ticketID) *ticket {
	t.Helper()
	found, err := s.find(now, id)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTicketBounds(t *testing.T) {
	s, err := NewServerTickets(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := numbered(0, 1), numbered(0, 2), numbered(0, 1000)
	s.put(0, a)
	s.put(0, b)
	for n := range TicketsPerPeer - 2 {
		s.put(0, numbered(0, 900+n))
	}
	if s.at(t, 0, a.id) == nil {
		t.Error("there is less room than there should be")
	}
	s.put(0, c)
	if s.Len() != TicketsPerPeer || s.at(t, 0, a.id) != nil || s.at(t, 0, b.id) == nil || s.at(t, 0, c.id) == nil {
		t.Errorf("%d tickets of one peer, the oldest %v", s.Len(), s.at(t, 0, a.id))
	}
	if a.psk[0] != 0 || b.psk[0] != 1 {
		t.Error("what makes room is not wiped, or what stays is")
	}
	for n := range MaxTickets + 100 {
		s.put(0, numbered(1+n, 10+n))
	}
	if s.Len() != MaxTickets || len(s.ids) != MaxTickets || len(s.peers) != MaxTickets {
		t.Errorf("%d tickets, %d names, %d peers", s.Len(), len(s.ids), len(s.peers))
	}
	if s.at(t, 0, numbered(0, 10+99+2).id) == nil || s.at(t, 0, b.id) != nil {
		t.Error("not the oldest made room")
	}
	s.Expire(time.Hour - 1)
	if s.Len() != MaxTickets {
		t.Error("expired too early")
	}
	s.Expire(time.Hour)
	if s.Len() != 0 || len(s.ids) != 0 || len(s.peers) != 0 {
		t.Errorf("%d tickets are left", s.Len())
	}
	s.put(time.Hour, numbered(1, 1))
	if s.Len() != 0 {
		t.Error("an old ticket is taken")
	}
	if s.Revoke(numbered(1, 1).peer) != 0 {
		t.Error("revoked what is not there")
	}
	for _, lifetime := range []time.Duration{0, -1, time.Millisecond, 8 * 24 * time.Hour} {
		if _, err := NewClientTickets(lifetime); err == nil {
			t.Errorf("a lifetime of %v is taken", lifetime)
		}
	}
}

// TestClientTake: the newest that fits, each once.
func TestClientTake(t *testing.T) {
	s, err := NewClientTickets(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a, b := numbered(0, 1), numbered(0, 2)
	s.put(0, a)
	s.put(0, b)
	all := func(*ticket) bool { return true }
	if s.take(0, numbered(7, 1).peer, all) != nil || s.take(time.Hour, a.peer, all) != nil ||
		s.take(0, a.peer, func(*ticket) bool { return false }) != nil {
		t.Error("took what does not fit")
	}
	if got := s.take(0, a.peer, all); got == nil || got.id != b.id || got.psk[0] != 1 || b.psk[0] != 0 {
		t.Errorf("%v is not the newest, or it is still on the shelf", got)
	}
	if got := s.take(0, Fingerprint{}, all); got == nil || got.id != a.id {
		t.Errorf("looking among all: %v", got)
	}
	if s.Len() != 0 {
		t.Errorf("%d left", s.Len())
	}
}

// TestTicketRace: of many that find a ticket at once, one has it. Run with -race.
func TestTicketRace(t *testing.T) {
	server, err := NewServerTickets(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClientTickets(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		var spent, refused, taken atomic.Int32
		x := numbered(n, n)
		server.put(0, x)
		client.put(0, numbered(n, n))
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				defer func() {
					server.put(0, numbered(n+1000, n+1000))
					server.Expire(0)
					server.Revoke(numbered(n+1000, 0).peer)
					if client.take(0, x.peer, func(*ticket) bool { return true }) != nil {
						taken.Add(1)
					}
				}()
				if tk, err := server.find(0, x.id); tk != nil && tk.psk[0] == 1 {
					var first bool
					if first, err = server.spend(0, x.id, true); first {
						spent.Add(1)
						return
					}
					refused.Add(1)
					if !errors.Is(err, ErrTicketUsed) {
						t.Error(err)
					}
				} else if refused.Add(1); !errors.Is(err, ErrTicketUsed) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if spent.Load() != 1 || refused.Load() != 7 || taken.Load() != 1 {
			t.Fatalf("spent %d times, refused %d times, taken %d times", spent.Load(), refused.Load(), taken.Load())
		}
	}
}

// TestResumeAtOnce: one recorded ClientHello at many responders of one store.
func TestResumeAtOnce(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	var asked atomic.Int32
	p.responderConf.Authorize = func(Fingerprint) bool { asked.Add(1); return true }
	p.remembering()
	p.finish()
	p.start()
	var resumed atomic.Int32
	var wait sync.WaitGroup
	d := p.door()
	for range 8 {
		wait.Go(func() {
			r := d.Responder(testAddr, time.Time{})
			r.Greetings(p.rSees[0], p.rSees[1])
			reply, done, err := r.Handle(p.hello)
			if err != nil {
				refused{ErrTicketUsed, AlertHandshakeFailure, false}.check(t, "the others", reply, done, err)
			} else if h, bad := parseServerHello(reply); bad == nil && h.psk {
				resumed.Add(1)
			} else {
				t.Errorf("a full handshake, %v", bad)
			}
		})
	}
	wait.Wait()
	if resumed.Load() != 1 {
		t.Errorf("resumed %d times", resumed.Load())
	}
}

// FuzzPSK gives any psk extension to a responder with tickets: never resumed.
func FuzzPSK(f *testing.F) {
	p := newPair(f)
	p.iSource, p.rSource = source{reader: sameByte(1)}, source{reader: sameByte(2)}
	p.withTickets()
	p.finish()
	p.start()
	h, err := parseClientHello(p.hello)
	if err != nil {
		f.Fatal(err)
	}
	right, _ := h.extensions.get(extPSK)
	rest := h.extensions[:len(h.extensions)-len(right)-4]
	f.Add(right)
	f.Add(right[:16])
	f.Add(append(make([]byte, 16), right[16:]...))
	p.rSource = source{reader: rand.Reader}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1000 || string(body) == string(right) {
			return
		}
		p := *p
		p.t = t
		c := h
		c.extensions = append(extensions(nil), rest...).with(extPSK, body)
		reply, done, err := p.freshResponder().Handle(remac(c, p.initiatorConf.Peer))
		if done != nil || err == nil && kind(reply) != typeServerHello {
			t.Fatalf("%x: message %d, %v", body, kind(reply), err)
		}
		if sh, bad := parseServerHello(reply); bad == nil && sh.psk {
			t.Fatalf("resumed with %x", body)
		}
		if p.responderConf.ServerTickets.Len() != 1 {
			t.Fatalf("%x has burnt the ticket", body)
		}
	})
}

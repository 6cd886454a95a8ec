package handshake

import (
	"errors"
	"runtime"
	"testing"
	"time"
)

// use has a peer use a ticket, and says whether it was accepted.
func (s *ServerTickets) use(t *testing.T, now time.Duration, x *ticket) bool {
	t.Helper()
	x.expires = now + time.Hour
	x.signed = now
	s.put(now, x)
	ok, err := s.spend(now, x.id, true)
	if err != nil {
		t.Fatal(err)
	}
	if s.at(t, now, numbered(0, 0).id) != nil || s.Len() != 0 {
		t.Fatal("a spent ticket is on the shelf")
	}
	return ok
}

func TestUsedBounds(t *testing.T) {
	s, err := NewServerTickets(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 1
	for peer := range MaxUsed / UsedPerPeer {
		for range UsedPerPeer {
			if !s.use(t, 0, numbered(peer, n)) {
				t.Fatalf("peer %d: ticket %d is not accepted", peer, n)
			}
			n++
		}
		if s.use(t, 0, numbered(peer, n)) {
			t.Fatalf("peer %d: one more than its share", peer)
		}
		n++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	size := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d names take %d bytes, %d each", s.Used(), size, size/int64(s.Used()))
	if s.Used() != MaxUsed || size > MaxUsed*160 {
		t.Errorf("%d names take %d bytes", s.Used(), size)
	}
	if s.use(t, 0, numbered(1<<20, n)) {
		t.Error("accepted, and there is no room for its name")
	}
	if _, err := s.find(0, numbered(0, 1).id); !errors.Is(err, ErrTicketUsed) {
		t.Errorf("the oldest: %v", err)
	}
	if s.use(t, time.Hour-1, numbered(1<<20, n+1)); s.Used() != MaxUsed {
		t.Error("forgotten too early")
	}
	if !s.use(t, time.Hour, numbered(1<<20, n+2)) || s.Used() != 1 || len(s.used.names) != 1 || len(s.used.peers) != 1 {
		t.Errorf("after a lifetime %d names, %d, of %d peers", s.Used(), len(s.used.names), len(s.used.peers))
	}
}

// TestUsedOutlastsAShortLifetime: an initiator may still wait for its answer when its
// ticket would be over.
func TestUsedOutlastsAShortLifetime(t *testing.T) {
	s, err := NewServerTickets(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	x := numbered(0, 1)
	s.use(t, 0, x)
	if _, err := s.find(usedAtLeast-1, x.id); !errors.Is(err, ErrTicketUsed) {
		t.Errorf("%v", err)
	}
	if _, err := s.find(usedAtLeast, x.id); err != nil {
		t.Errorf("%v", err)
	}
}

// TestTurns: who takes a turn, as what, and that each is left once. Whoever can be
// refused without public-key work takes none.
func TestTurns(t *testing.T) {
	p := newPair(t)
	clock := p.withTickets()
	var taken []bool
	left := 0
	var full error
	turns := func(r *Responder) *Responder {
		r.TakeTurns(func(ticket bool) (func(), error) {
			if full != nil {
				return nil, full
			}
			taken = append(taken, ticket)
			return func() { left++ }, nil
		})
		return r
	}
	check := func(name string, want ...bool) {
		t.Helper()
		same := len(taken) == len(want) && left == len(want)
		for i := 0; same && i < len(want); i++ {
			same = taken[i] == want[i]
		}
		if !same {
			t.Errorf("%s: turns %v, %d left, want %v", name, taken, left, want)
		}
		taken, left = nil, 0
	}
	p.start()
	turns(p.r)
	p.fromHello()
	check("full", false, false)
	p.start()
	turns(p.r)
	p.fromHello()
	check("resumed", true, true)

	p.start()
	wrong := append([]byte(nil), p.hello...)
	wrong[len(wrong)-1] ^= 1
	turns(p.freshResponder()).Handle(wrong)
	check("wrong MAC")
	h, _ := parseClientHello(p.hello)
	psk, _ := h.extensions.get(extPSK)
	psk[len(psk)-1] ^= 1
	turns(p.freshResponder()).Handle(remac(h, p.initiatorConf.Peer))
	psk[len(psk)-1] ^= 1
	check("bad binder")
	p.withCookies()
	p.responderConf.Clock = clock.read
	turns(p.freshResponder()).Handle(p.hello)
	check("asked for a cookie")
	p.responderConf.Cookies = nil

	full = errors.New("full")
	r := turns(p.freshResponder())
	reply, done, err := r.Handle(p.hello)
	refused{full, AlertHandshakeFailure, false}.check(t, "no turn", reply, done, err)
}

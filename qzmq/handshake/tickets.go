package handshake

import (
	"container/list"
	"errors"
	"slices"
	"sync"
	"time"
)

// A ticket is 16 random bytes that name a PSK in the memory of both sides. There
// is no key that seals tickets, so nobody can steal one, and a ticket is used once
// because it is deleted then. After a restart, or at another gateway, the name
// means nothing and the handshake is a full one. tickets_used.go has what is left of
// a ticket when it is used.

// Bounds of a store: of each peer, which may have many connections that come up at once,
// and of all. The oldest makes room.
const (
	TicketsPerPeer = 64
	MaxTickets     = 10_000
)

type ticketID [16]byte

// ticket is a PSK and what the session inherits that is resumed with it.
type ticket struct {
	hidden
	id          ticketID
	psk         []byte
	suite       Suite
	own, peer   Fingerprint
	alg         Signature    // the peer's
	certificate *Certificate // the peer's, as shown; judged anew at every use
	purpose     Purpose
	service     string

	// By the clock of this side. signed is when both sides last signed: a chain of
	// resumptions does not grow older than one lifetime.
	signed, expires time.Duration
}

// ServerTickets are the PSKs of a process's responders. Any number of goroutines
// may use it.
type ServerTickets struct {
	shelf
	used usedTickets
}

// ClientTickets are those of its initiators. The two are separate types, so that a
// gateway that is both cannot be made to resume a session with itself.
type ClientTickets struct{ shelf }

// NewServerTickets makes an empty store. No session is resumed later than lifetime
// after its peers last signed; it lies between 1 s and 7 days.
func NewServerTickets(lifetime time.Duration) (*ServerTickets, error) {
	s := new(ServerTickets)
	s.used.init(lifetime)
	return s, s.init(lifetime)
}

// NewClientTickets makes an empty store; lifetime as in NewServerTickets. The
// shorter one of both sides decides.
func NewClientTickets(lifetime time.Duration) (*ClientTickets, error) {
	s := new(ClientTickets)
	return s, s.init(lifetime)
}

// shelf is what both stores are.
type shelf struct {
	hidden
	lifetime time.Duration

	mu    sync.Mutex // guards what follows
	order *list.List // of *ticket, the oldest first
	ids   map[ticketID]*list.Element
	peers map[Fingerprint][]*list.Element // the oldest first
}

func (s *shelf) init(lifetime time.Duration) error {
	if lifetime < time.Second || lifetime > 7*24*time.Hour {
		return errors.New("handshake: the lifetime of tickets lies between 1 s and 7 days")
	}
	s.lifetime = lifetime
	s.order = list.New()
	s.ids = make(map[ticketID]*list.Element)
	s.peers = make(map[Fingerprint][]*list.Element)
	return nil
}

// put stores t, which belongs to the shelf from now on. expires is set here, from
// t.signed, and is at most the value that it has.
func (s *shelf) put(now time.Duration, t *ticket) {
	t.expires = min(t.expires, t.signed+s.lifetime)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.ids[t.id]; again || t.expires <= now {
		clear(t.psk)
		return
	}
	if mine := s.peers[t.peer]; len(mine) == TicketsPerPeer {
		s.remove(mine[0])
	}
	if s.order.Len() == MaxTickets {
		s.remove(s.order.Front())
	}
	e := s.order.PushBack(t)
	s.ids[t.id] = e
	s.peers[t.peer] = append(s.peers[t.peer], e)
}

// remove takes a ticket off the shelf and wipes it. The caller holds s.mu.
func (s *shelf) remove(e *list.Element) {
	t := s.order.Remove(e).(*ticket)
	clear(t.psk)
	delete(s.ids, t.id)
	rest := slices.DeleteFunc(s.peers[t.peer], func(o *list.Element) bool { return o == e })
	if s.peers[t.peer] = rest; len(rest) == 0 {
		delete(s.peers, t.peer)
	}
}

// copy is a ticket that outlives the one on the shelf.
func (t *ticket) copy() *ticket {
	c := *t
	c.psk = slices.Clone(t.psk)
	return &c
}

func (t *ticket) wipe() {
	if t != nil {
		clear(t.psk)
	}
}

// Revoke deletes the tickets of a peer that is no longer trusted, and says how
// many there were. That the peer is refused is a matter of Config.Authorize.
func (s *shelf) Revoke(peer Fingerprint) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := slices.Clone(s.peers[peer])
	for _, e := range mine {
		s.remove(e)
	}
	return len(mine)
}

// RevokeAll deletes every ticket: rights have changed, and whose is not known here.
func (s *shelf) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.order.Len() > 0 {
		s.remove(s.order.Front())
	}
}

// Expire deletes what is too old at now, by the caller's monotonic clock. What is
// too old is not used in any case; this makes its key go away.
func (s *shelf) Expire(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*ticket).expires <= now {
			s.remove(e)
		}
		e = next
	}
}

// Len is how many tickets there are.
func (s *shelf) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order.Len()
}

// find gives a copy of the ticket, nil if there is none at now. The only error is
// ErrTicketUsed.
func (s *ServerTickets) find(now time.Duration, id ticketID) (*ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used.has(now, id) {
		return nil, ErrTicketUsed
	}
	e, ok := s.ids[id]
	if !ok || e.Value.(*ticket).expires <= now {
		return nil, nil
	}
	return e.Value.(*ticket).copy(), nil
}

// spend deletes a ticket whose binder has verified and may remember its name. It is
// true for one caller only, however many have found the ticket: ErrTicketUsed
// tells the others if the name is remembered. Without an error and not true, the
// ticket is gone, or its name cannot be remembered.
func (s *ServerTickets) spend(now time.Duration, id ticketID, remember bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used.has(now, id) {
		return false, ErrTicketUsed
	}
	e, ok := s.ids[id]
	if !ok {
		return false, nil
	}
	if remember {
		ok = s.used.add(now, e.Value.(*ticket))
	}
	s.remove(e)
	return ok, nil
}

// Used is how many names of used tickets are remembered.
func (s *ServerTickets) Used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.used.order)
}

// take removes and gives the newest ticket that fits, nil if there is none. With
// the zero peer all are looked at, for an initiator that knows its peer by name.
func (s *ClientTickets) take(now time.Duration, peer Fingerprint, fits func(*ticket) bool) *ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	good := func(e *list.Element) *ticket {
		t := e.Value.(*ticket)
		if t.expires <= now || !fits(t) {
			return nil
		}
		t = t.copy()
		s.remove(e)
		return t
	}
	if !peer.IsZero() {
		for _, e := range slices.Backward(s.peers[peer]) {
			if t := good(e); t != nil {
				return t
			}
		}
		return nil
	}
	for e := s.order.Back(); e != nil; e = e.Prev() {
		if t := good(e); t != nil {
			return t
		}
	}
	return nil
}

package handshake

import "time"

// A ticket that has been used leaves its name behind, since the ClientHello that
// used it can be sent again by who has seen it. Were the name unknown then, a full
// handshake would follow, and the initiator, if it has not had its answer yet,
// would say for the second time what was taken early. So a used ticket is refused;
// an initiator takes a ticket out of its store before it offers it, and never
// meets this. Where no early data is taken there is nothing to say twice, and the
// name is not kept: a peer comes back as often as it likes.
//
// A name is kept for a lifetime of tickets, and for usedAtLeast, after its use: an
// initiator does not wait as long for its answer. No ticket is accepted whose name
// could not be kept.

// Bounds of the names: of each peer, so that none can use up the room of others,
// and of all.
const (
	UsedPerPeer = 1_024
	MaxUsed     = 65_536

	usedAtLeast = 10 * time.Minute
)

// usedTickets is guarded by the lock of the shelf that it is part of.
type usedTickets struct {
	names map[ticketID]struct{}
	peers map[Fingerprint]int // how many names are of each
	order []usedTicket        // the oldest first
	keep  time.Duration
}

type usedTicket struct {
	id    ticketID
	peer  Fingerprint
	until time.Duration
}

func (u *usedTickets) init(lifetime time.Duration) {
	u.names = make(map[ticketID]struct{})
	u.peers = make(map[Fingerprint]int)
	u.keep = max(lifetime, usedAtLeast)
}

// add remembers a ticket that is used now. It is false when there is no room.
func (u *usedTickets) add(now time.Duration, t *ticket) bool {
	u.expire(now)
	if len(u.order) == MaxUsed || u.peers[t.peer] == UsedPerPeer {
		return false
	}
	u.names[t.id] = struct{}{}
	u.peers[t.peer]++
	u.order = append(u.order, usedTicket{t.id, t.peer, now + u.keep})
	return true
}

// expire forgets what was used long ago. All are kept for as long, so the oldest
// go first.
func (u *usedTickets) expire(now time.Duration) {
	n := 0
	for ; n < len(u.order) && u.order[n].until <= now; n++ {
		old := &u.order[n]
		delete(u.names, old.id)
		if u.peers[old.peer]--; u.peers[old.peer] == 0 {
			delete(u.peers, old.peer)
		}
	}
	if u.order = u.order[n:]; len(u.order) == 0 {
		u.order = nil // with what stands before it
	}
}

func (u *usedTickets) has(now time.Duration, id ticketID) bool {
	u.expire(now)
	_, ok := u.names[id]
	return ok
}

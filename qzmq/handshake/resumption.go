package handshake

import (
	"crypto/hmac"
	"encoding/binary"
	"slices"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// Resumption (2.5): who has the PSK of an earlier session need not sign. Fresh KEM
// shares are exchanged all the same, so that a stolen PSK opens nothing by itself.
// It is for connecting again only: rotation is always a signed handshake, because
// a thief of a PSK could stay in the middle through any number of resumptions.
//
// psk in the ClientHello, always its last extension:
//
//	ticket 16 | binder L
//
// The binder proves the PSK before the responder deletes the ticket; else whoever
// has seen a ClientHello could burn its ticket. ticket in Finished:
//
//	ticket 16 | lifetime u32, seconds

const ticketBodyLen = len(ticketID{}) + 4

// pskBodyLen says whether n can be the length of psk: the binder's depends on the
// suite of the ticket, which only who knows the ticket can tell.
func pskBodyLen(n int) bool {
	for h := record.Hash(1); h.Valid(); h++ {
		if n == len(ticketID{})+h.Size() {
			return true
		}
	}
	return false
}

// binder is over the prologue without the responder's greeting, which the
// initiator has not seen yet, and the ClientHello up to the binder.
func binder(h record.Hash, psk, prologue, partial []byte) []byte {
	early := newSchedule(h, psk)
	defer early.wipe()
	key := early.derive(labelBinder, h.New().Sum(nil))
	defer clear(key)
	return finishedMAC(h, key, digestOf(h, prologue[:len(prologue)-greetingLen], partial))
}

func digestOf(h record.Hash, parts ...[]byte) []byte {
	d := h.New()
	for _, b := range parts {
		d.Write(b)
	}
	return d.Sum(nil)
}

// psk gives ticket and binder of a ClientHello, and all of msg before the binder.
// Not ok means that none is offered; check has seen to the layout.
func (h *clientHello) psk(msg []byte) (id ticketID, mac, partial []byte, ok bool) {
	body, ok := h.extensions.get(extPSK)
	if !ok {
		return id, nil, nil, false
	}
	copy(id[:], body)
	mac = body[len(id):]
	return id, mac, msg[:len(msg)-silenceMACLen-len(mac)], true
}

// offer looks for a ticket to resume with, if this handshake is for reconnecting.
// What was good enough then must be so today.
func (i *Initiator) offer() *ticket {
	c := &i.config
	if !c.Reconnect || c.ClientTickets == nil {
		return nil
	}
	return c.ClientTickets.take(c.Clock(), c.Peer, func(t *ticket) bool {
		if t.own != c.Identity.fingerprint || t.purpose != c.Purpose || t.service != c.Service ||
			!slices.Contains(c.Suites, t.suite) ||
			c.PeerName != "" && (t.certificate == nil || t.certificate.Name != c.PeerName) {
			return false // before a signature is verified, with the store locked
		}
		_, err := c.admitResponder(t.peer, t.certificate)
		return err == nil
	})
}

// withPSK ends the extensions of h with the ticket and its binder.
func (h *clientHello) withPSK(t *ticket, prologue []byte) {
	n := t.suite.Hash.Size()
	h.extensions = h.extensions.with(extPSK, append(t.id[:], make([]byte, n)...))
	b := h.unauthenticated()
	mac := binder(t.suite.Hash, t.psk, prologue, b[:len(b)-n])
	copy(h.extensions[len(h.extensions)-n:], mac)
}

// redeem gives the ticket that a ClientHello offers, deleted from the store, and
// nil for a full handshake. Errors are ErrBinder, and then the ticket stays, and
// ErrTicketUsed.
func (r *Responder) redeem(h *clientHello, msg []byte) (*ticket, error) {
	c := &r.config
	id, mac, partial, ok := h.psk(msg)
	if !ok || c.ServerTickets == nil {
		return nil, nil
	}
	now := c.Clock()
	t, err := c.ServerTickets.find(now, id)
	if t == nil {
		return nil, err
	}
	if !hmac.Equal(binder(t.suite.Hash, t.psk, r.prologue, partial), mac) {
		t.wipe()
		return nil, ErrBinder
	}
	// Whoever is first has it. From here on nobody else can use it, whether it
	// does for this handshake or not. Where nothing is taken early nothing can be said
	// twice, and the room for names is left to those who need it.
	if spent, err := c.ServerTickets.spend(now, id, c.SafeTopics != nil); !spent {
		t.wipe()
		return nil, err
	}
	return t, nil
}

// stillGood asks today's policy about an old session. Purpose and service are
// compared here already, since early data comes before the initiator repeats them.
func (r *Responder) stillGood(t *ticket, p Purpose, suite Suite) bool {
	c := &r.config
	if t.suite != suite || t.own != c.Identity.fingerprint || t.purpose != p || p != c.Purpose ||
		t.service != c.Service || !c.Mode.admitsKey(t.alg) || c.isOwn(t.peer) {
		return false
	}
	_, err := c.admitInitiator(t.peer, t.certificate)
	return err == nil
}

// keep makes a ticket out of a session that has just been agreed.
func (s *Session) keep(c *Config, id ticketID, f *flight, lifetime time.Duration) *ticket {
	return &ticket{
		id: id, psk: s.psk(id), suite: s.suite,
		own: c.Identity.fingerprint, peer: s.peer, alg: f.alg, certificate: f.certificate,
		purpose: c.Purpose, service: c.Service,
		signed: s.signed, expires: c.Clock() + lifetime,
	}
}

// psk derives the key that a ticket names.
func (s *Session) psk(id ticketID) []byte {
	return record.ExpandLabel(s.suite.Hash, s.resumption, labelResumption, id[:], s.suite.Hash.Size())
}

// issue gives the body of Finished's ticket, nil for none, and stores the PSK.
func (r *Responder) issue(s *Session, f *flight) ([]byte, error) {
	c := &r.config
	if c.ServerTickets == nil {
		return nil, nil
	}
	now := c.Clock()
	lifetime := s.signed + c.ServerTickets.lifetime - now
	if lifetime < time.Second {
		return nil, nil // the chain is too old: the next handshake signs
	}
	random, err := r.source.random(len(ticketID{}))
	if err != nil {
		return nil, err
	}
	id := ticketID(random)
	c.ServerTickets.put(now, s.keep(c, id, f, lifetime))
	return binary.BigEndian.AppendUint32(random, uint32(lifetime/time.Second)), nil
}

// accept takes the ticket of a Finished, if there is one.
func (i *Initiator) accept(s *Session, ext extensions) error {
	body, ok := ext.get(extTicket)
	if !ok {
		return nil
	}
	if len(body) != ticketBodyLen {
		return ErrMalformed
	}
	seconds := binary.BigEndian.Uint32(body[len(ticketID{}):])
	if seconds == 0 {
		return ErrMalformed
	}
	if c := &i.config; c.ClientTickets != nil {
		c.ClientTickets.put(c.Clock(), s.keep(c, ticketID(body[:len(ticketID{})]), &i.inherits, time.Duration(seconds)*time.Second))
	}
	return nil
}

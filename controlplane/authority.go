package controlplane

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// authority decides which key may be the peer of which link. A link knows its peer
// by key (peer), by name (peer_name), or by both, and then both must be right. A
// key bears a name when the file of authorised keys says so, or a certificate that
// the handshake has found genuine and in force. The operator's own file comes
// first: a key that is pinned by a link, or named by the file, has no other name,
// whatever a certificate says.
//
// Its methods may be called by any goroutine.
type authority struct {
	links       []LinkConfig
	own         handshake.Fingerprint
	certificate *handshake.Certificate // own, nil for none
	trusted     []*handshake.Authority
	keys        []authorisedKey
	knock       *handshake.Knock            // that callers need, nil for none
	knocks      map[string]*handshake.Knock // by link: that its peer demands
	relays      map[string]*relayKeys       // by relay: what its own files say

	pinned map[handshake.Fingerprint]bool   // by some link
	named  map[handshake.Fingerprint]string // by the file; empty names are left out

	mu      sync.Mutex
	holders map[string]handshake.Fingerprint // by link: the key that was admitted last
}

func newAuthority(own handshake.Fingerprint, links []LinkConfig, trusted []*handshake.Authority, keys []authorisedKey) *authority {
	a := &authority{
		links: links, own: own, trusted: trusted, keys: keys,
		pinned:  map[handshake.Fingerprint]bool{},
		named:   map[handshake.Fingerprint]string{},
		holders: map[string]handshake.Fingerprint{},
	}
	for _, l := range links {
		if !l.Peer.IsZero() {
			a.pinned[l.Peer] = true
		}
	}
	for _, k := range keys {
		if k.name != "" {
			a.named[k.fingerprint] = k.name
		}
	}
	return a
}

// The reasons for which a proved key is not the peer of a link.
var (
	errNoLink     = errors.New("no link has this peer")
	errOtherKey   = errors.New("the link pins another key")
	errOtherName  = errors.New("the link's peer has another name")
	errTwoNames   = errors.New("this key is another link's peer already")
	errOwnKey     = errors.New("the peer has this gateway's own key")
	errRouteAbove = errors.New("the peer's certificate does not allow a route of the link")
)

// show fills in what this gateway shows its peers, and whom it believes.
func (a *authority) show(c *handshake.Config, now time.Time) {
	c.Authorities, c.Now = a.trusted, now
	if a.certificate != nil {
		c.Certificate = a.certificate.Marshal()
	}
}

// calling fills in whom an initiator calls for a link. A name may be borne by
// several keys, of which one attempt can call only one, so attempts, counted from
// 0, take turns.
func (a *authority) calling(c *handshake.Config, l *LinkConfig, attempt int, now time.Time) {
	a.show(c, now)
	c.Peer, c.PeerName, c.Knock = l.Peer, l.PeerName, a.knocks[l.Name]
	if l.PeerName == "" {
		return
	}
	keys := a.keysOf(l.PeerName)
	if !l.Peer.IsZero() {
		if slices.Contains(keys, l.Peer) {
			c.PeerName = "" // the file has named it
		}
		return
	}
	ways := len(keys)
	if len(a.trusted) > 0 {
		ways++
	}
	if ways == 0 {
		return // nobody bears it since a reload; the handshake refuses to call nobody
	}
	if way := attempt % ways; way < len(keys) {
		c.Peer, c.PeerName = keys[way], ""
	}
}

// answering fills in whom a responder lets in: the peers of links. Which link, and
// whether its routes are allowed, is for linkOf to say.
func (a *authority) answering(c *handshake.Config, now time.Time) {
	a.show(c, now)
	c.Knock = a.knock
	c.Authorize = func(f handshake.Fingerprint) bool {
		_, err := a.match(f, nil)
		return err == nil
	}
	if len(a.trusted) > 0 {
		c.AuthorizeCertified = func(certificate *handshake.Certificate) bool {
			_, err := a.match(certificate.Fingerprint(), certificate)
			return err == nil
		}
	}
}

// linkOf gives the link of a peer that has called, after its handshake. The error
// is that no link has this peer, or that of admit.
func (a *authority) linkOf(peer handshake.Fingerprint, certificate *handshake.Certificate) (*LinkConfig, error) {
	l, err := a.match(peer, certificate)
	if err != nil {
		return nil, err
	}
	return l, a.admit(l, peer, certificate)
}

// match finds the link that a key is the peer of.
func (a *authority) match(peer handshake.Fingerprint, certificate *handshake.Certificate) (*LinkConfig, error) {
	why := errNoLink
	for i := range a.links {
		l := &a.links[i]
		err := a.isPeer(l, peer, certificate)
		if err == nil {
			return l, nil
		}
		if l.Peer == peer || certificate != nil && l.PeerName == certificate.Name {
			why = err // of the link that it comes closest to
		}
	}
	return nil, why
}

// admit says whether a peer that has proved its key, at either end of a handshake,
// may be the peer of this link, and remembers it. It is called when the link is set
// up, each time anew: so a rotation finds a certificate expired, and a key that was
// taken out of the file gone.
func (a *authority) admit(l *LinkConfig, peer handshake.Fingerprint, certificate *handshake.Certificate) error {
	if err := a.isPeer(l, peer, certificate); err != nil {
		return err
	}
	// What the operator wrote down himself is not limited by what somebody else did.
	if l.PeerName != "" && a.named[peer] != l.PeerName {
		for _, r := range l.Routes {
			if !certificate.Allows(r) {
				return fmt.Errorf("%w: %v", errRouteAbove, r)
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, holder := range a.holders {
		if holder == peer && name != l.Name {
			return fmt.Errorf("%w: %s", errTwoNames, name)
		}
	}
	a.holders[l.Name] = peer
	return nil
}

// isPeer compares a key, and its certificate or nil, with what a link asks for.
func (a *authority) isPeer(l *LinkConfig, peer handshake.Fingerprint, certificate *handshake.Certificate) error {
	if peer == a.own {
		return errOwnKey
	}
	if !l.Peer.IsZero() && peer != l.Peer {
		return errOtherKey
	}
	if l.PeerName == "" {
		return nil
	}
	if l.Peer.IsZero() && a.pinned[peer] {
		return errTwoNames
	}
	name := a.named[peer]
	if name == "" && certificate != nil && certificate.Fingerprint() == peer {
		name = certificate.Name
	}
	if name != l.PeerName {
		return errOtherName
	}
	return nil
}

// keysOf gives the keys of a name in the file, in its order, without our own: the
// file may be the same on every gateway.
func (a *authority) keysOf(name string) (keys []handshake.Fingerprint) {
	for _, k := range a.keys {
		if k.name == name && k.fingerprint != a.own {
			keys = append(keys, k.fingerprint)
		}
	}
	return keys
}

// expiring says that a certificate is about to end, or has ended, in words for a
// log; it is empty for one that has more than handshake.WarnBefore left, and for nil.
func expiring(c *handshake.Certificate, now time.Time) string {
	if c == nil || !c.ExpiresSoon(now) {
		return ""
	}
	left := c.NotAfter.Sub(now)
	if left < 0 {
		return fmt.Sprintf("the certificate of %s has expired on %s", c.Name, inUTC(c.NotAfter))
	}
	return fmt.Sprintf("the certificate of %s expires on %s, in %d days", c.Name, inUTC(c.NotAfter), int(left/(24*time.Hour)))
}

package controlplane

import (
	"slices"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// What a relay asks of its peers. Everything is asked of the authority in force, so a
// reload changes the answer for connections that are up too.

// ways gives the handshakes by which a relay reaches its peer, the first of which is
// tried first: one for each key that the peer may have. There is one where it listens.
func (rs *relays) ways(cfg *Config, c *RelayConfig, a *authority) []handshake.Config {
	p, keys := rs.peering, a.relays[c.Name]
	h := handshake.Config{
		Identity: keys.identities[0], Mode: cfg.QZMQ.Mode, Service: c.Service, Knock: keys.knock,
		Authorities: a.trusted, Now: time.Now(), Clock: sinceBoot,
	}
	if keys.certificate != nil {
		h.Certificate = keys.certificate.Marshal()
	}
	if !c.Listen.Sealed {
		return rs.calls(h, cfg.QZMQ.DefaultSuite, c, a)
	}
	h.MoreIdentities = keys.identities[1:]
	for _, id := range keys.identities {
		if s := withKey(cfg.QZMQ.DefaultSuite, id); !slices.Contains(h.Suites, s) {
			h.Suites = append(h.Suites, s)
		}
	}
	h.Authorize = func(f handshake.Fingerprint) bool { return rs.mayCall(c, f, nil) }
	if len(h.Authorities) > 0 {
		h.AuthorizeCertified = func(cert *handshake.Certificate) bool { return rs.mayCall(c, cert.Fingerprint(), cert) }
	}
	h.ServerTickets, h.Cookies, h.CookieDemanded = p.serverTickets, p.callers.cookies, p.callers.cookieDemanded
	return []handshake.Config{h}
}

// calls completes h for calling the relay's peer. A name may be borne by several keys
// of the file, and by whoever has a certificate.
func (rs *relays) calls(h handshake.Config, suite handshake.Suite, c *RelayConfig, a *authority) (ways []handshake.Config) {
	// The suite names the algorithm of the key that is called, which only its owner
	// knows; the mode says which may be.
	for sig := handshake.Ed25519; sig.Valid(); sig++ {
		if suite.Sig = sig; h.Mode.Admits(suite) {
			h.Suites = append(h.Suites, suite)
		}
	}
	h.ClientTickets, h.Reconnect = rs.peering.clientTickets, rs.peering.clientTickets != nil
	h.Peer, h.PeerName = c.Peer, c.PeerName
	if !h.Peer.IsZero() {
		if a.named[h.Peer] == h.PeerName {
			h.PeerName = "" // the file has named it
		}
		return []handshake.Config{h}
	}
	for _, key := range a.keysOf(c.PeerName) {
		if isOwn := func(id *handshake.Identity) bool { return id.Fingerprint() == key }; !slices.ContainsFunc(a.relays[c.Name].identities, isOwn) {
			pinned := h
			pinned.Peer, pinned.PeerName = key, ""
			ways = append(ways, pinned)
		}
	}
	if len(a.trusted) > 0 || len(ways) == 0 { // which calls nobody, and is refused for that
		ways = append(ways, h)
	}
	return ways
}

// nameOf gives the name that a key has now at a relay: by the relay's own file, by that
// of authorised keys, or else by its certificate.
func (rs *relays) nameOf(c *RelayConfig, f handshake.Fingerprint, cert *handshake.Certificate) string {
	a := rs.authority.Load()
	if keys := a.relays[c.Name]; keys != nil && keys.allowed[f] != "" {
		return keys.allowed[f]
	}
	if name := a.named[f]; name != "" {
		return name
	}
	// One that has expired is for the next connection; who has issued it must still be
	// believed.
	if cert != nil && cert.Fingerprint() == f && cert.Check(a.trusted, cert.NotAfter) == nil {
		return cert.Name
	}
	return ""
}

// mayCall says whether the bearer of a key, and perhaps of a certificate, may use a
// relay that listens sealed.
func (rs *relays) mayCall(c *RelayConfig, f handshake.Fingerprint, cert *handshake.Certificate) bool {
	keys := rs.authority.Load().relays[c.Name]
	if keys == nil {
		return false // it has just been taken out of the configuration
	}
	if _, there := keys.allowed[f]; there || slices.Contains(c.Allow, f) {
		return true
	}
	name := rs.nameOf(c, f, cert)
	return name != "" && (slices.Contains(c.AllowNames, name) || slices.Contains(c.AllowNames, Anybody))
}

// mayStay says whether a peer may use a relay still, on either side of the call.
func (rs *relays) mayStay(c *RelayConfig, f handshake.Fingerprint, cert *handshake.Certificate) bool {
	if c.Listen.Sealed {
		return rs.mayCall(c, f, cert)
	}
	return c.PeerName == "" || rs.nameOf(c, f, cert) == c.PeerName
}

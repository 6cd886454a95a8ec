package controlplane

import (
	"fmt"
	"net/netip"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// linksSeen remembers what the links before have claimed, by the path of the
// key that claimed it: what belongs to one link cannot belong to another.
type linksSeen struct {
	names     map[string]string
	peers     map[handshake.Fingerprint]string
	peerNames map[string]string
	routes    map[netip.Prefix]string
}

// links decodes the section links. A gateway without links is allowed, as an
// interface without peers is in WireGuard; it protects nothing.
func (d *decoder) links(root *section, c *Config) {
	items, _ := root.list("links")
	seen := &linksSeen{map[string]string{}, map[handshake.Fingerprint]string{}, map[string]string{}, map[netip.Prefix]string{}}
	for i, n := range items {
		l, peerLine := d.link(d.open(n, itemPath("links", i), n.Line), c, seen)
		c.Links = append(c.Links, l)
		c.peerLines = append(c.peerLines, peerLine)
	}
}

func (d *decoder) link(s *section, c *Config, seen *linksSeen) (l LinkConfig, peerLine int) {
	l = LinkConfig{Other: OtherPass, Phase: PhaseEnforce, Mode: c.QZMQ.Mode, Suite: c.QZMQ.DefaultSuite}
	required(s, "name", aText(), &l.Name, unique(seen.names, s.child("name"), parseName))
	peerLine = d.peer(s, c, &l, seen)
	optional(s, "endpoint", aText(), &l.Endpoint, func(v string) (netip.AddrPort, error) {
		return parseEndpoint(v, c.Gateway.Outside)
	})
	knockLine, _ := optional(s, "knock", aText(), &l.Knock, parsePath)
	c.knockLines = append(c.knockLines, knockLine)
	l.Routes = d.routes(s, seen)
	l.Services = d.services(s)
	other, there := optional(s, "other", aText(), &l.Other, oneOf(OtherPass, OtherDrop))
	if there && l.Services == nil {
		d.fail(other, s.child("other"), "there are no services, so all traffic to the routes is protected and none is other")
	}
	optional(s, "phase", aText(), &l.Phase, refusing("observe", refusing("canary", oneOf(PhaseEnforce))))
	modeLine := d.line(s, "mode")
	line := modeLine
	if _, there := s.keys["default_suite"]; there {
		line = d.line(s, "default_suite")
	}
	optional(s, "mode", aText(), &l.Mode, parseMode)
	d.suite(s.section("default_suite"), l.Mode, &l.Suite)
	own := c.QZMQ.DefaultSuite.Sig
	switch {
	case !l.Mode.Admits(l.Suite):
		d.fail(line, s.child("default_suite"), "%v is not allowed in mode %v", l.Suite, l.Mode)
	case !l.Mode.Admits(l.answers(own)):
		d.fail(modeLine, s.child("mode"), "%v does not allow this gateway's own key, which is for %v as qzmq.default_suite.sig says", l.Mode, own)
	}
	s.later("key_rotation", "anti_dos", "resumption")
	s.end()
	return l, peerLine
}

// peer decodes who the peer is, by key or by name or by both, and gives the line
// of the first of them.
func (d *decoder) peer(s *section, c *Config, l *LinkConfig, seen *linksSeen) int {
	line, pinned := optional(s, "peer", aText(), &l.Peer, unique(seen.peers, s.child("peer"), parsePeer))
	nameLine, named := optional(s, "peer_name", aText(), &l.PeerName, unique(seen.peerNames, s.child("peer_name"), c.parseBearer))
	switch {
	case pinned:
		return line
	case !named:
		s.missing("peer")
	}
	return nameLine
}

func (d *decoder) routes(s *section, seen *linksSeen) (routes []netip.Prefix) {
	items, there := s.list("routes")
	if !there {
		s.missing("routes")
	}
	for i, n := range items {
		path := itemPath(s.child("routes"), i)
		if p, ok := scalar(d, n, path, aText(), unique(seen.routes, path, parsePrefix)); ok {
			routes = append(routes, p)
		}
	}
	return routes
}

// services gives nil when there is no such key, and then only.
func (d *decoder) services(link *section) []ServiceConfig {
	items, there := link.list("services")
	if !there {
		return nil
	}
	services, names := []ServiceConfig{}, map[string]string{}
	for i, n := range items {
		s := d.open(n, itemPath(link.child("services"), i), n.Line)
		var sv ServiceConfig
		required(s, "name", aText(), &sv.Name, unique(names, s.child("name"), parseName))
		sv.Ports = d.ports(s)
		s.end()
		services = append(services, sv)
	}
	return services
}

func (d *decoder) ports(s *section) (ports []PortRange) {
	items, there := s.list("ports")
	if !there {
		s.missing("ports")
	}
	for i, n := range items {
		if r, ok := scalar(d, n, itemPath(s.child("ports"), i), aTextOrNumber(), parsePortRange); ok {
			ports = append(ports, r)
		}
	}
	return ports
}

// unique refuses a value that seen holds already, and enters it otherwise.
func unique[T comparable](seen map[T]string, path string, convert func(string) (T, error)) func(string) (T, error) {
	return func(s string) (T, error) {
		v, err := convert(s)
		if err != nil {
			return v, err
		}
		if first, taken := seen[v]; taken {
			return v, fmt.Errorf("%q is %s already", s, first)
		}
		seen[v] = path
		return v, nil
	}
}

// parseEndpoint takes an address that the outside can reach and that is not
// this gateway.
func parseEndpoint(s string, outside OutsideConfig) (netip.AddrPort, error) {
	ep, err := parseAddrPort(s)
	if err != nil {
		return ep, err
	}
	if _, err := parseHostAddress(ep.Addr().String()); err != nil {
		return ep, err
	}
	if ep.Port() == 0 {
		return ep, fmt.Errorf("%q has no port", s)
	}
	if !outside.Address.IsValid() {
		return ep, nil // reported already
	}
	if ep.Addr().Is4() != outside.Address.Is4() {
		return ep, fmt.Errorf("%q and gateway.outside.address %q are not of one family", s, outside.Address)
	}
	if ep == netip.AddrPortFrom(outside.Address, outside.Port) {
		return ep, fmt.Errorf("%q is this gateway itself", s)
	}
	return ep, nil
}

package handshake

import (
	"net/netip"
	"slices"
	"strings"
)

// Roles is what a certified key may be: a side of the handshake, for a purpose.
// A key that may only call cannot pass for the one who is called, so under one
// authority nobody can stand in for everybody else.
type Roles uint8

// The roles of version 1: bit (side of the handshake) + 2 x (purpose - 1).
const (
	ZMTPInitiator Roles = 1 << iota
	ZMTPResponder
	LinkInitiator
	LinkResponder

	ZMTPRoles = ZMTPInitiator | ZMTPResponder
	LinkRoles = LinkInitiator | LinkResponder
	allRoles  = ZMTPRoles | LinkRoles
)

func roleFor(r role, p Purpose) Roles { return 1 << (uint(r) + 2*uint(p-1)) }

var roleNames = [...]struct {
	roles Roles
	name  string
}{
	{LinkRoles, "link"}, {ZMTPRoles, "zmtp"},
	{LinkInitiator, "link-initiator"}, {LinkResponder, "link-responder"},
	{ZMTPInitiator, "zmtp-initiator"}, {ZMTPResponder, "zmtp-responder"},
}

func (r Roles) valid() bool { return r != 0 && r&^allRoles == 0 }

// String gives the shortest list that ParseRoles reads as r.
func (r Roles) String() string {
	var list []string
	for _, n := range roleNames {
		if r&n.roles == n.roles {
			list = append(list, n.name)
			r &^= n.roles
		}
	}
	return strings.Join(list, ",")
}

// ParseRoles reads a list with commas between: link-initiator, link-responder,
// zmtp-initiator, zmtp-responder, and link or zmtp for both sides of one.
func ParseRoles(s string) (Roles, error) {
	var all Roles
	for word := range strings.SplitSeq(s, ",") {
		at := slices.IndexFunc(roleNames[:], func(n struct {
			roles Roles
			name  string
		}) bool {
			return n.name == word
		})
		if at < 0 {
			return 0, errRoles
		}
		all |= roleNames[at].roles
	}
	return all, nil
}

const (
	family4 = 4
	family6 = 6
)

// marshalRoute writes a valid prefix; comparing what it writes is the order of
// routes in a certificate.
func marshalRoute(p netip.Prefix) []byte {
	family := byte(family6)
	if p.Addr().Is4() {
		family = family4
	}
	return append([]byte{family, byte(p.Bits())}, p.Addr().AsSlice()...)
}

func takeRoutes(in *cursor) []netip.Prefix {
	var routes []netip.Prefix
	for range in.u8() {
		family, bits := in.u8(), in.u8()
		n := 0
		switch family {
		case family4:
			n = 4
		case family6:
			n = 16
		default:
			in.bad = true
			return nil
		}
		address, ok := netip.AddrFromSlice(in.take(n))
		if !ok || int(bits) > 8*n {
			in.bad = true
			return nil
		}
		routes = append(routes, netip.PrefixFrom(address, int(bits)))
	}
	return routes
}

// inOrder gives routes as a certificate has them: masked, ascending, each once.
func inOrder(routes []netip.Prefix) []netip.Prefix {
	list := slices.Clone(routes)
	for i, r := range list {
		list[i] = r.Masked()
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return slices.Compare(marshalRoute(a), marshalRoute(b))
	})
	return slices.Compact(list)
}

// Allows says whether a route may lie behind the subject: whether it is within
// one of the certificate's routes. Two halves that are allowed do not make their
// whole allowed.
func (c *Certificate) Allows(route netip.Prefix) bool {
	return slices.ContainsFunc(c.Routes, func(r netip.Prefix) bool {
		return route.IsValid() && r.Bits() <= route.Bits() && r.Contains(route.Addr())
	})
}

package controlplane

import (
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The guard keeps protected traffic from leaving in clear while no gateway runs.
//
// The XDP program that takes protected packets off the inside interface goes
// when the process does. The kernel would then see those packets and, with
// forwarding on, route them to the peer's network as they are. So before
// anything is attached the gateway puts policy rules into the kernel that
// blackhole exactly the traffic it protects. While it runs they change nothing:
// the packets are redirected before the kernel asks its rules. After a crash
// they are all that is left, and they stay until clearGuard or a reboot.
//
// They are rules and not routes because a blackhole route knows only the
// destination: it would also stop what `other: pass` lets through, the
// gateway's own packets to the peer's network, and traffic that came in by any
// other interface. A rule can name the interface, the protocol and the port.
//
// Rules are ordered as the program's longest-prefix match decides: longer
// prefixes stand first. Some rules leap over the rest of the guard to its last
// rule, which does nothing, and so leave the packet to the operator's own rules
// and tables:
//   - for a prefix the inside interface is connected to, where a link's wider
//     route (0.0.0.0/0) would cut its hosts off from each other;
//   - for what `other: pass` lets through, where another link's wider route
//     would stop it.
//
// Not covered: fragments of the traffic of services, the first one included,
// since the kernel looks for no ports in them (links that protect whole routes
// cover fragments too); an inside interface that is a port of a bridge or
// belongs to a VRF, since rules then see the master's name; VLAN sub-interfaces
// and connected prefixes that came after syncGuard.

// guardRule is one route whose traffic must not leave in clear.
type guardRule struct {
	route    netip.Prefix
	services []PortRange // only TCP and UDP from or to these; none means all
}

const (
	// guardProtocol marks our rules (FRA_PROTOCOL), for us and in `ip -d rule`.
	// No routing daemon listed in iproute2's rt_protos uses the number.
	guardProtocol = 0x51

	// guardFirst is the number of the first rule. It is after the kernel's
	// local table (0), so the gateway's own addresses are always reachable,
	// and well before the main table (32766).
	guardFirst = 100

	// For each length of a prefix, from 128 down to 0, there are five numbers:
	guardServices = 0 // blackholes
	guardLowPorts = 1 // leaps of the ports below a range that ends at 65535
	guardTopPorts = 2 // blackholes for what these leave over
	guardLanding  = 3 // the end of these leaps
	guardPass     = 4 // leaps to the end of the guard
	guardStride   = 5

	// guardEnd is the number of the last rule, which does nothing.
	guardEnd = guardFirst + guardStride*(128+1)
)

// guardNumber is the number of a rule about prefixes of that length.
func guardNumber(bits, slot int) int { return guardFirst + guardStride*(128-bits) + slot }

// kernelRule is a policy rule of ours in the form in which two can be compared.
type kernelRule struct {
	number       int
	action       uint8 // nl.FR_ACT_...
	leap         int   // the number that FR_ACT_GOTO goes on with, else 0
	iif          string
	to           netip.Prefix // of length 0: no condition, but still the family
	proto        int          // 0: any
	sport, dport PortRange    // zero: any
}

// kernelRules works out the rules for interfaces (the inside one and its VLAN
// sub-interfaces), which are connected to the given prefixes.
func kernelRules(interfaces []string, connected []netip.Prefix, rules []guardRule) map[kernelRule]struct{} {
	b := guardBuilder{interfaces: interfaces, out: make(map[kernelRule]struct{})}
	for _, g := range rules {
		b.protect(g)
		if len(g.services) > 0 && widerExists(rules, g.route) {
			b.leap(g.route)
		}
	}
	for _, c := range connected {
		if widerExists(rules, c) {
			b.leap(c)
		}
	}
	return b.out
}

// widerExists reports whether a rule's route contains p and more.
func widerExists(rules []guardRule, p netip.Prefix) bool {
	for _, g := range rules {
		if g.route.Bits() < p.Bits() && g.route.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

type guardBuilder struct {
	interfaces []string
	out        map[kernelRule]struct{}
}

// everywhere adds k for each interface.
func (b *guardBuilder) everywhere(k kernelRule) {
	k.to = k.to.Masked()
	for _, k.iif = range b.interfaces {
		b.out[k] = struct{}{}
	}
}

// leap lets what is left of the traffic to p pass the rest of the guard.
func (b *guardBuilder) leap(p netip.Prefix) {
	b.everywhere(kernelRule{number: guardNumber(p.Bits(), guardPass), action: nl.FR_ACT_GOTO, leap: guardEnd, to: p})
	b.land(guardEnd, p)
}

// land makes the rule in which leaps of p's family end.
func (b *guardBuilder) land(number int, p netip.Prefix) {
	family := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if !p.Addr().Is4() {
		family = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	b.out[kernelRule{number: number, action: nl.FR_ACT_NOP, to: family}] = struct{}{}
}

// protect blackholes what g names.
func (b *guardBuilder) protect(g guardRule) {
	const topPort = 65535
	bits := g.route.Bits()
	hole := kernelRule{number: guardNumber(bits, guardServices), action: nl.FR_ACT_BLACKHOLE, to: g.route}
	if len(g.services) == 0 {
		b.everywhere(hole)
		return
	}
	top := topPort + 1 // where the lowest range up to the last port begins
	for _, s := range g.services {
		s.First = max(s.First, 1) // the kernel takes 0 for "any"
		if s.Last == topPort {
			top = min(top, int(s.First))
			continue
		}
		for _, proto := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			k := hole
			k.proto = proto
			k.dport = s
			b.everywhere(k)
			k.dport, k.sport = k.sport, s
			b.everywhere(k)
		}
	}
	if top <= topPort {
		b.protectTop(g.route, PortRange{1, uint16(top - 1)})
	}
}

// protectTop blackholes TCP and UDP but for packets with both ports in below.
// The kernel refuses a range that ends at 65535, so the ports up to the last
// one are those left over when the ones below have leapt away. Fragments, which
// have no ports, are left over too.
func (b *guardBuilder) protectTop(route netip.Prefix, below PortRange) {
	bits := route.Bits()
	landing := guardNumber(bits, guardLanding)
	for _, proto := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		b.everywhere(kernelRule{number: guardNumber(bits, guardTopPorts), action: nl.FR_ACT_BLACKHOLE, to: route, proto: proto})
		if below.Last > 0 {
			b.everywhere(kernelRule{number: guardNumber(bits, guardLowPorts), action: nl.FR_ACT_GOTO, leap: landing,
				to: route, proto: proto, sport: below, dport: below})
			b.land(landing, route)
		}
	}
}

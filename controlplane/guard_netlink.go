package controlplane

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// syncGuard makes the kernel hold exactly the rules that keep the given traffic
// from being forwarded when it arrives on the interface inside, in the network
// namespace of the calling thread. New rules are added before stale ones go, so
// that nothing protected before and after is open in between; on an error all
// rules that were there still are, or more. The interface need not exist: the
// rules wait for its name.
func syncGuard(inside string, rules []guardRule) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	interfaces, connected, err := insideOf(h, inside)
	if err != nil {
		return err
	}
	return applyGuard(h, kernelRules(interfaces, connected, rules))
}

// clearGuard removes all our rules from the network namespace of the calling
// thread, whichever interface they are for.
func clearGuard() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	return applyGuard(h, nil)
}

// insideOf names the interface and its VLAN sub-interfaces, and the prefixes
// they are connected to.
func insideOf(h *netlink.Handle, inside string) (names []string, connected []netip.Prefix, err error) {
	links, err := whole(h.LinkList)
	if err != nil {
		return nil, nil, fmt.Errorf("list interfaces: %w", err)
	}
	names, ours := withVLANs(links, inside)
	addrs, err := whole(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if !ours[a.LinkIndex] {
			continue
		}
		network := a.IPNet
		if a.Peer != nil {
			network = a.Peer
		}
		if p, ok := prefixOf(network); ok && !p.Addr().IsLinkLocalUnicast() {
			connected = append(connected, p)
		}
	}
	return names, connected, nil
}

// withVLANs is an interface's name and those of the VLANs upon it, with the
// indexes of those that exist. Tags do not matter here: what the dataplane
// cannot send to must not leave in clear either.
func withVLANs(links []netlink.Link, device string) (names []string, ours map[int]bool) {
	names = []string{device}
	ours = make(map[int]bool)
	for _, l := range links {
		if l.Attrs().Name == device {
			ours[l.Attrs().Index] = true
		}
	}
	for grown := true; grown; { // VLANs may lie upon VLANs
		grown = false
		for _, l := range links {
			a := l.Attrs()
			if l.Type() == "vlan" && a.NetNsID < 0 && ours[a.ParentIndex] && !ours[a.Index] {
				ours[a.Index], grown = true, true
				names = append(names, a.Name)
			}
		}
	}
	return names, ours
}

// applyGuard turns the kernel's rules of our protocol into want.
//
// Blackholes come before leaps and go after them, so that no leap is ever in
// force without the blackholes it was made for.
func applyGuard(h *netlink.Handle, want map[kernelRule]struct{}) error {
	have := make(map[kernelRule]bool)
	var stale []netlink.Rule
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		list, err := whole(func() ([]netlink.Rule, error) { return h.RuleList(family) })
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
			continue // a kernel without IPv6 has none of its rules
		}
		if err != nil {
			return fmt.Errorf("list rules: %w", err)
		}
		for _, r := range list {
			if r.Protocol != guardProtocol {
				continue
			}
			k := readRule(r)
			if _, wanted := want[k]; wanted && !have[k] {
				have[k] = true
				continue
			}
			r.Type = k.action
			stale = append(stale, r)
		}
	}
	add := slices.SortedFunc(maps.Keys(want), func(a, b kernelRule) int { return cmp.Compare(b.action, a.action) })
	for _, k := range add {
		if have[k] {
			continue
		}
		if err := h.RuleAdd(writeRule(k)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add rule %d for %s: %w", k.number, k.to, err)
		}
	}
	slices.SortStableFunc(stale, func(a, b netlink.Rule) int { return cmp.Compare(a.Type, b.Type) })
	for i := range stale {
		if err := h.RuleDel(&stale[i]); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove rule %d for %s: %w", stale[i].Priority, stale[i].Dst, err)
		}
	}
	return nil
}

// writeRule is k as the kernel is told.
func writeRule(k kernelRule) *netlink.Rule {
	r := netlink.NewRule()
	r.Priority, r.IifName, r.IPProto = k.number, k.iif, k.proto
	r.Type, r.Protocol = k.action, guardProtocol
	r.Family = unix.AF_INET
	if !k.to.Addr().Is4() {
		r.Family = unix.AF_INET6
	}
	if k.to.Bits() > 0 {
		r.Dst = &net.IPNet{IP: k.to.Addr().AsSlice(), Mask: net.CIDRMask(k.to.Bits(), k.to.Addr().BitLen())}
	}
	if k.action == nl.FR_ACT_GOTO {
		r.Goto = k.leap
	}
	if k.sport != (PortRange{}) {
		r.Sport = netlink.NewRulePortRange(k.sport.First, k.sport.Last)
	}
	if k.dport != (PortRange{}) {
		r.Dport = netlink.NewRulePortRange(k.dport.First, k.dport.Last)
	}
	return r
}

// readRule is a rule of the kernel as we compare it. The library does not tell
// its action, but each number of the guard has only one; a foreign rule that
// carries our mark gets action 0, which makes it stale.
func readRule(r netlink.Rule) kernelRule {
	k := kernelRule{number: r.Priority, iif: r.IifName, proto: r.IPProto}
	switch r.Family {
	case unix.AF_INET:
		k.to = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	default:
		k.to = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	if p, ok := prefixOf(r.Dst); ok {
		k.to = p
	}
	if r.Sport != nil {
		k.sport = PortRange{r.Sport.Start, r.Sport.End}
	}
	if r.Dport != nil {
		k.dport = PortRange{r.Dport.Start, r.Dport.End}
	}
	slot := (r.Priority - guardFirst) % guardStride
	switch {
	case r.Table != 0 || r.Priority < guardFirst || r.Priority > guardEnd:
	case r.Goto >= 0:
		k.action, k.leap = nl.FR_ACT_GOTO, r.Goto
	case r.Priority == guardEnd || slot == guardLanding:
		k.action = nl.FR_ACT_NOP
	default:
		k.action = nl.FR_ACT_BLACKHOLE
	}
	return k
}

// prefixOf is the network in our terms; it fails for none.
func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if !ok || addr.Unmap().BitLen() != bits {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr.Unmap(), ones).Masked(), true
}

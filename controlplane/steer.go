package controlplane

import (
	"fmt"
	"net/netip"

	"github.com/qzmq/gateway/bpf"
	"github.com/vishvananda/netlink"
)

// steeringRoutes says what steer_inside takes: the links' routes, but nothing
// that is the gateway's own or its neighbours' affair, even where a link's
// route is as wide as 0.0.0.0/0.
func steeringRoutes(links []LinkConfig, local []netip.Prefix) ([]bpf.Route, error) {
	var routes []bpf.Route
	taken := map[netip.Prefix]string{}
	for _, l := range links {
		for _, prefix := range l.Routes {
			taken[prefix] = l.Name
			r := bpf.Route{Prefix: prefix, OtherDrop: l.Other == OtherDrop}
			for _, s := range l.Services {
				for _, ports := range s.Ports {
					r.Services = append(r.Services, bpf.Range(ports))
				}
			}
			routes = append(routes, r)
		}
	}
	seen := map[netip.Prefix]bool{}
	for _, prefix := range append(local, neverProtected...) {
		if name := taken[prefix]; name != "" {
			return nil, fmt.Errorf("link %s: route %v is this gateway's own network", name, prefix)
		}
		if !seen[prefix] {
			seen[prefix] = true
			routes = append(routes, bpf.Route{Prefix: prefix, Local: true})
		}
	}
	return routes, nil
}

// neverProtected are the destinations that are for the local network only.
var neverProtected = []netip.Prefix{
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("255.255.255.255/32"),
	netip.MustParsePrefix("ff00::/8"),
	netip.MustParsePrefix("fe80::/10"),
}

// localPrefixes are the gateway's own addresses, on whatever interface, and the
// networks that the inside interface is connected to; and the inside addresses
// that ICMP errors come from.
func localPrefixes(inside string) (prefixes []netip.Prefix, v4, v6 netip.Addr, err error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, v4, v6, fmt.Errorf("list the interfaces: %w", err)
	}
	for _, link := range links {
		addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		if err != nil {
			return nil, v4, v6, fmt.Errorf("list the addresses of %s: %w", link.Attrs().Name, err)
		}
		for _, a := range addrs {
			addr, ok := netip.AddrFromSlice(a.IP)
			if addr = addr.Unmap(); !ok || addr.IsLinkLocalUnicast() || addr.IsLoopback() {
				continue
			}
			prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
			if link.Attrs().Name != inside {
				continue
			}
			bits, _ := a.Mask.Size()
			prefixes = append(prefixes, netip.PrefixFrom(addr, bits).Masked())
			switch {
			case addr.Is4() && !v4.IsValid():
				v4 = addr
			case addr.Is6() && !v6.IsValid():
				v6 = addr
			}
		}
	}
	return prefixes, v4, v6, nil
}

package controlplane

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// errNoWay says that the kernel would not send to an address through the side
// it is wanted on.
var errNoWay = errors.New("no route through this interface")

// subscribe hears of every change that can move a next hop. Addresses and
// rules are among them because the kernel removes the IPv4 routes of an
// address or of an interface that goes down without a word.
func subscribe() (*nl.NetlinkSocket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_NEXTHOP,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV4_IFADDR,
		unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("subscribe to routes and neighbours: %w", err)
	}
	// Without the right to exceed the system's limit, its limit will do: what
	// is lost is noticed and listed anew.
	if s.SetReceiveBufferSize(noticeBuffer, true) != nil {
		if err := s.SetReceiveBufferSize(noticeBuffer, false); err != nil {
			s.Close()
			return nil, fmt.Errorf("size the netlink buffer: %w", err)
		}
	}
	return s, nil
}

// notices are messages of the kernel, or word that some were lost, or the error
// that ends them.
type notices struct {
	msgs []syscall.NetlinkMessage
	lost bool
	err  error
}

// receive hands over what the kernel tells until the socket is closed or quit
// is. It closes to on the way out.
func (r *resolver) receive(to chan<- notices, quit <-chan struct{}) {
	defer close(to)
	for {
		msgs, from, err := r.socket.Receive()
		n := notices{msgs: msgs}
		switch {
		case errors.Is(err, unix.ENOBUFS):
			n.lost = true
		case err != nil:
			n.err = err
		case from.Pid != nl.PidKernel:
			continue // another process may write to our socket
		}
		select {
		case to <- n:
		case <-quit:
			return
		}
		if n.err != nil {
			return
		}
	}
}

// whole lists until a listing was not disturbed by a change, but not for ever:
// on a busy table the last one is used, and notices correct it.
func whole[T any](list func() ([]T, error)) ([]T, error) {
	for try := 0; ; try++ {
		l, err := list()
		if err == nil || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return l, err
		}
		if try == 3 {
			return l, nil
		}
	}
}

// lookup asks the kernel's routes which neighbour on which interface leads to
// a destination.
//
// The question does not name the interface. With a name the kernel considers
// that interface's routes only, and would call an address reachable through it
// that it sends elsewhere by a better route.
func (r *resolver) lookup(s side, addr netip.Addr) (neighbourKey, error) {
	var o netlink.RouteGetOptions
	if s == outsideSide && r.source.Is4() == addr.Is4() && r.source.IsValid() {
		o.SrcAddr = r.source.AsSlice()
	}
	routes, err := r.handle.RouteGetWithOptions(addr.AsSlice(), &o)
	if err != nil {
		return neighbourKey{}, err
	}
	if len(routes) != 1 || routes[0].Type != unix.RTN_UNICAST {
		return neighbourKey{}, errNoWay
	}
	out := routes[0]
	if e, ok := r.links.Load().egress[out.LinkIndex]; !ok || e.side != s {
		return neighbourKey{}, errNoWay
	}
	next := addr
	if via, ok := out.Via.(*netlink.Via); ok { // an IPv6 router for IPv4
		next, ok = netip.AddrFromSlice(via.Addr)
		if !ok {
			return neighbourKey{}, errNoWay
		}
	} else if gw, ok := netip.AddrFromSlice(out.Gw); ok {
		next = gw.Unmap()
	}
	return neighbourKey{out.LinkIndex, next}, nil
}

// solicit has the kernel find out or confirm a neighbour's hardware address.
// It stands for a packet sent to it: an unknown neighbour is asked for by ARP
// or ND, a stale one is probed, a confirmed one is left alone.
func (r *resolver) solicit(k neighbourKey) error {
	err := r.handle.NeighSet(&netlink.Neigh{
		LinkIndex: k.link,
		State:     netlink.NUD_NONE,
		Flags:     netlink.NTF_USE,
		IP:        k.addr.AsSlice(),
	})
	if err != nil {
		return fmt.Errorf("ask for neighbour %s: %w", k.addr, err)
	}
	return nil
}

// hear takes in one notice of the kernel.
func (r *resolver) hear(m *syscall.NetlinkMessage) {
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		h := unix.NlMsghdr(m.Header)
		l, err := netlink.LinkDeserialize(&h, m.Data)
		if err != nil || r.links.Load().concerns(l, r.names) {
			r.linksDirty = true
		}
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		if len(m.Data) < unix.SizeofNdMsg {
			return
		}
		n, err := netlink.NeighDeserialize(m.Data)
		if err == nil {
			r.hearNeighbour(n, m.Header.Type == unix.RTM_DELNEIGH)
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if p, ok := routeOf(m.Data); ok {
			r.routes.Insert(p)
		}
	case unix.RTM_NEWRULE, unix.RTM_DELRULE, unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP,
		unix.RTM_NEWADDR, unix.RTM_DELADDR:
		r.routes.Insert(netip.PrefixFrom(netip.IPv4Unspecified(), 0))
		r.routes.Insert(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	}
}

// routeOf reads a route's destination out of a notice. Entries of the kernel's
// own cache are not routes.
func routeOf(b []byte) (netip.Prefix, bool) {
	if len(b) < unix.SizeofRtMsg {
		return netip.Prefix{}, false
	}
	m := nl.DeserializeRtMsg(b)
	if m.Flags&unix.RTM_F_CLONED != 0 {
		return netip.Prefix{}, false
	}
	var addr netip.Addr
	switch m.Family {
	case unix.AF_INET:
		addr = netip.IPv4Unspecified()
	case unix.AF_INET6:
		addr = netip.IPv6Unspecified()
	default:
		return netip.Prefix{}, false
	}
	attrs, err := nl.ParseRouteAttr(b[unix.SizeofRtMsg:])
	if err != nil {
		return netip.Prefix{}, false
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.RTA_DST {
			if dst, ok := netip.AddrFromSlice(a.Value); ok {
				addr = dst
			}
		}
	}
	p := netip.PrefixFrom(addr, int(m.Dst_len))
	return p, p.IsValid()
}

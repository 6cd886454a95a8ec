package controlplane

import (
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
)

// egress is an interface a side's packets may leave by: the side's own, or a
// VLAN sub-interface of it, whose tags the frame then carries.
type egress struct {
	side  side
	index int
	mtu   int // bytes
	mac   [6]byte
	up    bool
	vlans [2]uint16 // outermost first
	tags  uint8     // how many of vlans count
}

// linkTable is what the resolver knows of interfaces. It is never changed once
// it has been stored.
type linkTable struct {
	ports  [sides]egress  // index 0 while the interface does not exist
	egress map[int]egress // by interface index
}

// newLinkTable finds both ports and their VLAN sub-interfaces among links.
//
// A Hop writes one 802.1Q tag, or an 802.1ad one and an 802.1Q one. A
// sub-interface that would need anything else is left out, so that an address
// behind it is refused rather than sent with tags that its switch drops.
func newLinkTable(links []netlink.Link, names [sides]string) *linkTable {
	t := &linkTable{egress: make(map[int]egress)}
	for _, l := range links {
		if s := slices.Index(names[:], l.Attrs().Name); s >= 0 {
			if e, ok := newEgress(side(s), l); ok {
				t.ports[s] = e
				t.egress[e.index] = e
			}
		}
	}
	vlans := make(map[int]*netlink.Vlan)
	for _, l := range links {
		if v, ok := l.(*netlink.Vlan); ok && v.NetNsID < 0 {
			vlans[v.Index] = v
		}
	}
	for _, inner := range vlans {
		e := egress{tags: 1, vlans: [2]uint16{uint16(inner.VlanId)}}
		parent := inner.ParentIndex
		if outer, ok := vlans[parent]; ok {
			if outer.VlanProtocol != netlink.VLAN_PROTOCOL_8021AD {
				continue
			}
			e.tags, e.vlans = 2, [2]uint16{uint16(outer.VlanId), uint16(inner.VlanId)}
			parent = outer.ParentIndex
		}
		if inner.VlanProtocol != netlink.VLAN_PROTOCOL_8021Q {
			continue
		}
		for s := range sides {
			if t.ports[s].index == 0 || t.ports[s].index != parent {
				continue
			}
			if sub, ok := newEgress(s, inner); ok {
				sub.tags, sub.vlans = e.tags, e.vlans
				t.egress[sub.index] = sub
			}
		}
	}
	return t
}

// newEgress takes over a link's attributes; it fails for one without an
// Ethernet address.
func newEgress(s side, l netlink.Link) (egress, bool) {
	a := l.Attrs()
	if len(a.HardwareAddr) != 6 {
		return egress{}, false
	}
	return egress{
		side:  s,
		index: a.Index,
		mtu:   a.MTU,
		mac:   [6]byte(a.HardwareAddr),
		up:    a.Flags&net.FlagUp != 0,
	}, true
}

// concerns reports whether a notice about a link can change the table.
func (t *linkTable) concerns(l netlink.Link, names [sides]string) bool {
	a := l.Attrs()
	if _, ok := t.egress[a.Index]; ok || slices.Contains(names[:], a.Name) {
		return true
	}
	_, vlan := l.(*netlink.Vlan)
	return vlan
}

// listLinks reads all interfaces.
func (r *resolver) listLinks() (*linkTable, error) {
	links, err := whole(r.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	return newLinkTable(links, r.names), nil
}

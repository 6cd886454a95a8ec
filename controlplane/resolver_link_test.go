package controlplane

import (
	"maps"
	"net"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestLinkTable(t *testing.T) {
	const (
		q  = netlink.VLAN_PROTOCOL_8021Q
		ad = netlink.VLAN_PROTOCOL_8021AD
	)
	attrs := func(name string, index, parent int) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Name, a.Index, a.ParentIndex, a.MTU, a.Flags = name, index, parent, 1500, net.FlagUp
		a.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, byte(index)}
		return a
	}
	device := func(name string, index int) netlink.Link {
		return &netlink.Device{LinkAttrs: attrs(name, index, 0)}
	}
	vlan := func(name string, index, parent, id int, protocol netlink.VlanProtocol) *netlink.Vlan {
		return &netlink.Vlan{LinkAttrs: attrs(name, index, parent), VlanId: id, VlanProtocol: protocol}
	}
	elsewhere := vlan("elsewhere", 20, 1, 5, q)
	elsewhere.NetNsID = 3
	tunnel := device("eth1", 1)
	tunnel.Attrs().HardwareAddr = nil
	entry := func(s side, index int, tags ...uint16) egress {
		e := egress{side: s, index: index, mtu: 1500, mac: [6]byte{2, 0, 0, 0, 0, byte(index)}, up: true, tags: uint8(len(tags))}
		copy(e.vlans[:], tags)
		return e
	}
	for _, tt := range []struct {
		name  string
		links []netlink.Link
		want  []egress
	}{
		{"ports", []netlink.Link{device("lo", 9), device("eth1", 1), device("eth2", 2)},
			[]egress{entry(insideSide, 1), entry(outsideSide, 2)}},
		{"none", []netlink.Link{device("eth0", 1)}, nil},
		{"no Ethernet", []netlink.Link{tunnel, vlan("v", 10, 1, 7, q)}, nil},
		{"one tag", []netlink.Link{vlan("v", 10, 1, 100, q), device("eth1", 1)},
			[]egress{entry(insideSide, 1), entry(insideSide, 10, 100)}},
		{"outside", []netlink.Link{vlan("v", 10, 2, 100, q), device("eth2", 2)},
			[]egress{entry(outsideSide, 2), entry(outsideSide, 10, 100)}},
		{"two tags", []netlink.Link{device("eth1", 1), vlan("i", 11, 10, 300, q), vlan("o", 10, 1, 200, ad)},
			[]egress{entry(insideSide, 1), entry(insideSide, 11, 200, 300)}},
		{"two 802.1Q tags", []netlink.Link{device("eth1", 1), vlan("i", 11, 10, 300, q), vlan("o", 10, 1, 200, q)},
			[]egress{entry(insideSide, 1), entry(insideSide, 10, 200)}},
		{"two 802.1ad tags", []netlink.Link{device("eth1", 1), vlan("i", 11, 10, 300, ad), vlan("o", 10, 1, 200, ad)},
			[]egress{entry(insideSide, 1)}},
		{"three tags", []netlink.Link{device("eth1", 1), vlan("a", 10, 1, 1, ad), vlan("b", 11, 10, 2, ad), vlan("c", 12, 11, 3, q)},
			[]egress{entry(insideSide, 1)}},
		{"another interface's", []netlink.Link{device("eth1", 1), device("eth0", 3), vlan("v", 10, 3, 100, q)},
			[]egress{entry(insideSide, 1)}},
		{"another namespace's", []netlink.Link{device("eth1", 1), elsewhere},
			[]egress{entry(insideSide, 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := make(map[int]egress)
			for _, e := range tt.want {
				want[e.index] = e
			}
			got := newLinkTable(tt.links, [sides]string{"eth1", "eth2"})
			if !maps.Equal(got.egress, want) {
				t.Errorf("got %+v\nwant %+v", got.egress, want)
			}
			for s, p := range got.ports {
				if p != got.egress[p.index] || (p.index != 0 && p.side != side(s)) {
					t.Errorf("port %d is %+v", s, p)
				}
			}
		})
	}
}

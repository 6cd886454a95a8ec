package controlplane

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What the kernel says of an interface in its netlink family "netdev", from
// linux/netdev.h, since Linux 6.3.
const (
	netdevGet         = 1 // NETDEV_CMD_DEV_GET
	netdevIndex       = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
	netdevZeroCopy    = 8 // NETDEV_XDP_ACT_XSK_ZEROCOPY
)

// hasZeroCopy says whether an interface's driver lends its rings to AF_XDP. A
// kernel that is too old to be asked is taken for one without.
func hasZeroCopy(device string) (bool, error) {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return false, fmt.Errorf("interface %s: %w", device, err)
	}
	family, err := netlink.GenlFamilyGet("netdev")
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the netlink family of interfaces: %w", err)
	}
	request := nl.NewNetlinkRequest(int(family.ID), 0)
	// The header by hand: nl.Genlmsg is shorter than what it is sent as, and the
	// kernel looks at the two bytes that happen to be behind it.
	request.AddRawData(append([]byte{netdevGet, 1, 0, 0}, nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(link.Attrs().Index))).Serialize()...))
	answers, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return false, fmt.Errorf("ask for the XDP features of %s: %w", device, err)
	}
	for _, answer := range answers {
		attributes, err := nl.ParseRouteAttr(answer[nl.SizeofGenlmsg:])
		if err != nil {
			return false, fmt.Errorf("read the XDP features of %s: %w", device, err)
		}
		for _, a := range attributes {
			if a.Attr.Type == netdevXDPFeatures && len(a.Value) == 8 {
				return binary.NativeEndian.Uint64(a.Value)&netdevZeroCopy != 0, nil
			}
		}
	}
	return false, nil
}

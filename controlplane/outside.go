package controlplane

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/qzmq/gateway/bpf"
	"github.com/qzmq/gateway/dataplane/superframe"
	"github.com/vishvananda/netlink"
)

// outside is the gateway's side towards its peers.
type outside struct {
	ports
	steer interface {
		AddSession(uint32) error
		RemoveSession(uint32) error
		Counters() ([]bpf.Counter, error)
		Close() error
	}
	mtu int // of the interface when the sockets were opened
}

// open attaches the outside's program and opens its sockets, one for each worker.
// On an error close gives back what there is.
func (out *outside) open(c *GatewayConfig, workers int) error {
	ours := bpf.OutsideConfig{Addresses: []netip.Addr{c.Outside.Address}, Port: c.Outside.Port}
	if out.io == IOXDP {
		program, err := bpf.LoadOutside(ours)
		if err != nil {
			return err
		}
		out.steer = program
		return out.openXDP(program, c, workers)
	}
	program, err := bpf.LoadOutsideBlock(ours)
	if err != nil {
		return err
	}
	out.steer = program
	link, err := netlink.LinkByName(out.device)
	if err != nil {
		return fmt.Errorf("interface %s: %w", out.device, err)
	}
	out.mtu = link.Attrs().MTU
	return out.openSuper(program, superframe.Config{Sockets: workers, RoomLen: out.mtu + linkHeader, Sealed: true})
}

// mostWireMTU is the largest outer IP packet that the sockets take. It is that of
// the interface when they were opened, unless AF_XDP has no multi-buffer.
func (out *outside) mostWireMTU() int {
	if out.io == IOSuperframe {
		return out.mtu
	}
	return out.xsk[0].Info().MaxReceive - linkHeader
}

// close detaches the program first, so that no packet is steered to a socket
// that is gone.
func (out *outside) close() error {
	var err error
	if out.steer != nil {
		err = out.steer.Close()
	}
	return errors.Join(err, out.ports.close())
}

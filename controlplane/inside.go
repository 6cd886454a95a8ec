package controlplane

import (
	"errors"
	"fmt"

	"github.com/qzmq/gateway/bpf"
	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/dataplane/superframe"
	"github.com/qzmq/gateway/dataplane/xsk"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
)

// inside is the gateway's side towards the protected hosts. What is protected
// comes by AF_XDP sockets or by packet sockets that speak super-frames; either
// way the kernel sees none of it.
type inside struct {
	io   InsideIO // in force: IOXDP or IOSuperframe
	why  string   // that it was chosen
	mode string   // where its program runs

	steer interface {
		SetRoutes([]bpf.Route) error
		Counters() ([]bpf.Counter, error)
		Close() error
	}
	// By queue, one of the two.
	xsk   []*xsk.Socket
	super []*superframe.Socket
}

// isVirtual names the drivers behind which there is no wire of ours: packets come
// from the same machine or its hypervisor, as the super-frames that the hosts'
// own stacks have made if nothing forbids it. XDP forbids it, since it takes
// frames of the MTU only: then all hosts cut and sum in software. Of these veth
// was measured; the others are alike in what counts here.
func isVirtual(driver string) bool {
	switch driver {
	case "veth", "tun" /* TAP too */, "virtio_net", "hv_netvsc", "vmxnet3", "xen_netfront", "ena", "gve":
		return true
	}
	return false
}

// chooseIO says how the inside's packets are exchanged, and why.
func chooseIO(c *InsideConfig) (InsideIO, string, error) {
	if c.IO != IOAuto {
		return c.IO, "configured", nil
	}
	e, err := ethtool.NewEthtool()
	if err != nil {
		return "", "", fmt.Errorf("ask for the driver of %s: %w", c.Interface, err)
	}
	defer e.Close()
	driver, err := e.DriverName(c.Interface)
	if err != nil {
		return "", "", fmt.Errorf("ask for the driver of %s: %w", c.Interface, err)
	}
	io, why := bestIO(driver, bpf.HasTCX())
	return io, why, nil
}

// bestIO is what auto means: super-frames where the hosts can have them. noTCX
// says why they cannot be blocked safely, nil that they can.
func bestIO(driver string, noTCX error) (InsideIO, string) {
	switch {
	case !isVirtual(driver):
		return IOXDP, "driver " + driver
	case noTCX != nil:
		return IOXDP, fmt.Sprintf("virtual driver %s, but %v", driver, noTCX)
	}
	return IOSuperframe, "virtual driver " + driver
}

// openInside attaches the inside's program and opens its sockets, one for each
// worker. On an error close gives back what there is.
func openInside(c *GatewayConfig, io InsideIO, why string, workers int) (*inside, error) {
	in := &inside{io: io, why: why}
	if io == IOSuperframe {
		return in, in.openSuperframe(c, workers)
	}
	return in, in.openXDP(c, workers)
}

func (in *inside) openXDP(c *GatewayConfig, workers int) error {
	program, err := bpf.LoadInside()
	if err != nil {
		return err
	}
	in.steer = program
	mode, err := attach(program, c.Inside.Interface, c.Attach)
	if err != nil {
		return err
	}
	in.mode = string(mode)
	in.xsk, err = openSockets(program, c, c.Inside.Interface, workers, mode)
	return err
}

func (in *inside) openSuperframe(c *GatewayConfig, workers int) error {
	program, err := bpf.LoadBlock()
	if err != nil {
		return err
	}
	in.steer = program
	link, err := netlink.LinkByName(c.Inside.Interface)
	if err != nil {
		return fmt.Errorf("interface %s: %w", c.Inside.Interface, err)
	}
	if xdp := link.Attrs().Xdp; xdp != nil && xdp.Attached {
		// Another gateway, or somebody's program that super-frames would not pass.
		return fmt.Errorf("interface %s: %w", c.Inside.Interface, bpf.ErrInterfaceTaken)
	}
	if err := program.Attach(link.Attrs().Index); err != nil {
		return fmt.Errorf("interface %s: %w", c.Inside.Interface, err)
	}
	in.mode = "tcx"
	outside, err := netlink.LinkByName(c.Outside.Interface)
	if err != nil {
		return fmt.Errorf("interface %s: %w", c.Outside.Interface, err)
	}
	// A room takes what comes in one record, and the headers of either side.
	const usual = 4096
	roomLen := max(link.Attrs().MTU+2*linkHeader, outside.Attrs().MTU+2*linkHeader, usual)
	in.super, err = superframe.Open(superframe.Config{
		Interface: c.Inside.Interface, Sockets: workers, RoomLen: roomLen, Filter: program.Filter(),
	})
	return err
}

// cutInSoftware says which of the interface's features are off without which the
// kernel cuts again what a packet socket has merged. Measured on veth, that costs
// half of what super-frames gain; the other features of the interface make no
// difference. They are the operator's to set.
func (in *inside) cutInSoftware(name string) (off []string, err error) {
	if in.io != IOSuperframe {
		return nil, nil
	}
	e, err := ethtool.NewEthtool()
	if err != nil {
		return nil, fmt.Errorf("ask for the features of %s: %w", name, err)
	}
	defer e.Close()
	features, err := e.Features(name)
	if err != nil {
		return nil, fmt.Errorf("ask for the features of %s: %w", name, err)
	}
	for _, feature := range []string{"tx-tcp-segmentation", "tx-tcp6-segmentation"} {
		if !features[feature] {
			off = append(off, feature)
		}
	}
	return off, nil
}

// insidePort is what both kinds of socket are.
type insidePort interface {
	dataplane.Port
	xsk.Waitable
}

func (in *inside) port(queue int) insidePort {
	if in.io == IOSuperframe {
		return in.super[queue]
	}
	return in.xsk[queue]
}

// close detaches the program first, so that no packet is steered to a socket
// that is gone.
func (in *inside) close() error {
	var errs []error
	if in.steer != nil {
		errs = append(errs, in.steer.Close())
	}
	for _, s := range in.xsk {
		errs = append(errs, s.Close())
	}
	for _, s := range in.super {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

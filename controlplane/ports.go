package controlplane

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/qzmq/gateway/bpf"
	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/dataplane/superframe"
	"github.com/qzmq/gateway/dataplane/xsk"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
)

// ports are one of the gateway's two interfaces with its sockets. What is ours
// comes by AF_XDP sockets or by packet sockets that speak super-frames; either
// way the kernel sees none of it.
type ports struct {
	name   string // inside or outside
	device string
	asked  IO     // by the configuration
	io     IO     // in force: IOXDP or IOSuperframe
	why    string // that it was chosen
	mode   string // where its program runs: native, generic or tcx

	// By queue, one of the two.
	xsk   []*xsk.Socket
	super []*superframe.Socket
}

// isVirtual names the drivers behind which there is no wire of ours: packets come
// from the same machine or its hypervisor, as the super-frames that whoever is at
// the other end has made if nothing forbids it. XDP forbids it, since it takes
// frames of the MTU only: then all must be cut and summed in software. Of these
// veth was measured; the others are alike in what counts here.
func isVirtual(driver string) bool {
	switch driver {
	case "veth", "tun" /* TAP too */, "virtio_net", "hv_netvsc", "vmxnet3", "xen_netfront", "ena", "gve":
		return true
	}
	return false
}

// choose says how the side's packets are exchanged, and why.
func (s *ports) choose(asked IO, wanted ZeroCopyMode) error {
	if s.asked = asked; asked != IOAuto {
		s.io, s.why = asked, "configured"
		return nil
	}
	e, err := ethtool.NewEthtool()
	if err != nil {
		return fmt.Errorf("ask for the driver of %s: %w", s.device, err)
	}
	defer e.Close()
	driver, err := e.DriverName(s.device)
	if err != nil {
		return fmt.Errorf("ask for the driver of %s: %w", s.device, err)
	}
	zeroCopy := wanted == ZeroCopyOn
	if s.name == "outside" && wanted == ZeroCopyAuto {
		if zeroCopy, err = hasZeroCopy(s.device); err != nil {
			return err
		}
	}
	s.io, s.why = bestIO(driver, zeroCopy, bpf.HasTCX())
	return nil
}

// bestIO is what auto means: super-frames where the other end can have them, which
// on both ports between veth pairs carried 1.8 to 2.2 times the TCP that they did with
// AF_XDP outside, for 0.39 to 0.55 of the CPU time per byte; but AF_XDP where the driver
// lends it its rings, which on the inside only who asks for it gets: the hosts there
// would have to cut and sum all that they send. noTCX says why super-frames cannot
// be blocked safely, nil that they can.
func bestIO(driver string, zeroCopy bool, noTCX error) (IO, string) {
	switch {
	case zeroCopy:
		return IOXDP, "zero copy, driver " + driver
	case !isVirtual(driver):
		return IOXDP, "driver " + driver
	case noTCX != nil:
		return IOXDP, fmt.Sprintf("virtual driver %s, but %v", driver, noTCX)
	}
	return IOSuperframe, "virtual driver " + driver
}

// openXDP attaches a steering program and opens an AF_XDP socket for each worker.
// On an error close gives back what there is, here and in openSuper.
func (s *ports) openXDP(program interface {
	Attach(ifindex int, mode bpf.AttachMode) (bpf.AttachMode, error)
	Register(queue int, fd int) error
}, c *GatewayConfig, workers int) error {
	link, err := netlink.LinkByName(s.device)
	if err != nil {
		return fmt.Errorf("interface %s: %w", s.device, err)
	}
	mode, err := program.Attach(link.Attrs().Index, bpf.AttachMode(c.Attach))
	if err != nil {
		return fmt.Errorf("interface %s: %w", s.device, err)
	}
	s.mode = string(mode)
	zeroCopy, err := xsk.ParseMode(string(c.ZeroCopy))
	if err != nil {
		return err
	}
	for queue := range workers {
		one, err := xsk.Open(xsk.Config{
			Interface: s.device, Queue: queue, Mode: zeroCopy, Generic: mode == bpf.AttachGeneric, BusyPoll: c.BusyPoll,
			MaxFrame: min(link.Attrs().MTU+linkHeader, xsk.LongestFrame),
		})
		if err != nil {
			return fmt.Errorf("interface %s, queue %d: %w", s.device, queue, err)
		}
		s.xsk = append(s.xsk, one)
		if err := program.Register(queue, one.FD()); err != nil {
			return fmt.Errorf("interface %s, queue %d: %w", s.device, queue, err)
		}
	}
	return nil
}

// openSuper starts blocking what is ours on the interface and opens a packet
// socket for each worker that receives it. What c says of the sockets is what is
// special about the side.
func (s *ports) openSuper(program interface {
	Attach(ifindex int) error
	Filter() int
}, c superframe.Config) error {
	link, err := netlink.LinkByName(s.device)
	if err != nil {
		return fmt.Errorf("interface %s: %w", s.device, err)
	}
	if xdp := link.Attrs().Xdp; xdp != nil && xdp.Attached {
		// Another gateway, or somebody's program that super-frames would not pass.
		return fmt.Errorf("interface %s: %w", s.device, bpf.ErrInterfaceTaken)
	}
	if err := program.Attach(link.Attrs().Index); err != nil {
		return fmt.Errorf("interface %s: %w", s.device, err)
	}
	s.mode = "tcx"
	c.Interface, c.Filter = s.device, program.Filter()
	s.super, err = superframe.Open(c)
	return err
}

// memory says what xdp has come to: whether the driver works in the sockets' memory or
// copies. Super-frames have no such choice.
func (s *ports) memory() string {
	zeroCopy := 0
	for _, one := range s.xsk {
		if one.Info().ZeroCopy {
			zeroCopy++
		}
	}
	return memoryOf(zeroCopy, len(s.xsk))
}

func memoryOf(zeroCopy, sockets int) string {
	switch {
	case sockets == 0:
		return ""
	case zeroCopy == 0:
		return "copy"
	case zeroCopy < sockets: // each queue is asked for by itself
		return "mixed"
	}
	return "zero copy"
}

// port is what both kinds of socket are.
type port interface {
	dataplane.Port
	xsk.Waitable
}

func (s *ports) port(queue int) port {
	if s.io == IOSuperframe {
		return s.super[queue]
	}
	return s.xsk[queue]
}

// cutInSoftware says which of the interface's features are off without which the
// kernel cuts again what a packet socket has merged. Measured on veth, that costs
// half of what super-frames gain; the other features of the interface make no
// difference. They are the operator's to set.
func (s *ports) cutInSoftware() (off []string, err error) {
	if s.io != IOSuperframe {
		return nil, nil
	}
	e, err := ethtool.NewEthtool()
	if err != nil {
		return nil, fmt.Errorf("ask for the features of %s: %w", s.device, err)
	}
	defer e.Close()
	features, err := e.Features(s.device)
	if err != nil {
		return nil, fmt.Errorf("ask for the features of %s: %w", s.device, err)
	}
	wanted := []string{"tx-tcp-segmentation", "tx-tcp6-segmentation"}
	if s.name == "outside" {
		wanted = []string{"tx-udp-segmentation"}
	}
	for _, feature := range wanted {
		if !features[feature] {
			off = append(off, feature)
		}
	}
	return off, nil
}

// warn says what the side falls short of because of what is not ours to set.
func (s *ports) warn(log *slog.Logger) {
	if off, err := s.cutInSoftware(); err != nil || len(off) > 0 {
		log.Warn("the kernel cuts the "+s.name+"'s super-frames in software, which is slower", "interface", s.device,
			"features_off", off, "to_turn_on", fmt.Sprintf("ethtool -K %s tx on sg on tso on tx-udp-segmentation on", s.device), "error", err)
	}
}

func (s *ports) close() error {
	var errs []error
	for _, one := range s.xsk {
		errs = append(errs, one.Close())
	}
	for _, one := range s.super {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

package controlplane

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/qzmq/gateway/bpf"
	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/dataplane/xsk"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
)

// interfaces are the gateway's two, with their programs and sockets. On the
// inside everything that is protected goes to a socket; on the outside, every
// record of a known session.
type interfaces struct {
	inside      *inside
	steer       *bpf.Outside
	outsideMode bpf.AttachMode
	outsideXSK  []*xsk.Socket // by queue
	wakes       []*xsk.Wake   // by queue
	cpus        []int         // of the workers, by queue; nil: of no one in particular
	tuned       []*tuning     // the drivers' settings that are borrowed
	queues      []dataplane.Queue
}

// openInterfaces attaches the programs and opens a socket for every queue. The
// programs know no route and no session yet. On an error nothing is left.
func openInterfaces(c *GatewayConfig, log *slog.Logger) (f *interfaces, err error) {
	f = &interfaces{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
			f = nil
		}
	}()
	io, why, err := chooseIO(&c.Inside)
	if err != nil {
		return f, err
	}
	workers, err := countQueues(c, io)
	if err != nil {
		return f, err
	}
	if f.inside, err = openInside(c, io, why, workers); err != nil {
		return f, err
	}
	if f.steer, err = bpf.LoadOutside(bpf.OutsideConfig{Addresses: []netip.Addr{c.Outside.Address}, Port: c.Outside.Port}); err != nil {
		return f, err
	}
	if f.outsideMode, err = attach(f.steer, c.Outside.Interface, c.Attach); err != nil {
		return f, err
	}
	if f.outsideXSK, err = openSockets(f.steer, c, c.Outside.Interface, workers, f.outsideMode); err != nil {
		return f, err
	}
	if f.cpus, err = pinWorkers(c, workers); err != nil {
		return f, err
	}
	if err = f.tune(c, log); err != nil {
		return f, err
	}
	f.warn(log)
	for i := range workers {
		wake, err := xsk.NewWake()
		if err != nil {
			return f, err
		}
		f.wakes = append(f.wakes, wake)
		in, out := f.inside.port(i), f.outsideXSK[i]
		f.queues = append(f.queues, dataplane.Queue{
			Inside: in, Outside: out, Wake: wake.Wake,
			Wait: func(d time.Duration) { xsk.Wait(d, wake, in, out) },
			Enter: func() {
				if f.cpus == nil {
					return
				}
				if err := stayOn(f.cpus[i]); err != nil {
					log.Warn("a worker is left to the scheduler", "queue", i, "reason", err)
				}
			},
		})
	}
	return f, nil
}

// tune borrows what the drivers do differently while the gateway runs.
func (f *interfaces) tune(c *GatewayConfig, log *slog.Logger) error {
	for _, device := range []string{c.Inside.Interface, c.Outside.Interface} {
		t, err := newTuning(device, "/sys", "/run/qzmq")
		if err != nil {
			return err
		}
		f.tuned = append(f.tuned, t)
		if err := t.settle(); err != nil {
			log.Warn("settings that an earlier run changed could not be given back", "interface", device, "reason", err)
		}
		if c.BusyPoll == 0 || f.inside.io == IOSuperframe && device == c.Inside.Interface {
			continue
		}
		if err := t.busyPolling(); err != nil {
			log.Warn("busy polling and interrupts get in each other's way", "interface", device, "reason", err)
		}
	}
	if c.RSS == RSSAuto && len(f.outsideXSK) > 1 {
		f.tuned[1].spread(log, c.Outside.Address.Is6())
	}
	return nil
}

// countQueues gives the number of workers: one for each receive queue, of which
// both interfaces must have the same number, since a queue without a worker
// would only drop. Packet sockets have no queues; there the outside decides.
func countQueues(c *GatewayConfig, io InsideIO) (int, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return 0, fmt.Errorf("ask for the number of queues: %w", err)
	}
	defer e.Close()
	var queues [2]int
	for i, name := range []string{c.Inside.Interface, c.Outside.Interface} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return 0, fmt.Errorf("interface %s: %w", name, err)
		}
		if link.Attrs().OperState == netlink.OperDown {
			return 0, fmt.Errorf("interface %s is down", name)
		}
		channels, err := e.GetChannels(name)
		switch {
		case err == nil:
			queues[i] = int(channels.CombinedCount + channels.RxCount)
		default: // a driver without channels has one queue
			queues[i] = 1
		}
	}
	if io == IOSuperframe {
		queues[0] = queues[1]
	}
	if queues[0] != queues[1] {
		return 0, fmt.Errorf("%s has %d receive queues and %s has %d: make them equal, for example with ethtool -L",
			c.Inside.Interface, queues[0], c.Outside.Interface, queues[1])
	}
	if c.Workers != 0 && c.Workers != queues[0] {
		return 0, fmt.Errorf("gateway.workers is %d, but %s and %s have %d queues, and each needs a worker",
			c.Workers, c.Inside.Interface, c.Outside.Interface, queues[0])
	}
	return queues[0], nil
}

// linkHeader is the longest header in front of an IP packet, with two VLAN tags.
const linkHeader = 22

// program is what both steering programs can do.
type program interface {
	Attach(ifindex int, mode bpf.AttachMode) (bpf.AttachMode, error)
	Register(queue int, fd int) error
}

func attach(p program, name string, mode AttachMode) (bpf.AttachMode, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return "", fmt.Errorf("interface %s: %w", name, err)
	}
	got, err := p.Attach(link.Attrs().Index, bpf.AttachMode(mode))
	if err != nil {
		return "", fmt.Errorf("interface %s: %w", name, err)
	}
	return got, nil
}

func openSockets(p program, c *GatewayConfig, name string, n int, mode bpf.AttachMode) (sockets []*xsk.Socket, err error) {
	zeroCopy, err := xsk.ParseMode(string(c.ZeroCopy))
	if err != nil {
		return nil, err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	for queue := range n {
		s, err := xsk.Open(xsk.Config{
			Interface: name, Queue: queue, Mode: zeroCopy, Generic: mode == bpf.AttachGeneric, BusyPoll: c.BusyPoll,
			MaxFrame: min(link.Attrs().MTU+linkHeader, xsk.LongestFrame),
		})
		if err != nil {
			return sockets, fmt.Errorf("interface %s, queue %d: %w", name, queue, err)
		}
		sockets = append(sockets, s)
		if err := p.Register(queue, s.FD()); err != nil {
			return sockets, fmt.Errorf("interface %s, queue %d: %w", name, queue, err)
		}
	}
	return sockets, nil
}

// mostWireMTU is the largest outer IP packet that the outside's sockets take. It
// is that of the interface when they were opened, unless the kernel has no
// multi-buffer.
func (f *interfaces) mostWireMTU() int { return f.outsideXSK[0].Info().MaxReceive - linkHeader }

// warn says what the sockets fall short of.
func (f *interfaces) warn(log *slog.Logger) {
	for _, s := range slices.Concat(f.inside.xsk, f.outsideXSK) {
		if s.Info().Queue > 0 {
			continue
		}
		info := s.Info()
		link, err := netlink.LinkByName(info.Interface)
		if most := info.MaxReceive - linkHeader; err == nil && most < link.Attrs().MTU {
			reason := "AF_XDP takes no more"
			if !info.MultiBuffer {
				reason = "this kernel does not know AF_XDP multi-buffer, which came with Linux 6.6"
			}
			log.Warn("packets as large as the interface allows are lost",
				"interface", info.Interface, "mtu", link.Attrs().MTU, "most", most, "reason", reason)
		}
	}
}

// close detaches the programs first, so that no packet is steered to a socket
// that is gone.
func (f *interfaces) close() error {
	var errs []error
	for _, t := range f.tuned {
		errs = append(errs, t.giveBack())
	}
	if f.inside != nil {
		errs = append(errs, f.inside.close())
	}
	if f.steer != nil {
		errs = append(errs, f.steer.Close())
	}
	for _, s := range f.outsideXSK {
		errs = append(errs, s.Close())
	}
	for _, w := range f.wakes {
		w.Close()
	}
	return errors.Join(errs...)
}

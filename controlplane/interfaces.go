package controlplane

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/dataplane/xsk"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
)

// interfaces are the gateway's two, with their programs and sockets. On the
// inside everything that is protected goes to a socket; on the outside, every
// record of a known session.
type interfaces struct {
	inside  inside
	outside outside
	wakes   []*xsk.Wake // by queue
	cpus    []int       // of the workers, by queue; nil: of no one in particular
	tuned   []*tuning   // the drivers' settings that are borrowed
	queues  []dataplane.Queue
}

func (f *interfaces) sides() []*ports { return []*ports{&f.inside.ports, &f.outside.ports} }

// openInterfaces attaches the programs and opens a socket for every queue. The
// programs know no route and no session yet. On an error nothing is left.
func openInterfaces(c *GatewayConfig, log *slog.Logger) (f *interfaces, err error) {
	f = &interfaces{
		inside:  inside{ports: ports{name: "inside", device: c.Inside.Interface}},
		outside: outside{ports: ports{name: "outside", device: c.Outside.Interface}},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
			f = nil
		}
	}()
	if err = errors.Join(f.inside.choose(c.Inside.IO, c.ZeroCopy), f.outside.choose(c.Outside.IO, c.ZeroCopy)); err != nil {
		return f, err
	}
	workers, err := f.countQueues(c.Workers)
	if err != nil {
		return f, err
	}
	if err = f.inside.open(c, workers); err != nil {
		return f, err
	}
	if err = f.outside.open(c, workers); err != nil {
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
		in, out := f.inside.port(i), f.outside.port(i)
		f.queues = append(f.queues, dataplane.Queue{
			Inside: in, Outside: out, OutsideSums: f.outside.io == IOSuperframe, Wake: wake.Wake,
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
	for _, side := range f.sides() {
		t, err := newTuning(side.device, "/sys", "/run/qzmq")
		if err != nil {
			return err
		}
		f.tuned = append(f.tuned, t)
		if err := t.settle(); err != nil {
			log.Warn("settings that an earlier run changed could not be given back", "interface", side.device, "reason", err)
		}
		if c.BusyPoll == 0 || side.io == IOSuperframe {
			continue
		}
		if err := t.busyPolling(); err != nil {
			log.Warn("busy polling and interrupts get in each other's way", "interface", side.device, "reason", err)
		}
	}
	if f.outside.io == IOSuperframe {
		f.tuned[1].merge(log)
	}
	if c.RSS == RSSAuto && len(f.outside.xsk) > 1 {
		f.tuned[1].spread(log, c.Outside.Address.Is6())
	}
	return nil
}

// countQueues gives the number of workers: one for each receive queue, of which
// both interfaces must have the same number, since a queue without a worker
// would only drop. Packet sockets have no queues: with them on one side the other
// one decides, with them on both whoever wrote the configuration, or else the
// outside.
func (f *interfaces) countQueues(asked int) (int, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return 0, fmt.Errorf("ask for the number of queues: %w", err)
	}
	defer e.Close()
	var queues [2]int
	for i, side := range f.sides() {
		link, err := netlink.LinkByName(side.device)
		if err != nil {
			return 0, fmt.Errorf("interface %s: %w", side.device, err)
		}
		if link.Attrs().OperState == netlink.OperDown {
			return 0, fmt.Errorf("interface %s is down", side.device)
		}
		channels, err := e.GetChannels(side.device)
		switch {
		case err == nil:
			queues[i] = int(channels.CombinedCount + channels.RxCount)
		default: // a driver without channels has one queue
			queues[i] = 1
		}
	}
	in, out := &f.inside, &f.outside
	switch {
	case in.io == IOXDP && out.io == IOSuperframe:
		queues[1] = queues[0]
	case in.io == IOSuperframe && out.io == IOSuperframe && asked > 0:
		return asked, nil
	case in.io == IOSuperframe:
		queues[0] = queues[1]
	}
	if queues[0] != queues[1] {
		return 0, fmt.Errorf("%s has %d receive queues and %s has %d: make them equal, for example with ethtool -L",
			in.device, queues[0], out.device, queues[1])
	}
	if asked != 0 && asked != queues[0] {
		return 0, fmt.Errorf("gateway.workers is %d, but %s and %s have %d queues, and each needs a worker",
			asked, in.device, out.device, queues[0])
	}
	return queues[0], nil
}

// linkHeader is the longest header in front of an IP packet, with two VLAN tags.
const linkHeader = 22

// warn says what the sockets fall short of.
func (f *interfaces) warn(log *slog.Logger) {
	for _, s := range slices.Concat(f.inside.xsk, f.outside.xsk) {
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
	errs = append(errs, f.inside.close(), f.outside.close())
	for _, w := range f.wakes {
		w.Close()
	}
	return errors.Join(errs...)
}

package controlplane

import (
	"errors"
	"fmt"

	"github.com/qzmq/gateway/bpf"
	"github.com/qzmq/gateway/dataplane/superframe"
	"github.com/vishvananda/netlink"
)

// inside is the gateway's side towards the protected hosts.
type inside struct {
	ports
	steer interface {
		SetRoutes([]bpf.Route) error
		Counters() ([]bpf.Counter, error)
		Close() error
	}
}

// open attaches the inside's program and opens its sockets, one for each worker.
// On an error close gives back what there is.
func (in *inside) open(c *GatewayConfig, workers int) error {
	if in.io == IOXDP {
		program, err := bpf.LoadInside()
		if err != nil {
			return err
		}
		in.steer = program
		return in.openXDP(program, c, workers)
	}
	program, err := bpf.LoadBlock()
	if err != nil {
		return err
	}
	in.steer = program
	// A room takes what comes in one record, and the headers of either side.
	roomLen := 4096
	for _, device := range []string{c.Inside.Interface, c.Outside.Interface} {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return fmt.Errorf("interface %s: %w", device, err)
		}
		roomLen = max(roomLen, link.Attrs().MTU+2*linkHeader)
	}
	return in.openSuper(program, superframe.Config{Sockets: workers, RoomLen: roomLen})
}

// close detaches the program first, so that no packet is steered to a socket
// that is gone.
func (in *inside) close() error {
	var err error
	if in.steer != nil {
		err = in.steer.Close()
	}
	return errors.Join(err, in.ports.close())
}

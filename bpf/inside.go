package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// Inside is the program on the port of the protected hosts, where AF_XDP sockets
// take what it redirects.
//
// SetRoutes belongs to one goroutine.
type Inside struct {
	steering
	table
}

// LoadInside puts steer_inside into the kernel, attached to nothing yet and
// without a route: everything is left to the kernel until SetRoutes.
func LoadInside() (*Inside, error) {
	spec, err := loadInside()
	if err != nil {
		return nil, fmt.Errorf("read steer_inside: %w", err)
	}
	// What is not named here is not loaded: the programs for packet sockets.
	var objects struct {
		xdpInside
		insideMaps
	}
	exits, err := load(spec, &objects)
	if err != nil {
		return nil, fmt.Errorf("steer_inside: %w", err)
	}
	return &Inside{
		steering: steering{
			counting:   counting{objects.Counters, exits},
			attachment: attachment{objects: closers{objects.SteerInside, &objects.insideMaps}},
			program:    objects.SteerInside,
			sockets:    objects.Sockets,
		},
		table: newTable(objects.insideMaps),
	}, nil
}

type xdpInside struct {
	SteerInside *ebpf.Program `ebpf:"steer_inside"`
}

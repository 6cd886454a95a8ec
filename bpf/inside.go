package bpf

import (
	"fmt"
	"net/netip"
)

// Inside is the program on the port of the protected hosts.
//
// SetRoutes belongs to one goroutine.
type Inside struct {
	steering
	maps    insideMaps
	routes  map[netip.Prefix]insideRoute // what the kernel's tables hold
	sets    map[string]uint32            // service sets in use, by what they contain
	lastSet uint32                       // the one given out last
}

// LoadInside puts steer_inside into the kernel, attached to nothing yet and
// without a route: everything is left to the kernel until SetRoutes.
func LoadInside() (*Inside, error) {
	spec, err := loadInside()
	if err != nil {
		return nil, fmt.Errorf("read steer_inside: %w", err)
	}
	var objects insideObjects
	exits, err := load(spec, &objects)
	if err != nil {
		return nil, fmt.Errorf("steer_inside: %w", err)
	}
	return &Inside{
		steering: steering{
			program:  objects.SteerInside,
			counters: objects.Counters,
			sockets:  objects.Sockets,
			exits:    exits,
			objects:  &objects,
		},
		maps:   objects.insideMaps,
		routes: make(map[netip.Prefix]insideRoute),
		sets:   make(map[string]uint32),
	}, nil
}

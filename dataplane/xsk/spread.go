package xsk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Flow is a kind of packets that a network card spreads over its queues by a
// rule of its own.
type Flow uint32

// The flows that records travel in.
const (
	FlowUDP4 Flow = 0x02 // UDP_V4_FLOW
	FlowUDP6 Flow = 0x06 // UDP_V6_FLOW
)

// HashFields says which parts of a packet the card's hash is made of. Many cards
// leave the ports of UDP out, because fragments do not have them; then all
// streams between two gateways arrive at one queue.
type HashFields uint64

// HashAddressesAndPorts is what ethtool calls sdfn.
const HashAddressesAndPorts HashFields = 1<<4 | 1<<5 | 1<<6 | 1<<7 // RXH_IP_SRC, RXH_IP_DST, RXH_L4_B_0_1, RXH_L4_B_2_3

// ReadHashFields asks the driver what a flow is spread by. Drivers that have no
// say in it, such as veth, answer EOPNOTSUPP.
func ReadHashFields(name string, flow Flow) (HashFields, error) {
	r := ethtoolFlowHash{command: unix.ETHTOOL_GRXFH, flow: uint32(flow)}
	if err := askDriver(name, &r); err != nil {
		return 0, fmt.Errorf("ask %s what it spreads packets by: %w", name, err)
	}
	return HashFields(r.data), nil
}

// WriteHashFields tells the driver what to spread a flow by.
func WriteHashFields(name string, flow Flow, fields HashFields) error {
	r := ethtoolFlowHash{command: unix.ETHTOOL_SRXFH, flow: uint32(flow), data: uint64(fields)}
	if err := askDriver(name, &r); err != nil {
		return fmt.Errorf("tell %s what to spread packets by: %w", name, err)
	}
	return nil
}

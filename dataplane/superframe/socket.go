package superframe

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what to open.
type Config struct {
	Interface string // name, looked up in the calling thread's network namespace
	Sockets   int    // among which the kernel shares out the flows
	RoomLen   int    // bytes of the longest frame to send

	// Sealed says that the packets are datagrams of UDP whose content proves itself,
	// on both ways: nobody looks at a checksum that has arrived, and those that
	// leave get theirs from the network card, whatever stands in them.
	Sealed bool

	// Filter is the descriptor of a BPF program of type socket filter, which
	// says what is received. It is only borrowed.
	Filter int
}

const (
	// Both hold some hundred super-frames. On the receiving side they bridge
	// the time in which the worker is busy elsewhere.
	receiveBuffer = 32 << 20
	sendBuffer    = 32 << 20
)

// Socket is a packet socket that speaks super-frames, one of those that share an
// interface.
//
// It belongs to one goroutine, except Stats, which any may call.
type Socket struct {
	recv    *receiver
	send    *sender
	counted counters

	mu      sync.Mutex // guards dropped, and fd against Stats during Close
	fd      int        // -1 once closed
	dropped uint64
}

// Open opens the sockets of an interface. From the first moment on they receive
// only what the filter accepts. It needs CAP_NET_RAW, and CAP_NET_ADMIN for
// their large buffers.
func Open(c Config) (sockets []*Socket, err error) {
	defer func() {
		if err != nil {
			for _, s := range sockets {
				err = errors.Join(err, s.Close())
			}
			sockets, err = nil, fmt.Errorf("open packet sockets on %s: %w", c.Interface, err)
		}
	}()
	device, err := net.InterfaceByName(c.Interface)
	if err != nil {
		return nil, fmt.Errorf("find interface: %w", err)
	}
	for range c.Sockets {
		s, err := open(c, device)
		if err != nil {
			return sockets, err
		}
		sockets = append(sockets, s)
	}
	if len(sockets) < 2 {
		return sockets, nil
	}
	// The first makes a group with a number that nobody else has.
	group := unix.PACKET_FANOUT_FLAG_UNIQUEID << 16
	for _, s := range sockets {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, unix.PACKET_FANOUT_HASH<<16|group); err != nil {
			return sockets, fmt.Errorf("share out the flows: %w", err)
		}
		made, err := unix.GetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
		if err != nil {
			return sockets, fmt.Errorf("ask for the group of sockets: %w", err)
		}
		group = made & 0xffff
	}
	return sockets, nil
}

func open(c Config, device *net.Interface) (*Socket, error) {
	// Protocol 0 receives nothing; bind names the protocol when the filter stands.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("create socket: %w", err)
	}
	s := &Socket{fd: fd, recv: newReceiver(device.MTU, c.Sealed), send: newSender(c.RoomLen, c.Sealed)}
	for _, o := range []struct {
		what                 string
		level, option, value int
	}{
		{"attach the filter", unix.SOL_SOCKET, unix.SO_ATTACH_BPF, c.Filter},
		{"receive super-frames", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{"receive VLAN tags", unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
		{"not receive what is sent", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{"enlarge the receive buffer", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer},
		{"enlarge the send buffer", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", o.what, err), s.Close())
		}
	}
	const allProtocols = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: allProtocols & 0xffff, Ifindex: device.Index}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind: %w", err), s.Close())
	}
	return s, nil
}

// Waiting says what to poll for packets, whether there are some already, and
// that no Flush is owed.
func (s *Socket) Waiting() (fd int, ready bool, retry time.Duration) {
	return s.fd, s.fd >= 0 && s.recv.next < s.recv.arrived, 0
}

// Close gives the socket back. It then receives nothing and has no room; a
// second Close does nothing.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil
	}
	s.readDropped()
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}

package xsk

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// busyPollBudget is how many packets one busy-poll pass takes at most.
	busyPollBudget = 64

	// defaultSendBudget is the kernel's own limit of packets per call in copy
	// mode, and the least that XDP_MAX_TX_SKB_BUDGET accepts.
	defaultSendBudget = 32
	sendBudget        = 256
)

// Socket is an AF_XDP socket on one queue of one interface.
//
// It belongs to one goroutine, except Stats and Info, which any may call. The
// packets it lends lie in memory that Close unmaps: touching one afterwards
// ends the process.
type Socket struct {
	info   Info
	umem   []byte
	fill   ring[uint64]
	rx     ring[unix.XDPDesc]
	tx     ring[unix.XDPDesc]
	done   ring[uint64] // the completion ring
	mapped [][]byte     // what Close unmaps

	// Receiving: see recv.go.
	lent    []uint64 // chunks of the last Recv, which the next one gives back
	packets [][]byte // what Recv returns
	joined  joiner   // of packets in several chunks

	// Sending: see send.go.
	roomBits       int      // binary logarithm of Info.RoomSize
	entriesPerRoom uint32   // of the TX ring, at most
	unused         []uint64 // rooms free to be filled, the most recently used last
	rooms          []uint64 // given by Room since the last Flush
	holders        []holder // of each room
	pushed         uint64   // packets committed since the last Flush
	bytes          uint64   // bytes committed since the last Flush
	pump           pump
	counted        counters

	mu         sync.Mutex // guards fd and last against Stats during Close
	fd         int        // -1 once closed
	last       KernelStats
	closed     bool // the owner's copy of fd == -1, read without the lock
	recvOnIdle bool // an idle Recv makes one system call: busy polling is on
}

// Open creates a socket and binds it to the queue. It waits up to two seconds
// for a queue that a closed socket still holds. It needs CAP_NET_RAW, and
// CAP_IPC_LOCK or a memlock limit of 2 x RingSize x FrameSize bytes.
func Open(c Config) (*Socket, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open xdp socket: %w", err)
	}
	s := &Socket{fd: -1}
	if err := s.open(c); err != nil {
		return nil, fmt.Errorf("open xdp socket on %s queue %d: %w", c.Interface, c.Queue,
			errors.Join(err, s.Close()))
	}
	return s, nil
}

func (s *Socket) open(c Config) error {
	device, err := net.InterfaceByName(c.Interface)
	if err != nil {
		return fmt.Errorf("find interface: %w", err)
	}
	s.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("create socket: %w", err)
	}
	s.info = Info{
		Interface: c.Interface, Queue: c.Queue, RingSize: c.RingSize, FrameSize: c.FrameSize,
		SendBudget: defaultSendBudget, BusyPoll: c.BusyPoll,
	}
	if err := s.takeMemory(c.RingSize, c.FrameSize); err != nil {
		return err
	}
	if err := s.mapRings(c.RingSize); err != nil {
		return err
	}
	if err := s.setOptions(c); err != nil {
		return err
	}
	s.shareOutReceiving()
	if err := s.bind(c, device.Index); err != nil {
		return err
	}
	s.shareOutSending()
	options, err := getOption[uint32](s.fd, unix.XDP_OPTIONS)
	if err != nil {
		return fmt.Errorf("ask for the mode in force: %w", err)
	}
	s.info.ZeroCopy = options&unix.XDP_OPTIONS_ZEROCOPY != 0
	s.pump.zeroCopy = s.info.ZeroCopy
	return nil
}

// setOptions sets what must stand before bind or does not depend on it.
func (s *Socket) setOptions(c Config) error {
	// In copy mode each packet on its way counts against the send buffer,
	// whose default holds fewer than a hundred. Refusal is harmless: sending
	// then stops earlier and resumes at the next Flush.
	unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, c.RingSize*c.FrameSize)

	budget := min(sendBudget, c.RingSize)
	known := unix.SetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, budget) == nil
	if known {
		s.info.SendBudget = budget
	}
	s.pump = pump{
		wake: func() unix.Errno { return wakeSend(s.fd) },
		// The release that brought the option also made the kernel show each
		// call's progress in the consumer index.
		showsProgress: known,
		retry:         retryFull,
	}
	if c.BusyPoll == 0 {
		return nil
	}
	s.recvOnIdle = true
	for _, o := range []struct{ option, value int }{
		{unix.SO_PREFER_BUSY_POLL, 1},
		{unix.SO_BUSY_POLL, int(c.BusyPoll.Microseconds())},
		{unix.SO_BUSY_POLL_BUDGET, busyPollBudget},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, o.option, o.value); err != nil {
			return fmt.Errorf("turn on busy polling: %w", err)
		}
	}
	return nil
}

// FD returns the descriptor to put into an XSKMAP, -1 once closed.
func (s *Socket) FD() int { return s.fd }

// Info returns what Open got.
func (s *Socket) Info() Info { return s.info }

// Close gives everything back. The socket then receives nothing and has no
// room; a second Close does nothing.
func (s *Socket) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.mu.Lock()
	defer s.mu.Unlock()
	var problems []error
	if s.fd >= 0 {
		if last, err := kernelStats(s.fd); err == nil {
			s.last = last
		}
		problems = append(problems, unix.Close(s.fd))
		s.fd = -1
	}
	for _, mapping := range slices.Backward(s.mapped) {
		problems = append(problems, unix.Munmap(mapping))
	}
	s.mapped, s.umem = nil, nil
	return errors.Join(problems...)
}

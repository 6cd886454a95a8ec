package bpf

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// AttachMode is where in the kernel a program runs.
type AttachMode string

const (
	// AttachAuto takes native mode if the driver has it, else generic mode.
	AttachAuto AttachMode = "auto"
	// AttachNative runs in the driver, before the kernel has spent anything on the packet.
	AttachNative AttachMode = "native"
	// AttachGeneric runs behind the driver; every interface can do it.
	AttachGeneric AttachMode = "generic"
)

// ErrInterfaceTaken says that the interface already has an XDP program, ours or
// somebody else's. It is left alone.
var ErrInterfaceTaken = errors.New("interface already has an XDP program, or another gateway's")

// Counter tells how many packets left a program by one exit.
type Counter struct {
	Name    string // as in the C source, in lower case: "no_socket"
	Drop    bool   // the packets that left this way were dropped
	Packets uint64
	Bytes   uint64 // whole frames, from the Ethernet header on
}

// steering is what both XDP programs have: an interface, sockets, counters.
//
// Attach and Close belong to one goroutine. The other methods may be called by
// any number of goroutines until Close is called.
type steering struct {
	counting
	attachment
	program *ebpf.Program
	sockets *ebpf.Map
}

// counting reads a program's counters.
type counting struct {
	counters *ebpf.Map
	exits    []string
}

// attachment is what Close gives back.
type attachment struct {
	objects io.Closer
	link    link.Link // nil while not attached
}

// closers closes all its members.
type closers []io.Closer

// Close implements io.Closer.
func (c closers) Close() error {
	var errs []error
	for _, one := range c {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// load puts a program with its maps into the kernel and returns the names of
// its exits.
func load(spec *ebpf.CollectionSpec, objects any) ([]string, error) {
	exits, err := exitNames(spec)
	if err != nil {
		return nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("raise the limit on locked memory: %w", err)
	}
	if err := spec.LoadAndAssign(objects, nil); err != nil {
		return nil, fmt.Errorf("load program: %w", err)
	}
	return exits, nil
}

// exitNames reads the program's enum of exits. Its last value only counts the others.
func exitNames(spec *ebpf.CollectionSpec) ([]string, error) {
	var exit *btf.Enum
	if err := spec.Types.TypeByName("exit", &exit); err != nil {
		return nil, fmt.Errorf("find the exits of the XDP program: %w", err)
	}
	names := make([]string, 0, len(exit.Values))
	for _, value := range exit.Values[:len(exit.Values)-1] {
		names = append(names, strings.ToLower(value.Name))
	}
	return names, nil
}

// Attach starts the program on the interface and returns the mode in force. It
// stays attached until Close or the end of the process.
//
// An interface that has an XDP program already is refused with
// ErrInterfaceTaken. A driver may refuse native mode for its own reasons, an MTU
// that is too large for one; AttachAuto then runs in generic mode.
func (s *steering) Attach(ifindex int, mode AttachMode) (AttachMode, error) {
	if s.link != nil {
		return "", errors.New("attach XDP program: it is attached already")
	}
	switch mode {
	case AttachNative, AttachGeneric:
		if err := s.attach(ifindex, mode); err != nil {
			return "", err
		}
		return mode, nil
	case AttachAuto:
	default:
		return "", fmt.Errorf("attach XDP program: unknown mode %q", mode)
	}

	native := s.attach(ifindex, AttachNative)
	if native == nil {
		return AttachNative, nil
	}
	if errors.Is(native, ErrInterfaceTaken) {
		return "", native
	}
	if err := s.attach(ifindex, AttachGeneric); err != nil {
		return "", errors.Join(native, err)
	}
	return AttachGeneric, nil
}

func (s *steering) attach(ifindex int, mode AttachMode) error {
	taken, err := isBlocked(ifindex)
	if err != nil {
		return fmt.Errorf("attach XDP program to interface %d: %w", ifindex, err)
	}
	if taken {
		return fmt.Errorf("attach XDP program to interface %d: %w", ifindex, ErrInterfaceTaken)
	}
	flags := link.XDPDriverMode
	if mode == AttachGeneric {
		flags = link.XDPGenericMode
	}
	attached, err := link.AttachXDP(link.XDPOptions{
		Program:   s.program,
		Interface: ifindex,
		Flags:     flags,
	})
	switch {
	case err == nil:
		s.link = attached
		return nil
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		// EBUSY is a program in the same mode, EEXIST one in the other.
		return fmt.Errorf("attach XDP program to interface %d: %w", ifindex, ErrInterfaceTaken)
	default:
		return fmt.Errorf("attach XDP program to interface %d in %s mode: %w", ifindex, mode, err)
	}
}

// Register makes an AF_XDP socket the destination of the redirected packets of
// one receive queue, in the place of any other. The socket must be bound to that
// queue of that interface, or the kernel drops what is redirected to it. It is
// only borrowed: when it is closed the kernel takes it out by itself.
func (s *steering) Register(queue, fd int) error {
	if queue < 0 || queue >= int(s.sockets.MaxEntries()) {
		return fmt.Errorf("register socket for queue %d: there is room for queues 0 to %d",
			queue, s.sockets.MaxEntries()-1)
	}
	if fd < 0 {
		return fmt.Errorf("register socket for queue %d: %d is not a socket", queue, fd)
	}
	if err := s.sockets.Put(uint32(queue), uint32(fd)); err != nil {
		return fmt.Errorf("register socket for queue %d: %w", queue, err)
	}
	return nil
}

// Counters returns all exits of the program in the order of the C source,
// summed over CPUs since the program was loaded.
func (s *counting) Counters() ([]Counter, error) {
	counters := make([]Counter, len(s.exits))
	redirected := slices.Index(s.exits, "redirected")

	for i, name := range s.exits {
		// All programs count in the same struct, from packet.h.
		var perCPU []insideCounter
		if err := s.counters.Lookup(uint32(i), &perCPU); err != nil {
			return nil, fmt.Errorf("read counter %s: %w", name, err)
		}
		counters[i] = Counter{Name: name, Drop: i > redirected}
		for _, c := range perCPU {
			counters[i].Packets += c.Packets
			counters[i].Bytes += c.Bytes
		}
	}
	return counters, nil
}

// Close detaches the program and frees its tables.
func (s *attachment) Close() error {
	var detached error
	if s.link != nil {
		detached = s.link.Close()
		s.link = nil
	}
	if err := errors.Join(detached, s.objects.Close()); err != nil {
		return fmt.Errorf("close steering program: %w", err)
	}
	return nil
}

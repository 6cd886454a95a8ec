package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// The programs' names in C, and in the kernel.
const nameBlockInside, nameBlockOutside = "block_inside", "block_outside"

// Block is the inside's two programs where packet sockets take the packets: one
// lets what is protected into the sockets, the other keeps the kernel from
// forwarding it as well. Both decide as steer_inside does.
//
// SetRoutes belongs to one goroutine.
type Block struct {
	blocking
	table
}

// OutsideBlock is the outside's two programs where packet sockets take the
// records: one lets those into the sockets, the other keeps the kernel from
// answering that nobody listens at the port. Both decide as steer_outside does.
type OutsideBlock struct {
	blocking
	sessions
}

// blocking is what both pairs have.
//
// Attach and Close belong to one goroutine. The other methods may be called by
// any number of goroutines until Close is called.
type blocking struct {
	counting
	attachment
	name         string // of block, for errors
	block, admit *ebpf.Program
}

// LoadBlock puts the programs into the kernel, attached to nothing yet and
// without a route: no socket receives anything until SetRoutes.
func LoadBlock() (*Block, error) {
	spec, err := loadInside()
	if err != nil {
		return nil, fmt.Errorf("read block_inside: %w", err)
	}
	var objects struct {
		BlockInside *ebpf.Program `ebpf:"block_inside"`
		AdmitInside *ebpf.Program `ebpf:"admit_inside"`
		insideMaps
	}
	exits, err := load(spec, &objects)
	if err != nil {
		return nil, fmt.Errorf("block_inside: %w", err)
	}
	return &Block{
		blocking: blocking{
			counting:   counting{objects.Counters, exits},
			attachment: attachment{objects: closers{objects.BlockInside, objects.AdmitInside, &objects.insideMaps}},
			name:       nameBlockInside,
			block:      objects.BlockInside,
			admit:      objects.AdmitInside,
		},
		table: newTable(objects.insideMaps),
	}, nil
}

// LoadOutsideBlock puts the programs into the kernel, attached to nothing yet and
// without a session: no socket receives anything until AddSession.
func LoadOutsideBlock(cfg OutsideConfig) (*OutsideBlock, error) {
	config, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	var objects struct {
		BlockOutside *ebpf.Program `ebpf:"block_outside"`
		AdmitOutside *ebpf.Program `ebpf:"admit_outside"`
		outsideMaps
	}
	exits, err := loadConfigured(config, &objects)
	if err != nil {
		return nil, fmt.Errorf("block_outside: %w", err)
	}
	return &OutsideBlock{
		blocking: blocking{
			counting:   counting{objects.Counters, exits},
			attachment: attachment{objects: closers{objects.BlockOutside, objects.AdmitOutside, &objects.outsideMaps}},
			name:       nameBlockOutside,
			block:      objects.BlockOutside,
			admit:      objects.AdmitOutside,
		},
		sessions: sessions{objects.Sessions},
	}, nil
}

// Filter is the descriptor of the program to attach to each packet socket.
func (b *blocking) Filter() int { return b.admit.FD() }

// ErrNoTCX says that the kernel is older than the attachment that goes when the
// process does.
var ErrNoTCX = errors.New("the kernel has no TCX, which came with Linux 6.6")

// Attach starts blocking on the interface, before any other program there. It
// ends with Close or the process. Packet sockets are to be opened afterwards:
// what they do not get is blocked all the same.
func (b *blocking) Attach(ifindex int) error {
	if b.link != nil {
		return fmt.Errorf("attach %s: it is attached already", b.name)
	}
	err := HasTCX()
	taken := false
	if err == nil {
		taken, err = isBlocked(ifindex)
	}
	if err != nil {
		return fmt.Errorf("attach %s to interface %d: %w", b.name, ifindex, err)
	}
	if taken {
		return fmt.Errorf("attach %s to interface %d: %w", b.name, ifindex, ErrInterfaceTaken)
	}
	attached, err := link.AttachTCX(link.TCXOptions{
		Program:   b.block,
		Interface: ifindex,
		Attach:    ebpf.AttachTCXIngress,
		Anchor:    link.Head(),
	})
	if err != nil {
		return fmt.Errorf("attach %s to interface %d: %w", b.name, ifindex, err)
	}
	b.link = attached
	return nil
}

// HasTCX is ErrNoTCX on a kernel without it.
func HasTCX() error {
	const loopback = 1 // in every network namespace
	_, err := ingressPrograms(loopback)
	return err
}

func ingressPrograms(ifindex int) ([]link.AttachedProgram, error) {
	found, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: ebpf.AttachTCXIngress})
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, link.ErrNotSupported):
		return nil, ErrNoTCX
	case err != nil:
		return nil, fmt.Errorf("ask for the programs of interface %d: %w", ifindex, err)
	}
	return found.Programs, nil
}

// isBlocked says whether a gateway's packet sockets have the interface: TCX would
// take another program beside theirs and XDP come before it, and what one gateway
// seals the other one would too, or lose.
func isBlocked(ifindex int) (bool, error) {
	programs, err := ingressPrograms(ifindex)
	if errors.Is(err, ErrNoTCX) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, one := range programs {
		p, err := ebpf.NewProgramFromID(one.ID)
		if errors.Is(err, unix.ENOENT) {
			continue // gone meanwhile
		}
		if err != nil {
			return false, err
		}
		info, err := p.Info()
		p.Close()
		if err != nil {
			return false, err
		}
		if info.Name == nameBlockInside || info.Name == nameBlockOutside {
			return true, nil
		}
	}
	return false, nil
}

package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Block is the inside's two programs where packet sockets take the packets: one
// lets what is protected into the sockets, the other keeps the kernel from
// forwarding it as well. Both decide as steer_inside does.
//
// SetRoutes belongs to one goroutine.
type Block struct {
	counting
	attachment
	table
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
		counting:   counting{objects.Counters, exits},
		attachment: attachment{objects: closers{objects.BlockInside, objects.AdmitInside, &objects.insideMaps}},
		table:      newTable(objects.insideMaps),
		block:      objects.BlockInside,
		admit:      objects.AdmitInside,
	}, nil
}

// Filter is the descriptor of the program to attach to each packet socket.
func (b *Block) Filter() int { return b.admit.FD() }

// ErrNoTCX says that the kernel is older than the attachment that goes when the
// process does.
var ErrNoTCX = errors.New("the kernel has no TCX, which came with Linux 6.6")

// Attach starts blocking on the interface, before any other program there. It
// ends with Close or the process. Packet sockets are to be opened afterwards:
// what they do not get is blocked all the same.
func (b *Block) Attach(ifindex int) error {
	if b.link != nil {
		return errors.New("attach block_inside: it is attached already")
	}
	taken, err := b.runsOn(ifindex)
	if err != nil {
		return fmt.Errorf("attach block_inside to interface %d: %w", ifindex, err)
	}
	if taken {
		return fmt.Errorf("attach block_inside to interface %d: %w", ifindex, ErrInterfaceTaken)
	}
	attached, err := link.AttachTCX(link.TCXOptions{
		Program:   b.block,
		Interface: ifindex,
		Attach:    ebpf.AttachTCXIngress,
		Anchor:    link.Head(),
	})
	if err != nil {
		return fmt.Errorf("attach block_inside to interface %d: %w", ifindex, err)
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

// runsOn says whether another gateway's block_inside is on the interface: TCX
// would take ours beside it, and both would seal every packet.
func (b *Block) runsOn(ifindex int) (bool, error) {
	ours, err := b.block.Info()
	if err != nil {
		return false, err
	}
	others, err := ingressPrograms(ifindex)
	if err != nil {
		return false, err
	}
	for _, one := range others {
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
		if info.Name == ours.Name {
			return true, nil
		}
	}
	return false, nil
}

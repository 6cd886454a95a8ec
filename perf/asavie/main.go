// Command asavie sends, forwards and counts frames with github.com/asavie/xdp, as
// an implementation of AF_XDP that is not ours. It serves as source and sink of a
// measurement and is the rival in the middle of it.
//
//	asavie source INTERFACE MAC SIZE SECONDS   floods UDP packets of SIZE bytes of IP towards site B
//	asavie forward FROM TO RINGS               carries frames from one interface to the other, until it is ended
//	asavie sink INTERFACE SECONDS              prints "packets seconds", the time from the first to the last
//
// It is a module of its own: the library is archived, has no memory ordering on
// its rings and panics when an interface goes down, so the product shall not even
// name it in its go.mod. Programs are not detached, which takes the library
// seconds; the namespace they are in goes away.
package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// rings gives sockets with rings so deep, or for 0 the library's own choice of 64.
// Deep ones hold a burst of the other side; but the library looks at all frames to
// find a free one.
func rings(depth int) *xdp.SocketOptions {
	if depth == 0 {
		return nil
	}
	return &xdp.SocketOptions{
		NumFrames: 2 * depth, FrameSize: 2048,
		FillRingNumDescs: depth, CompletionRingNumDescs: depth, RxRingNumDescs: depth, TxRingNumDescs: depth,
	}
}

const deep = 2048

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "asavie:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 5 && args[0] == "source":
		mac, err := net.ParseMAC(args[2])
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(args[3])
		if err != nil || size < 28 || size > 1500 {
			return fmt.Errorf("a size of %q is not from 28 to 1500", args[3])
		}
		duration, err := seconds(args[4])
		if err != nil {
			return err
		}
		return source(args[1], packet(mac, size), duration)
	case len(args) == 4 && args[0] == "forward":
		depth, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		return forward(args[1], args[2], rings(depth))
	case len(args) == 3 && args[0] == "sink":
		duration, err := seconds(args[2])
		if err != nil {
			return err
		}
		return sink(args[1], duration)
	}
	return fmt.Errorf("usage: asavie source INTERFACE MAC SIZE SECONDS | forward FROM TO RINGS | sink INTERFACE SECONDS")
}

func seconds(text string) (time.Duration, error) {
	v, err := strconv.ParseFloat(text, 64)
	return time.Duration(v * float64(time.Second)), err
}

// open binds a socket to queue 0 and, to receive, attaches the library's program.
func open(name string, options *xdp.SocketOptions, receive bool) (*xdp.Socket, error) {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	socket, err := xdp.NewSocket(device.Index, 0, options)
	if err != nil || !receive {
		return socket, err
	}
	program, err := xdp.NewProgram(1)
	if err != nil {
		return nil, err
	}
	if err := program.Attach(device.Index); err != nil {
		return nil, err
	}
	return socket, program.Register(0, socket.FD())
}

// packet is UDP from host A to host B in an Ethernet frame.
func packet(mac net.HardwareAddr, size int) []byte {
	p := make([]byte, 14+size)
	copy(p, mac)
	copy(p[6:], []byte{2, 0, 0, 0, 0, 1})
	p[12], p[13] = 8, 0
	ip := p[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(size))
	copy(ip[12:], []byte{10, 1, 0, 2})
	copy(ip[16:], []byte{10, 2, 0, 2})
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(ip[20:], 7000)
	binary.BigEndian.PutUint16(ip[22:], 7000)
	binary.BigEndian.PutUint16(ip[24:], uint16(size-20))
	return p
}

func source(name string, frame []byte, duration time.Duration) error {
	socket, err := open(name, rings(deep), false)
	if err != nil {
		return err
	}
	for end := time.Now().Add(duration); time.Now().Before(end); {
		descs := socket.GetDescs(min(64, socket.NumFreeTxSlots()))
		for i := range descs {
			descs[i].Len = uint32(copy(socket.GetFrame(descs[i]), frame))
		}
		socket.Transmit(descs)
		if _, _, err := socket.Poll(100); err != nil {
			return err
		}
	}
	return nil
}

// forward is the loop of the library's own example l2fwd, in one direction.
func forward(from, to string, options *xdp.SocketOptions) error {
	in, err := open(from, options, true)
	if err != nil {
		return err
	}
	out, err := open(to, options, false)
	if err != nil {
		return err
	}
	fmt.Println("forwarding")
	fds := []unix.PollFd{{Fd: int32(in.FD())}, {Fd: int32(out.FD())}}
	for {
		in.Fill(in.GetDescs(in.NumFreeFillSlots()))
		fds[0].Events, fds[1].Events = unix.POLLIN, 0
		if out.NumTransmitted() > 0 {
			fds[1].Events = unix.POLLOUT
		}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return err
		}
		out.Complete(out.NumCompleted())
		arrived := in.Receive(in.NumReceived())
		leaving := out.GetDescs(min(len(arrived), out.NumFreeTxSlots()))
		for i := range leaving {
			leaving[i].Len = uint32(copy(out.GetFrame(leaving[i]), in.GetFrame(arrived[i])))
		}
		out.Transmit(leaving)
	}
}

func sink(name string, duration time.Duration) error {
	socket, err := open(name, rings(deep), true)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	var packets int
	var first, last time.Time
	for end := time.Now().Add(duration); time.Now().Before(end); {
		socket.Fill(socket.GetDescs(socket.NumFreeFillSlots()))
		n, _, err := socket.Poll(100)
		if err != nil {
			return err
		}
		if n = len(socket.Receive(n)); n > 0 {
			last = time.Now()
			if packets == 0 {
				first = last
			}
			packets += n
		}
	}
	fmt.Printf("%d %.6f\n", packets, last.Sub(first).Seconds())
	return nil
}

package xsk

import (
	"fmt"
	"time"
)

const (
	defaultRingSize  = 4096 // 256 lost thousands of packets per second on veth, 4096 none
	defaultFrameSize = 4096 // one page: wire MTUs to about 3,500 fit without multi-buffer
	maxRingSize      = 1 << 15

	// batch is the longest burst Recv hands out. 256 cost some 7 % less CPU time than
	// 64 on veth, since more of what arrives leaves together. Every lent frame is one
	// that the kernel cannot receive into.
	batch = 256

	// recvHeadroom is XDP_PACKET_HEADROOM: what the kernel keeps free in front
	// of every received packet, taken from the chunk. We leave as much in every
	// room, so that a frame may start at any offset up to it.
	recvHeadroom = 256

	// mostChunks is how many chunks one frame may lie in. The kernel's limit is
	// 18 (MAX_SKB_FRAGS + 1), of which we use a power of two.
	mostChunks = 16
)

// LongestFrame is the most that Config.MaxFrame may be, in chunks of 4096.
const LongestFrame = mostChunks*defaultFrameSize - recvHeadroom

// Mode chooses between the kernel copying packets into the UMEM and the device
// writing them there itself.
type Mode uint8

const (
	ModeAuto     Mode = iota // zero-copy where the driver has it, else copy
	ModeZeroCopy             // zero-copy, or Open fails
	ModeCopy                 // copy, even where the driver could do better
)

// ParseMode reads the words of the configuration key zero_copy: auto, on, off.
func ParseMode(word string) (Mode, error) {
	switch word {
	case "auto":
		return ModeAuto, nil
	case "on":
		return ModeZeroCopy, nil
	case "off":
		return ModeCopy, nil
	}
	return 0, fmt.Errorf("zero-copy mode %q is none of auto, on, off", word)
}

// Config says which queue to open and how.
type Config struct {
	Interface string // name, looked up in the calling thread's network namespace
	Queue     int    // receive and transmit queue of the interface, from 0
	RingSize  int    // entries in each of the four rings, a power of two; 0 means 4096
	FrameSize int    // bytes per chunk, 2048 or 4096; 0 means 4096
	Mode      Mode

	// MaxFrame is the longest frame that is to arrive or to be sent, in bytes
	// from the first MAC address on; 0 means what one chunk holds. Where that is
	// less, frames travel in several chunks (multi-buffer), which takes Linux
	// 6.6 and costs a copy of each such frame that arrives. A kernel or, with
	// ModeAuto, a driver that cannot do it in this mode gives the next best:
	// see Info.
	MaxFrame int

	// Generic says that the XDP program is attached in generic mode. Packets
	// then arrive as skbs whatever the driver can do, so the socket is bound
	// in copy mode. On veth, what the peer sent from queue n > 0 then arrives
	// on queue n-1.
	Generic bool

	// BusyPoll, when not 0, makes our own calls run the driver's receive loop
	// for up to this long instead of waiting for interrupts. It is rounded
	// down to whole microseconds, at least one.
	BusyPoll time.Duration
}

// Info tells what Open got, which is not always what was asked for.
type Info struct {
	Interface string
	Queue     int

	ZeroCopy   bool // the device writes into our memory; false: the kernel copies
	NeedWakeup bool // the kernel says when it wants a call; otherwise every Flush makes one
	HugePages  bool // the UMEM lies in huge pages; false: none were free

	RingSize   int // entries in each ring; also chunks per direction
	FrameSize  int // bytes per chunk
	RoomSize   int // bytes that Room gives, one chunk or several
	MaxReceive int // bytes of the longest packet that can arrive

	// MultiBuffer says that packets may lie in several chunks. If it is false
	// although Config.MaxFrame asked for it, the kernel does not know it.
	MultiBuffer bool

	// SendBudget is how many packets one system call sends at most in copy
	// mode: 32, unless the kernel (since 6.17) let us raise it.
	SendBudget int

	BusyPoll time.Duration // 0 when off
}

// withDefaults returns the configuration with its zeros replaced, or an error
// for what no kernel would accept.
func (c Config) withDefaults() (Config, error) {
	if c.RingSize == 0 {
		c.RingSize = defaultRingSize
	}
	if c.FrameSize == 0 {
		c.FrameSize = defaultFrameSize
	}
	switch {
	case c.Interface == "":
		return c, fmt.Errorf("no interface named")
	case c.Queue < 0:
		return c, fmt.Errorf("queue %d is negative", c.Queue)
	case c.RingSize < 2 || c.RingSize > maxRingSize || c.RingSize&(c.RingSize-1) != 0:
		return c, fmt.Errorf("ring size %d is not a power of two from 2 to %d", c.RingSize, maxRingSize)
	case c.FrameSize != 2048 && c.FrameSize != 4096:
		return c, fmt.Errorf("frame size %d is neither 2048 nor 4096", c.FrameSize)
	case c.MaxFrame < 0 || c.MaxFrame > mostChunks*c.FrameSize-recvHeadroom:
		return c, fmt.Errorf("frames of %d bytes are more than %d chunks of %d bytes hold", c.MaxFrame, mostChunks, c.FrameSize)
	case c.chunksPerRoom() > c.RingSize:
		return c, fmt.Errorf("a ring of %d entries cannot hold one frame of %d bytes", c.RingSize, c.MaxFrame)
	case c.Mode > ModeCopy:
		return c, fmt.Errorf("zero-copy mode %d is unknown", c.Mode)
	case c.Generic && c.Mode == ModeZeroCopy:
		return c, fmt.Errorf("zero-copy needs a program in native mode, this one is generic")
	case c.BusyPoll < 0:
		return c, fmt.Errorf("busy-poll time %v is negative", c.BusyPoll)
	}
	if c.BusyPoll > 0 {
		c.BusyPoll = max(c.BusyPoll.Truncate(time.Microsecond), time.Microsecond)
	}
	return c, nil
}

// oneChunk is the longest packet that arrives in one chunk.
func (c Config) oneChunk() int { return c.FrameSize - recvHeadroom }

// chunksPerRoom is how many adjacent chunks hold the longest frame at any offset
// up to recvHeadroom. A power of two cuts the sending half without a remainder.
func (c Config) chunksPerRoom() int {
	chunks := 1
	for chunks*c.FrameSize < c.MaxFrame+recvHeadroom {
		chunks *= 2
	}
	return chunks
}

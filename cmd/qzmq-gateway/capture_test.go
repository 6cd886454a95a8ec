package main_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// capture collects the frames that pass an interface, in both directions.
type capture struct {
	t    *testing.T
	fd   int
	keep func(*frame) bool
	stop chan struct{}
	over chan struct{} // closed when the reader has ended

	mu     sync.Mutex
	frames []*frame
	drains int // how often there was nothing left to read
}

// capture starts collecting on an interface; keep, if not nil, says what.
func (b *testbed) capture(ns, device string, keep func(*frame) bool) *capture {
	b.t.Helper()
	c := &capture{t: b.t, keep: keep, stop: make(chan struct{}), over: make(chan struct{})}
	var err error
	if c.fd, err = b.packetSocket(ns, device, unix.ETH_P_ALL); err != nil {
		b.t.Fatalf("capture on %s %s: %v", ns, device, err)
	}
	go c.read()
	b.t.Cleanup(func() {
		close(c.stop)
		<-c.over
		unix.Close(c.fd)
	})
	return c
}

// onWire collects what crosses the cable between the gateways.
func (b *testbed) onWire(keep func(*frame) bool) *capture {
	b.t.Helper()
	return b.capture("wire", "to-a", keep)
}

// packetSocket opens an AF_PACKET socket on an interface of a namespace.
// Protocol 0 receives nothing.
func (b *testbed) packetSocket(ns, device string, protocol uint16) (fd int, err error) {
	err = b.enter(ns, func() (err error) {
		var index uint32
		if index, err = interfaceIndex(device); err != nil {
			return err
		}
		// Bound before it receives, so that no other interface's frames come.
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		const room = 64 << 20 // for what comes while the two cores do something else
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room); err == nil {
			swapped := protocol<<8 | protocol>>8
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swapped, Ifindex: int(index)})
		}
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	return fd, err
}

func interfaceIndex(device string) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(device)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, fmt.Errorf("interface %s: %w", device, err)
	}
	return request.Uint32(), nil
}

func (c *capture) read() {
	defer close(c.over)
	room := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(c.fd, room, 0)
		if err == nil {
			f := parseFrame(append([]byte(nil), room[:n]...))
			if c.keep == nil || c.keep(f) {
				c.mu.Lock()
				c.frames = append(c.frames, f)
				c.mu.Unlock()
			}
			continue
		}
		c.mu.Lock()
		c.drains++
		c.mu.Unlock()
		select {
		case <-c.stop:
			return
		default:
			unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, 10)
		}
	}
}

// all gives what has passed by now. It fails the test if the kernel had to
// leave frames out, since then an absence would prove nothing.
func (c *capture) all() []*frame {
	c.t.Helper()
	c.mu.Lock()
	before := c.drains
	c.mu.Unlock()
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		frames, drains := c.frames[:len(c.frames):len(c.frames)], c.drains
		c.mu.Unlock()
		if drains >= before+2 { // one of them has begun after this call
			stats, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
			if err != nil || stats.Drops > 0 {
				c.t.Fatalf("the capture is not complete: %v, %+v", err, stats)
			}
			return frames
		}
		if time.Now().After(limit) {
			c.t.Fatal("more frames pass than the capture can read")
		}
	}
}

// frame is a captured Ethernet frame and what is read of it.
type frame struct {
	b        []byte
	at       time.Time // when it was read
	kind     uint16    // EtherType
	src, dst netip.Addr
	protocol byte
	payload  []byte // behind the IP header, and the fragment header if there is one

	srcPort, dstPort uint16 // of UDP and TCP
}

// parseFrame reads as far as the frame makes sense.
func parseFrame(b []byte) *frame {
	f := &frame{b: b, at: time.Now()}
	if len(b) < 14 {
		return f
	}
	f.kind = binary.BigEndian.Uint16(b[12:])
	p := b[14:]
	switch {
	case f.kind == unix.ETH_P_IP && len(p) >= 20 && int(p[0]&15)*4 <= len(p):
		f.src, f.dst = netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
		f.protocol, f.payload = p[9], p[int(p[0]&15)*4:]
		if total := int(binary.BigEndian.Uint16(p[2:])); total <= len(p) && total >= len(p)-len(f.payload) {
			f.payload = f.payload[:total-(len(p)-len(f.payload))]
		}
	case f.kind == unix.ETH_P_IPV6 && len(p) >= 40:
		f.src, f.dst = netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
		f.protocol, f.payload = p[6], p[40:]
		for (f.protocol == unix.IPPROTO_HOPOPTS || f.protocol == unix.IPPROTO_FRAGMENT) && len(f.payload) >= 8 {
			f.protocol, f.payload = f.payload[0], f.payload[8:]
		}
	}
	if (f.protocol == unix.IPPROTO_TCP || f.protocol == unix.IPPROTO_UDP) && len(f.payload) >= 4 {
		f.srcPort, f.dstPort = binary.BigEndian.Uint16(f.payload), binary.BigEndian.Uint16(f.payload[2:])
	}
	return f
}

// String is for failures.
func (f *frame) String() string {
	return fmt.Sprintf("%d bytes, EtherType %#04x, protocol %d, %v:%d to %v:%d",
		len(f.b), f.kind, f.protocol, f.src, f.srcPort, f.dst, f.dstPort)
}

// inClear says whether the frame carries an inside address where a router on
// the way would read it: on the wire that is a leak.
func (f *frame) inClear() bool { return isInside(f.src) || isInside(f.dst) }

func isInside(a netip.Addr) bool {
	for _, p := range []string{"10.1.0.0/24", "10.2.0.0/24", "fd00:1::/64", "fd00:2::/64"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}

// isRecord says whether the frame is a record from one gateway to the other.
func (f *frame) isRecord() bool {
	return f.protocol == unix.IPPROTO_UDP && f.dstPort == 5580 && betweenGateways(f)
}

func betweenGateways(f *frame) bool {
	a, b := netip.MustParseAddr(outsideA4), netip.MustParseAddr(outsideB4)
	return f.src == a && f.dst == b || f.src == b && f.dst == a
}

func isFrom(s site) func(*frame) bool {
	from := netip.MustParseAddr(s.outside4)
	return func(f *frame) bool { return f.isRecord() && f.src == from }
}

// countFrames is how many frames are so.
func countFrames(frames []*frame, is func(*frame) bool) (n int) {
	for _, f := range frames {
		if is(f) {
			n++
		}
	}
	return n
}

package main_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// autoIO leaves the choice to the gateway, which takes super-frames on veth.
const autoIO = "QZMQ_GATEWAY_INSIDE_IO=auto"

// offloads turns on what the testbed has turned off on the insides, or off again:
// checksums and segmentation.
func (b *testbed) offloads(state string, namespaces ...string) {
	b.t.Helper()
	for _, ns := range namespaces {
		b.run(ns, "ethtool", "-K", "eth1", "rx", state, "tx", state, "sg", state, "tso", state, "gso", state,
			"tx-tcp-ecn-segmentation", state, "tx-tcp6-segmentation", state, "tx-udp-segmentation", state)
	}
}

// TestSuperframes: an inside port of packet sockets, the hosts' offloads on. To
// the hosts, and on the wire, nothing is different.
func TestSuperframes(t *testing.T) {
	b := newTestbed(t, "")
	b.offloads("on", "host-a", "host-b", "gw-a", "gw-b")
	a, z := b.linked(autoIO)
	for _, d := range []*daemon{a, z} {
		if n := d.metrics().sum("qzmq_inside_io_info", `configured="auto"`, `io="superframe"`, `memory=""`, `because="virtual driver veth"`); n != 1 {
			t.Errorf("gateway %s does not show the way of its inside", d.at.name)
		}
		if len(d.out.lines("gateway started", "inside_io=superframe", "virtual driver veth")) != 1 {
			t.Errorf("gateway %s does not log the way of its inside", d.at.name)
		}
		if said := d.out.lines("in software"); len(said) != 0 {
			t.Errorf("gateway %s misses features: %s", d.at.name, said)
		}
	}
	leaks := b.onWire((*frame).inClear)

	t.Run("ping", func(t *testing.T) {
		for _, to := range []string{hostB4, hostB6} {
			if out, err := b.try("host-a", "ping", "-n", "-c", "5", "-i", "0.02", "-w", "5", to); err != nil {
				t.Errorf("ping %s: %v\n%s", to, err, out)
			}
		}
	})
	t.Run("path MTU", func(t *testing.T) { testPathMTU(t, b) })
	t.Run("fragments", func(t *testing.T) {
		if out, err := b.try("host-a", "ping", "-n", "-c", "3", "-i", "0.05", "-w", "5", "-M", "dont", "-s", "4000", hostB4); err != nil {
			t.Errorf("fragments do not pass: %v\n%s", err, out)
		}
	})
	t.Run("UDP in one piece", func(t *testing.T) { testUDPSegments(t, b, a) })
	for _, hosts := range []string{"on", "off at one host"} {
		if hosts != "on" {
			b.offloads("off", "host-b")
		}
		for _, from := range []site{siteA, siteB} {
			for _, family := range []string{"-4", "-6"} {
				t.Run(fmt.Sprintf("offloads %s, TCP %s from %s", hosts, family, from.name), func(t *testing.T) {
					testSuperTCP(t, b, a, z, from, family, hosts == "on")
				})
			}
		}
		t.Run("offloads "+hosts+", ZeroMQ", func(t *testing.T) {
			l := b.exchange(siteB, siteA, "pull", "push", 5557, "--size", "1000000", "--count", "50")
			t.Logf("%.0f MB/s", float64(l.Bytes)/1e6/l.Seconds)
			b.exchange(siteA, siteB, "rep", "req", 5555, "--count", "120")
		})
	}
	for _, d := range []*daemon{a, z} {
		for name, n := range d.metrics() {
			refused := strings.Contains(name, `event="receive_`) && !strings.Contains(name, "_frames") || strings.Contains(name, `event="send_`)
			if n != 0 && refused && strings.Contains(name, `side="inside"`) {
				t.Errorf("gateway %s: %s is %.0f", d.at.name, name, n)
			}
		}
	}
	for _, f := range leaks.all() {
		t.Errorf("in clear on the wire: %v", f)
	}
}

// testSuperTCP has iperf3 send for a while. Where the hosts leave segmentation to
// their cards, most frames that the gateways take and give inside are
// super-frames.
func testSuperTCP(t *testing.T, b *testbed, a, z *daemon, from site, family string, super bool) {
	to := from.other()
	address := map[string]string{"-4": to.host4, "-6": to.host6}[family]
	server := b.spawn(to.host, "iperf3", "--server", "--one-off", "--forceflush")
	b.within(5*time.Second, "iperf3 listens", func() bool { return len(server.out.lines("listening")) > 0 })
	ends := map[site]*daemon{siteA: a, siteB: z}
	before := map[site]metrics{siteA: a.metrics(), siteB: z.metrics()}
	client := b.spawn(from.host, "iperf3", "--client", address, family, "--bytes", "100M", "--json")
	var report struct {
		End struct {
			Received struct {
				Bits  float64 `json:"bits_per_second"`
				Bytes float64
			} `json:"sum_received"`
			Sent struct{ Retransmits int } `json:"sum_sent"`
		}
	}
	if err := json.Unmarshal([]byte(client.wait(30*time.Second)), &report); err != nil {
		t.Fatal(err)
	}
	end := report.End
	t.Logf("%.2f Gbit/s, %d retransmits", end.Received.Bits/1e9, end.Sent.Retransmits)
	if end.Received.Bytes < 90e6 { // the receiver's count ends a little early
		t.Errorf("%.0f bytes arrived", end.Received.Bytes)
	}
	per := func(s site, event string) float64 {
		m := ends[s].metrics().since(before[s])
		return m.sum("qzmq_socket_events_total", `side="inside"`, `event="`+event+`"`) /
			m.sum("qzmq_socket_events_total", `side="inside"`, `event="`+event+`_frames"`)
	}
	if in, out := per(from, "received"), per(to, "sent"); out < 3 || super && in < 5 {
		t.Errorf("a frame has %.1f packets inside at %s and %.1f at %s", in, from.name, out, to.name)
	}
}

// testUDPSegments sends datagrams in one piece (UDP_SEGMENT), which the host
// leaves to its card to cut.
func testUDPSegments(t *testing.T, b *testbed, a *daemon) {
	const size, count = 1200, 30
	open := func(s site) (conn *net.UDPConn) {
		err := b.enter(s.host, func() (err error) {
			conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(s.host4), 7100)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	from, to := open(siteA), open(siteB)
	raw, err := from.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size) })
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, size*count-7)
	for i := range want {
		want[i] = byte(i*13 + i>>8)
	}
	before := a.metrics()
	if _, err := from.WriteTo(want, to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	var got []byte
	to.SetReadDeadline(time.Now().Add(5 * time.Second))
	for i := range count {
		room := make([]byte, 4096)
		n, err := to.Read(room)
		if err != nil {
			t.Fatalf("%d datagrams of %d arrived: %v", i, count, err)
		}
		got = append(got, room[:n]...)
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes arrived than were sent")
	}
	var frames float64
	b.within(5*time.Second, "the gateway counts", func() bool {
		m := a.metrics().since(before)
		frames = m.sum("qzmq_socket_events_total", `side="inside"`, `event="received_frames"`)
		return m.sum("qzmq_socket_events_total", `side="inside"`, `event="received"`) >= count
	})
	if frames >= count {
		t.Errorf("%.0f frames for %d datagrams", frames, count)
	}
}

// TestSuperframeCrash is TestCrash on ports of packet sockets.
func TestSuperframeCrash(t *testing.T) {
	b := newTestbed(t, "")
	b.offloads("on", "host-a", "host-b", "gw-a", "gw-b")
	b.cable("on")
	testCrash(t, b, func(s site) (in, out bool) { return b.tcx(s, "eth1"), b.tcx(s, "eth2") }, sides("auto", "auto")...)
}

// TestSuperframeDamage: a segment that arrives damaged, between others that
// merge, reaches the far host as it is, whose stack can throw it away. The
// gateways' interfaces have no offloads here, so the kernel cuts what merges.
func TestSuperframeDamage(t *testing.T) {
	b := newTestbed(t, "")
	b.offloads("on", "host-a", "host-b")
	a, _ := b.linked(autoIO)
	if len(a.out.lines("in software", "tx-tcp-segmentation", "tx-tcp6-segmentation")) != 1 {
		t.Error("the gateway does not say what its interface lacks")
	}
	if !b.ping("host-a", hostB4) {
		t.Fatal("no ping")
	}
	const size, count, port = 1000, 20, 7200
	seen := b.capture("host-b", "eth1", func(f *frame) bool { return f.protocol == unix.IPPROTO_TCP && f.dstPort == port })
	fd, err := b.packetSocket("host-a", "eth1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	macs := b.macs("host-a", "gw-a")
	for i := range count {
		segment := tcpSegment(macs, uint32(1000+i*size), port, bytes.Repeat([]byte{byte(i)}, size))
		if i == count/2 {
			segment[len(segment)-1] ^= 0x80
		}
		if _, err := unix.Write(fd, segment); err != nil {
			t.Fatal(err)
		}
	}
	var bad [][]byte
	b.within(5*time.Second, "all bytes are at the far host", func() bool {
		total := 0
		bad = nil
		for _, f := range seen.all() {
			total += len(f.payload) - 20
			if n := len(f.payload); f.payload[n-1] == count/2^0x80 {
				bad = append(bad, f.payload)
			}
		}
		return total == size*count
	})
	if len(bad) != 1 || len(bad[0]) != 20+size {
		t.Fatalf("the damaged segment is in %d frames", len(bad))
	}
	// Whoever sums it finds the mistake.
	pseudo := append(netip.MustParseAddr(hostA4).AsSlice(), netip.MustParseAddr(hostB4).AsSlice()...)
	pseudo = append(pseudo, 0, unix.IPPROTO_TCP, byte(len(bad[0])>>8), byte(len(bad[0])))
	if onesSum(append(pseudo, bad[0]...)) == 0xffff {
		t.Error("the damaged segment has got a right checksum on the way")
	}
}

// macs are the addresses of eth1 of two namespaces, as a frame from the first to
// the second begins.
func (b *testbed) macs(from, to string) (macs []byte) {
	b.t.Helper()
	for _, ns := range []string{to, from} {
		mac, err := net.ParseMAC(string(bytes.TrimSpace([]byte(b.run(ns, "cat", "/sys/class/net/eth1/address")))))
		if err != nil {
			b.t.Fatal(err)
		}
		macs = append(macs, mac...)
	}
	return macs
}

// tcpSegment is a frame from host A to host B with a right checksum.
func tcpSegment(macs []byte, seq uint32, port uint16, payload []byte) []byte {
	tcp := binary.BigEndian.AppendUint16(nil, 7201)
	tcp = binary.BigEndian.AppendUint16(tcp, port)
	tcp = binary.BigEndian.AppendUint32(tcp, seq)
	tcp = append(append(tcp, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0), payload...)
	addresses := append(netip.MustParseAddr(hostA4).AsSlice(), netip.MustParseAddr(hostB4).AsSlice()...)
	pseudo := append(bytes.Clone(addresses), 0, unix.IPPROTO_TCP, byte(len(tcp)>>8), byte(len(tcp)))
	binary.BigEndian.PutUint16(tcp[16:], ^onesSum(append(pseudo, tcp...)))
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, unix.IPPROTO_TCP, 0, 0}
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(tcp)))
	ip = append(ip, addresses...)
	binary.BigEndian.PutUint16(ip[10:], ^onesSum(ip))
	return append(append(append(bytes.Clone(macs), 8, 0), ip...), tcp...)
}

func onesSum(b []byte) uint16 {
	var total uint32
	for i, v := range b {
		total += uint32(v) << (8 * (1 - i%2))
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}

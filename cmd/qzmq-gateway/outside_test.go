package main_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sides are settings for the gateway's two sides.
func sides(inside, outside string) []string {
	return []string{"QZMQ_GATEWAY_INSIDE_IO=" + inside, "QZMQ_GATEWAY_OUTSIDE_IO=" + outside}
}

// cable turns the offloads of the outside on or off, those of the wire's middle too.
func (b *testbed) cable(state string) {
	b.t.Helper()
	for ns, devices := range map[string][]string{"gw-a": {"eth2"}, "gw-b": {"eth2"}, "wire": {"to-a", "to-b"}} {
		for _, device := range devices {
			b.run(ns, "ethtool", "-K", device, "rx", state, "tx", state, "sg", state, "tso", state, "gso", state,
				"gro", state, "tx-tcp-ecn-segmentation", state, "tx-tcp6-segmentation", state, "tx-udp-segmentation", state)
		}
	}
}

// outsideIPv6 has a configuration speak IPv6 outside.
func (b *testbed) outsideIPv6(path string) {
	b.t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		r := strings.NewReplacer("address: 192.0.2.1,", `address: "2001:db8::1",`, "address: 192.0.2.2,", `address: "2001:db8::2",`,
			"endpoint: 192.0.2.1:5580", `endpoint: "[2001:db8::1]:5580"`, "endpoint: 192.0.2.2:5580", `endpoint: "[2001:db8::2]:5580"`)
		err = os.WriteFile(path, []byte(r.Replace(string(text))), 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestPorts: each kind of port on each side of each gateway, as far as they differ,
// also where one gateway has other ones than its peer.
func TestPorts(t *testing.T) {
	for _, c := range []struct{ a, z []string }{
		{sides("xdp", "superframe"), sides("xdp", "superframe")},
		{sides("superframe", "superframe"), sides("superframe", "superframe")},
		{sides("superframe", "superframe"), sides("xdp", "xdp")},
		{sides("superframe", "xdp"), sides("xdp", "superframe")},
	} {
		t.Run(strings.ReplaceAll(fmt.Sprint(c.a, c.z), "QZMQ_GATEWAY_", ""), func(t *testing.T) {
			b := newTestbed(t, "-ports")
			b.configure(siteA)
			b.configure(siteB)
			daemons := map[site]*daemon{siteA: b.gateway(siteA, c.a...), siteB: b.gateway(siteB, c.z...)}
			for _, d := range daemons {
				d.awaitReady()
			}
			for s, settings := range map[site][]string{siteA: c.a, siteB: c.z} {
				for i, device := range []string{"eth1", "eth2"} {
					if super := strings.HasSuffix(settings[i], "superframe"); b.tcx(s, device) != super || b.xdp(s, device) == super {
						t.Errorf("%s of gateway %s: TCX %t, XDP %t", device, s.name, b.tcx(s, device), b.xdp(s, device))
					}
				}
			}
			leaks := b.onWire((*frame).inClear)
			wire := b.onWire((*frame).isRecord)
			before := map[site]metrics{siteA: daemons[siteA].metrics(), siteB: daemons[siteB].metrics()}
			for _, from := range []site{siteA, siteB} {
				for _, to := range []string{from.other().host4, from.other().host6} {
					b.within(5*time.Second, "an answer from "+to, func() bool { return b.ping(from.host, to) })
				}
				b.edge(from, from.other().host4, 1500-60, 28)
				b.transfer(from, from.other())
				b.exchange(from, from.other(), "rep", "req", 5555, "--count", "100")
			}
			for s, d := range daemons {
				for name, n := range d.metrics().since(before[s]) {
					if isDrop(name) && !inMove(name, n) && !strings.Contains(name, `reason="too_big"`) && !strings.Contains(name, "neighbour") {
						t.Errorf("gateway %s: %s is %v", s.name, name, n)
					}
				}
			}
			for _, f := range leaks.all() {
				t.Errorf("in clear on the wire: %v", f)
			}
			// Whoever has cut them, what crosses are datagrams that fit, with a right
			// checksum or none.
			for _, f := range wire.all() {
				if len(f.b) > 1514 || f.payload[6]|f.payload[7] != 0 && !f.sumsUp() {
					t.Fatalf("on the wire: %v, checksum %x", f, f.payload[6:8])
				}
			}
		})
	}
}

// sumsUp says whether the checksum of a UDP datagram is right.
func (f *frame) sumsUp() bool {
	pseudo := append(f.src.AsSlice(), f.dst.AsSlice()...)
	pseudo = append(pseudo, 0, unix.IPPROTO_UDP, byte(len(f.payload)>>8), byte(len(f.payload)))
	return onesSum(append(pseudo, f.payload...)) == 0xffff
}

// TestSuperframesOutside: where the interfaces let them, records of bulk cross as
// super-frames, at each wire MTU, whichever IP is outside.
func TestSuperframesOutside(t *testing.T) {
	for _, mtu := range []int{1500, 3420, 9000} {
		for _, outside := range []string{"IPv4", "IPv6"} {
			t.Run(fmt.Sprint(mtu, " ", outside), func(t *testing.T) {
				text := fmt.Sprint(mtu)
				b := newTestbed(t, "-outside", "TESTBED_MTU="+text, "TESTBED_INSIDE_MTU="+text, "TESTBED_OFFLOADS=all")
				overhead := 60
				daemons := map[site]*daemon{}
				for _, s := range []site{siteA, siteB} {
					path := b.configure(s)
					if outside == "IPv6" {
						overhead = 80
						b.outsideIPv6(path)
					}
					daemons[s] = b.gateway(s, sides("auto", "auto")...)
				}
				for s, d := range daemons {
					d.awaitReady()
					if n := d.metrics().sum("qzmq_outside_io_info", `io="superframe"`, `because="virtual driver veth"`); n != 1 {
						t.Errorf("gateway %s does not show the way of its outside", s.name)
					}
					if said := d.out.lines("in software"); len(said) != 0 {
						t.Errorf("gateway %s misses features: %s", s.name, said)
					}
				}
				for _, from := range []site{siteA, siteB} {
					to := from.other()
					b.within(5*time.Second, "an answer from "+to.host4, func() bool { return b.ping(from.host, to.host4) })
					b.edge(from, to.host4, mtu-overhead, 28)
					before := map[site]metrics{siteA: daemons[siteA].metrics(), siteB: daemons[siteB].metrics()}
					b.transfer(from, to)
					for s, event := range map[site]string{from: "sent", to: "received"} {
						m := daemons[s].metrics().since(before[s])
						packets := m.sum("qzmq_socket_events_total", `side="outside"`, `event="`+event+`"`)
						frames := m.sum("qzmq_socket_events_total", `side="outside"`, `event="`+event+`_frames"`)
						if t.Logf("gateway %s: %.0f records %s in %.0f frames", s.name, packets, event, frames); packets < 2*frames {
							t.Errorf("gateway %s has %s %.0f records in %.0f frames", s.name, event, packets, frames)
						}
					}
				}
				for s, d := range daemons {
					for name, n := range d.metrics() {
						refused := strings.Contains(name, `event="receive_`) && !strings.Contains(name, "_frames") || strings.Contains(name, `event="send_`)
						if n != 0 && refused {
							t.Errorf("gateway %s: %s is %.0f", s.name, name, n)
						}
					}
				}
			})
		}
	}
}

// TestSuperframesDownUp is TestInterfaceDownUp with packet sockets on both sides.
func TestSuperframesDownUp(t *testing.T) {
	testDownUp(t, newTestbed(t, ""), sides("superframe", "superframe")...)
}

// TestSuperframesHostile is TestHostileRecords before an outside of packet sockets.
func TestSuperframesHostile(t *testing.T) {
	testHostile(t, newTestbed(t, ""), sides("xdp", "superframe")...)
}

// TestMergedStrangers: the kernel merges datagrams whatever is in them. Records in
// the company of a stranger's get in all the same, and he is counted by himself.
func TestMergedStrangers(t *testing.T) {
	b := newTestbed(t, "")
	wire := b.onWire(isFrom(siteA))
	_, victim := b.linked(sides("xdp", "superframe")...)
	genuine, _ := b.holdBack(wire)
	host := b.capture("host-b", "eth1", nil)
	b.cable("on")
	attacker := b.attacker(victim)
	if err := unix.SetsockoptInt(attacker.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Fatal(err)
	}
	r := genuine.record()
	stranger := append([]byte(nil), r...)
	stranger[4] ^= 0xff
	both := genuine.withRecord(append(stranger, r...))
	const start, inStart = 14 + 20, 6
	addresses := append(netip.MustParseAddr(outsideA4).AsSlice(), netip.MustParseAddr(outsideB4).AsSlice()...)
	n := len(both) - start
	open := onesSum(append(addresses, 0, unix.IPPROTO_UDP, byte(n>>8), byte(n)))
	both[start+6], both[start+7] = byte(open>>8), byte(open)
	header := []byte{1, 5 /* UDP_L4 */, start + 8, 0, byte(len(r)), byte(len(r) >> 8), start, 0, inStart, 0}
	attacker.send(t, "two in one piece", map[string]int{"unknown_session": 1}, append(header, both...))
	b.within(3*time.Second, "the genuine record is delivered", func() bool { return countFrames(host.all(), isProbe) == 1 })
}

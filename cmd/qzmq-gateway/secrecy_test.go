package main_test

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// marker stands at the head of what the ZeroMQ programs send.
const marker = "this sentence is plaintext"

func hasMarker(f *frame) bool { return bytes.Contains(f.b, []byte(marker)) }

// expected says whether a frame may cross the wire: between the gateways TCP and
// UDP on our port and nothing else, and what neighbours say to each other.
func expected(f *frame) bool {
	if f.kind == unix.ETH_P_ARP {
		return true
	}
	if f.protocol == unix.IPPROTO_ICMPV6 && len(f.payload) > 0 {
		// Neighbour discovery, and the groups that it listens to.
		kind := f.payload[0]
		return 130 <= kind && kind <= 137 || kind == 143
	}
	control := f.protocol == unix.IPPROTO_TCP && (f.srcPort == 5580 || f.dstPort == 5580)
	return betweenGateways(f) && (control || f.isRecord())
}

// TestSecrecy: what the hosts can read nobody can read on the wire.
func TestSecrecy(t *testing.T) {
	b := newTestbed(t, "")

	// Without the gateways the very same traffic shows. If it did not, the rest
	// of this test would prove nothing.
	control := b.onWire(nil)
	b.exchange(siteB, siteA, "rep", "req", 5555, "--count", "5")
	if n := countFrames(control.all(), hasMarker); n == 0 {
		t.Fatal("plaintext without gateways does not show on the wire: this test cannot find anything")
	}
	if n := countFrames(control.all(), (*frame).inClear); n == 0 {
		t.Fatal("inside addresses without gateways do not show on the wire")
	}

	host, wire := b.capture("host-a", "eth1", nil), b.onWire(nil)
	b.linked()
	b.exchange(siteB, siteA, "rep", "req", 5555, "--count", "60")
	b.exchange(siteA, siteB, "pull", "push", 5556, "--count", "60")
	if !b.ping("host-a", hostB6) {
		t.Error("no IPv6 ping")
	}
	if n := countFrames(host.all(), hasMarker); n == 0 {
		t.Error("the marker does not show on the host's interface")
	}
	frames := wire.all()
	if n := countFrames(frames, (*frame).isRecord); n < 60 {
		t.Errorf("only %d records on the wire", n)
	}
	for _, f := range frames {
		switch {
		case hasMarker(f):
			t.Errorf("plaintext on the wire: %v", f)
		case !expected(f):
			t.Errorf("on the wire, and not ours: %v", f)
		}
	}
}

// servicesOf makes a link protect two services only.
func servicesOf(other string) string {
	return "    services: [{ name: orders, ports: [5555-5560] }, { name: md, ports: [6000] }]\n    other: " + other
}

// reach says whether a TCP connection of a host to a port of the other one gets
// through, and carries data both ways.
func (b *testbed) reach(from site, port int) bool {
	return b.enter(from.host, func() error {
		address := net.JoinHostPort(from.other().host4, strconv.Itoa(port))
		conn, err := net.DialTimeout("tcp", address, 700*time.Millisecond)
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(700 * time.Millisecond))
		if _, err := conn.Write([]byte(marker)); err != nil {
			return err
		}
		_, err = io.ReadFull(conn, make([]byte, len(marker)))
		return err
	}) == nil
}

// listen sends back what comes to a TCP port of a host.
func (b *testbed) listen(at site, port int) {
	b.t.Helper()
	var listener net.Listener
	err := b.enter(at.host, func() (err error) {
		listener, err = net.Listen("tcp", net.JoinHostPort(at.host4, strconv.Itoa(port)))
		return err
	})
	if err != nil {
		b.t.Fatalf("listen in %s: %v", at.host, err)
	}
	b.t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
}

func onPort(port uint16) func(*frame) bool {
	return func(f *frame) bool { return f.srcPort == port || f.dstPort == port }
}

// TestServices: with services, only these are protected; the rest passes in
// clear or not at all, as the operator says. After a crash what was protected
// stays off the wire.
func TestServices(t *testing.T) {
	t.Run("pass", func(t *testing.T) {
		b := newTestbed(t, "")
		wire := b.onWire((*frame).inClear)
		b.configure(siteA, servicesOf("pass"))
		b.configure(siteB, servicesOf("pass"))
		a, z := b.linked()
		b.listen(siteB, 8000)
		b.exchange(siteB, siteA, "rep", "req", 5556, "--count", "30")
		b.exchange(siteA, siteB, "pull", "push", 5560, "--count", "30")
		if n := countFrames(wire.all(), hasMarker); n > 0 {
			t.Errorf("%d frames of the services are in clear on the wire", n)
		}
		if !b.reach(siteA, 8000) {
			t.Error("port 8000 does not pass")
		}
		if n := countFrames(wire.all(), func(f *frame) bool { return onPort(8000)(f) && hasMarker(f) }); n == 0 {
			t.Error("port 8000 was not in clear on the wire")
		}

		// Everything of the service is blocked after a crash, and the rest is not.
		a.kill()
		z.kill()
		b.listen(siteB, 5556)
		for range 2 {
			if b.reach(siteA, 5556) {
				t.Error("port 5556 passes without gateways")
			}
		}
		if !b.reach(siteA, 8000) {
			t.Error("port 8000 does not pass without gateways")
		}
		for _, port := range []uint16{5556, 5560} {
			if n := countFrames(wire.all(), onPort(port)); n > 0 {
				t.Errorf("%d frames of port %d are in clear on the wire", n, port)
			}
		}
	})
	t.Run("drop", func(t *testing.T) {
		b := newTestbed(t, "")
		b.configure(siteA, servicesOf("drop"))
		b.configure(siteB, servicesOf("drop"))
		wire := b.onWire((*frame).inClear)
		b.listen(siteB, 8000)
		if !b.reach(siteA, 8000) || len(wire.all()) == 0 {
			t.Fatal("without gateways port 8000 does not pass: this test cannot find anything")
		}
		before := len(wire.all())
		a, z := b.linked()
		b.exchange(siteB, siteA, "rep", "req", 5556, "--count", "30")
		dropped := a.metrics()
		if b.reach(siteA, 8000) || b.ping("host-a", hostB4) {
			t.Error("what is no service passes")
		}
		if n := a.metrics().since(dropped).sum("qzmq_steering_packets_total", `exit="other_dropped"`); n < 2 {
			t.Errorf("%.0f packets counted as other_dropped", n)
		}
		a.kill()
		z.kill()
		if b.reach(siteA, 8000) || b.reach(siteA, 5556) || b.ping("host-b", hostA6) {
			t.Error("something passes without gateways")
		}
		for _, f := range wire.all()[before:] {
			t.Errorf("in clear on the wire: %v", f)
		}
	})
}

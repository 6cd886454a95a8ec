package bpf

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// runOn runs the program once as if the frame had come in by a queue of an
// interface, and returns the verdict.
func runOn(t *testing.T, s *steering, frame []byte, ifindex, queue int) uint32 {
	t.Helper()
	context := struct{ Data, DataEnd, DataMeta, Ifindex, Queue, Egress uint32 }{
		DataEnd: uint32(len(frame)), Ifindex: uint32(ifindex), Queue: uint32(queue),
	}
	verdict, err := s.program.Run(&ebpf.RunOptions{Data: frame, Context: context})
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

// A socket gets the packets of its own queue, no others, and none when it is gone.
func TestRegister(t *testing.T) {
	near, _ := newVeth(t)
	in := newInside(t, insideRoutes()...)
	out := newOutside(t, outsideBoth())
	if err := out.AddSession(session); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Attach(near, AttachNative); err != nil {
		t.Fatal(err)
	}

	one := openSocket(t, near, 1)
	programs := []struct {
		*steering
		frame []byte
		other []byte
	}{
		{&in.steering, to4(all4, protoUDP, nil), to4(clear4, protoUDP, nil)},
		{&out.steering, from6(peer6, protoUDP, udp(1, ourPort, record(0x10, session, 0))), from4(peer4, protoICMP, nil)},
	}
	for _, program := range programs {
		if err := program.Register(1, one.fd); err != nil {
			t.Fatal(err)
		}
		for queue, want := range []uint32{xdpDrop, xdpRedirect} {
			if verdict := runOn(t, program.steering, program.frame, near, queue); verdict != want {
				t.Errorf("queue %d: verdict is %d, want %d", queue, verdict, want)
			}
			if verdict := runOn(t, program.steering, program.other, near, queue); verdict != xdpPass {
				t.Errorf("queue %d: verdict on other traffic is %d, want %d", queue, verdict, xdpPass)
			}
		}
		// Without a context the kernel says queue 0.
		run(t, program.steering, "queue 0", program.frame, "no_socket")
		if err := program.Register(0, one.fd); err != nil {
			t.Fatal(err)
		}
		run(t, program.steering, "queue 0, registered", program.frame, "redirected")
	}

	one.close()
	for _, program := range programs {
		for queue := range 2 {
			if verdict := runOn(t, program.steering, program.frame, near, queue); verdict != xdpDrop {
				t.Errorf("queue %d after the socket is closed: verdict is %d, want %d", queue, verdict, xdpDrop)
			}
		}
	}
}

// Real frames over a real wire: what is protected reaches the socket and nobody
// else, in either mode.
func TestRedirect(t *testing.T) {
	near, far := newVeth(t)
	wire, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(wire)
	send := func(frame []byte) {
		t.Helper()
		if err := unix.Sendto(wire, frame, 0, &unix.SockaddrLinklayer{Ifindex: far}); err != nil {
			t.Fatal(err)
		}
	}
	protected := to4(all4, protoUDP, udp(1, 2, make([]byte, 100)))
	other := to4(clear4, protoUDP, udp(1, 2, make([]byte, 100)))

	for _, mode := range []AttachMode{AttachNative, AttachGeneric} {
		in := newInside(t,
			Route{Prefix: netip.MustParsePrefix("10.2.0.0/16")},
			// What IPv6 says by itself on a new wire is kept apart from what the test sends.
			Route{Prefix: netip.MustParsePrefix("ff00::/8"), Local: true})
		if _, err := in.Attach(near, mode); err != nil {
			t.Fatal(err)
		}
		packets := func(exit string) int {
			counters, err := in.Counters()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range counters {
				if c.Name == exit {
					return int(c.Packets)
				}
			}
			t.Fatalf("there is no exit %q", exit)
			return 0
		}
		wait := func(what string, want int, got func() int) {
			t.Helper()
			for deadline := time.Now().Add(5 * time.Second); got() != want && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			if got() != want {
				t.Errorf("%s: %s is %d, want %d", mode, what, got(), want)
			}
		}

		send(protected)
		wait("no_socket", 1, func() int { return packets("no_socket") })

		sockets := []*socket{openSocket(t, near, 0), openSocket(t, near, 1)}
		for queue, s := range sockets {
			if err := in.Register(queue, s.fd); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			send(protected)
			send(other)
		}
		wait("redirected", 10, func() int { return packets("redirected") })
		wait("no_route", 10, func() int { return packets("no_route") })
		wait("received", 10, func() int { return sockets[0].received() + sockets[1].received() })

		for _, s := range sockets {
			s.close()
		}
		if err := in.link.Close(); err != nil {
			t.Fatal(err)
		}
		in.link = nil
		// The kernel lets go of a queue a little after the socket is closed.
		time.Sleep(100 * time.Millisecond)
	}
}

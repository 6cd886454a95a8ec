package dataplane

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

func TestSessionIDs(t *testing.T) {
	n := newNetwork(t, plan{})
	ids, slots := map[uint32]bool{n.a.session: true}, map[uint32]bool{n.a.session % sessionSlots: true}
	for range 10000 {
		id, err := n.a.engine.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if id == 0 || ids[id] || slots[id%sessionSlots] {
			t.Fatalf("id %#x is 0, was given out, or shares a slot", id)
		}
		ids[id], slots[id%sessionSlots] = true, true
	}
	for id := range ids {
		n.a.engine.Remove(id)
	}
	for i := range n.a.engine.sessions {
		if n.a.engine.sessions[i].Load() != nil {
			t.Fatalf("slot %d is still taken", i)
		}
	}
}

func TestAllSessionSlotsTaken(t *testing.T) {
	e := newNetwork(t, plan{}).a.engine
	for i := range e.sessions {
		e.sessions[i].CompareAndSwap(nil, &session{id: uint32(i) | 1<<20})
	}
	if id, err := e.NewSession(); !errors.Is(err, ErrFull) || id != 0 {
		t.Errorf("got %#x, %v", id, err)
	}
	e.Remove(1<<20 | 7)
	e.Remove(1<<21 | 8) // the slot is another's
	if e.sessions[7].Load() != nil || e.sessions[8].Load() == nil {
		t.Error("Remove freed the wrong slot")
	}
}

func TestEngineErrors(t *testing.T) {
	n := newNetwork(t, plan{})
	e := n.a.engine
	id, err := e.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	path := Path{Local: n.a.outer, Peer: netip.AddrPortFrom(n.b.outer, 1), WireMTU: 1500, Sealers: []*record.Sealer{spareSealer()}}
	if err := e.Open(id, "nobody", nil); !errors.Is(err, ErrNoLink) {
		t.Errorf("Open for an unknown link: %v", err)
	}
	if err := e.Install(id, path); !errors.Is(err, ErrNoSession) {
		t.Errorf("Install for a reserved session: %v", err)
	}
	if err := e.Install(id^1<<31, path); !errors.Is(err, ErrNoSession) {
		t.Errorf("Install for an unknown session: %v", err)
	}
	if err := e.Install(n.a.session, Path{}); err == nil || errors.Is(err, ErrNoSession) {
		t.Errorf("Install without sealers: %v", err)
	}
	for name, wrong := range map[string]uint32{"twice": n.a.session, "without NewSession": id ^ 1<<31} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a session was opened %s", name)
				}
			}()
			e.Open(wrong, n.a.link, nil)
		}()
	}
	e.Stop("nobody")
	if u := e.Usage("nobody"); u != (LinkUsage{}) {
		t.Errorf("usage of an unknown link: %+v", u)
	}
	n.works()
}

// Before a session is opened, and after it was removed, its records die.
func TestSessionLife(t *testing.T) {
	n := newNetwork(t, plan{})
	id, err := n.b.engine.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	sealer := record.NewSealer(testKeys(record.AES256GCM, 50), id, 2)
	frame := func() []byte {
		p := peer{to: n.b, session: id, seals: sealer}
		return p.frame(udpPacket(n.a.host4, n.b.host4, nil))
	}
	none(t, n.b.hears(frame()))
	n.b.wantDrops(map[Drop]uint64{DropUnknownSession: 1})
	openers := []*record.Opener{nil, nil, record.NewOpener(testKeys(record.AES256GCM, 50), id, 2)}
	if err := n.b.engine.Open(id, n.b.link, openers); err != nil {
		t.Fatal(err)
	}
	one(t, n.b.hears(frame()))
	none(t, n.b.hears((&peer{to: n.b, seals: record.NewSealer(testKeys(record.AES256GCM, 51), id, 1)}).frame(nil)))
	n.b.wantDrops(map[Drop]uint64{DropUnknownSession: 1, DropUnknownStream: 1})
	n.works() // the other session goes on beside it
	n.b.engine.Remove(id)
	n.b.engine.Remove(id)
	none(t, n.b.hears(frame()))
	n.b.wantDrops(map[Drop]uint64{DropUnknownSession: 2, DropUnknownStream: 1})
	n.works()
}

// Make before break: packets of the old session that are still on their way
// arrive after the new one carries traffic.
func TestRotation(t *testing.T) {
	n := newNetwork(t, plan{})
	late := n.a.sends(outboundPacket(n))
	oldA, oldB := n.a.session, n.b.session
	n.a.session, n.b.session = connect(t, n.a, n.b, n.plan, 9)
	n.works()
	same(t, one(t, n.b.hears(late...)), outboundPacket(n), 2)
	n.a.engine.Remove(oldA)
	n.b.engine.Remove(oldB)
	n.works()
	n.a.wantDrops(nil)
	n.b.wantDrops(nil)
}

func TestUsageAddsUp(t *testing.T) {
	n := newNetwork(t, plan{})
	p := outboundPacket(n)
	size := uint64(len(p))
	check := func(sealed, session uint64) {
		t.Helper()
		a, b := n.a.engine.Usage(n.a.link), n.b.engine.Usage(n.b.link)
		want := LinkUsage{Sealed: Traffic{sealed, sealed * size}, Session: Traffic{session, session * size}}
		if a != want {
			t.Errorf("sender: %+v, want %+v", a, want)
		}
		if want := (LinkUsage{Opened: want.Sealed}); b != want {
			t.Errorf("receiver: %+v, want %+v", b, want)
		}
	}
	send := func(count int) {
		for range count {
			one(t, n.b.hears(n.a.sends(p)...))
		}
	}
	send(3)
	check(3, 3)
	oldA, oldB := n.a.session, n.b.session
	n.a.session, n.b.session = connect(t, n.a, n.b, n.plan, 9)
	check(3, 0)
	send(4)
	check(7, 4)
	n.a.engine.Remove(oldA)
	n.b.engine.Remove(oldB)
	check(7, 4)
	n.a.engine.SetRoutes(map[string][]netip.Prefix{n.a.link: n.b.prefixes(), "more": nil})
	send(1)
	check(8, 5)
	n.a.engine.Stop(n.a.link)
	check(8, 0)
	stats := n.a.engine.Stats()[0]
	if stats.Out != (Traffic{8, 8 * size}) || stats.In != (Traffic{}) {
		t.Errorf("queue: %+v", stats)
	}
	if in := n.b.engine.Stats()[0].In; in != (Traffic{8, 8 * size}) {
		t.Errorf("far queue: %+v", in)
	}
}

// A link that is removed loses its sessions, and gets none back with its name.
func TestRemovedLink(t *testing.T) {
	n := newNetwork(t, plan{})
	wire := n.a.sends(outboundPacket(n), outboundPacket(n))
	n.b.engine.SetRoutes(nil)
	none(t, n.b.hears(wire[0]))
	n.b.engine.SetRoutes(map[string][]netip.Prefix{n.b.link: n.a.prefixes()})
	none(t, n.b.hears(wire[1]))
	n.b.wantDrops(map[Drop]uint64{DropUnknownSession: 2})
	if err := n.b.engine.Install(n.b.session, Path{Sealers: []*record.Sealer{spareSealer()}}); !errors.Is(err, ErrNoSession) {
		t.Errorf("Install: %v", err)
	}
}

// The peer's link-layer address may change or vanish; the path follows.
func TestOutsideHopFollows(t *testing.T) {
	n := newNetwork(t, plan{})
	inside, _ := n.a.hops(n.b, nil)
	n.a.engine.SetHops(inside, nil)
	none(t, n.a.sends(outboundPacket(n)))
	n.a.wantDrops(map[Drop]uint64{DropNoNextHop: 1})
	moved := [6]byte{2, 0xff, 0, 0, 0, 1}
	n.a.engine.SetHops(inside, map[netip.Addr]Hop{n.b.outer: NewHop(moved, n.a.outsideMAC, 5)})
	wire := one(t, n.a.sends(outboundPacket(n)))
	packetOf(t, wire, moved, n.a.outsideMAC, []uint16{5})
	one(t, n.b.hears(wire))
}

// So may the inside hosts': the very next batch goes where they are now.
func TestInsideHopFollows(t *testing.T) {
	n := newNetwork(t, plan{})
	n.works()
	moved := [6]byte{2, 0xff, 0, 0, 0, 2}
	n.b.engine.SetHops(map[netip.Addr]Hop{n.b.host4: NewHop(moved, n.b.insideMAC, 5)}, nil)
	put(t, n.b.wire, n.a.sends(outboundPacket(n))...)
	n.b.step()
	same(t, packetOf(t, one(t, take(n.b.host)), moved, n.b.insideMAC, []uint16{5}), outboundPacket(n), 2)
	n.b.engine.SetHops(nil, nil)
	none(t, n.b.hears(n.a.sends(outboundPacket(n))...))
	if len(n.b.wanted) != 1 {
		t.Errorf("asked for %v after the hop went", n.b.wanted)
	}
}

func TestHop(t *testing.T) {
	dst, src := [6]byte{1, 2, 3, 4, 5, 6}, [6]byte{7, 8, 9, 10, 11, 12}
	for tags := range 3 {
		vlans := []uint16{0x0123, 0x0456}[:tags]
		h := NewHop(dst, src, vlans...)
		frame := make([]byte, maxLinkHeader)
		h.put(frame, etherIPv6)
		packetOf(t, append(frame[:h.Len()], udpPacket(netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2"), nil)...), dst, src, vlans)
	}
	defer func() {
		if recover() == nil {
			t.Error("three VLAN tags were taken")
		}
	}()
	NewHop(dst, src, 1, 2, 3)
}

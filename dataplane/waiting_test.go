package dataplane

import (
	"net/netip"
	"testing"
	"time"
)

// ages makes the packets that wait for a neighbour older.
func (s *site) ages(d time.Duration) {
	for i := range s.worker().waiting.packets {
		s.worker().waiting.packets[i].since = s.worker().waiting.packets[i].since.Add(-d)
	}
}

// stranger is one of the hosts behind site B that no next hop is known for.
func stranger(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 2, 0, byte(100 + i)}) }

func TestNeighbourAppears(t *testing.T) {
	n := newNetwork(t, plan{})
	inside, outside := n.b.hops(n.a, nil)
	host := stranger(0)
	var sent [][]byte
	for i := range 3 {
		sent = append(sent, udpPacket(n.a.host4, host, []byte{byte(i)}))
		none(t, n.b.hears(n.a.sends(sent[i])...))
	}
	n.b.step()
	none(t, n.b.delivered())
	if len(n.b.wanted) != 3 || n.b.wanted[0] != host || n.b.wanted[2] != host {
		t.Errorf("asked for %v, want %v for each packet", n.b.wanted, host)
	}
	n.works() // others do not wait for it
	inside[host] = NewHop(n.b.hostMAC, n.b.insideMAC)
	n.b.engine.SetHops(inside, outside)
	n.b.step()
	got := n.b.delivered()
	if len(got) != 3 {
		t.Fatalf("%d packets came, want 3", len(got))
	}
	for i := range got {
		same(t, got[i], sent[i], 2)
	}
	n.b.step()
	none(t, n.b.delivered())
	n.b.wantDrops(nil)
	if !n.b.worker().waiting.empty() {
		t.Error("something still waits")
	}
}

func TestNeighbourDoesNotAnswer(t *testing.T) {
	n := newNetwork(t, plan{})
	n.b.hears(n.a.sends(udpPacket(n.a.host4, stranger(0), nil))...)
	n.b.ages(waitingTime - time.Second)
	n.b.step()
	n.b.wantDrops(nil)
	n.b.ages(time.Second)
	n.b.step()
	n.b.wantDrops(map[Drop]uint64{DropNeighbour: 1})
	inside, outside := n.b.hops(n.a, nil)
	inside[stranger(0)] = NewHop(n.b.hostMAC, n.b.insideMAC)
	n.b.engine.SetHops(inside, outside)
	n.b.step()
	none(t, n.b.delivered())
}

// One host that does not answer takes its share and no more; all of them
// together take the queue and no more.
func TestWaitingIsBounded(t *testing.T) {
	n := newNetwork(t, plan{})
	hosts := waitingMost/waitingPerHost + 2
	for i := range hosts {
		for range waitingPerHost + 3 {
			none(t, n.b.hears(n.a.sends(udpPacket(n.a.host4, stranger(i), []byte{byte(i)}))...))
		}
	}
	w := &n.b.worker().waiting
	if len(w.packets) != waitingMost || len(w.rooms) != 0 {
		t.Errorf("%d packets wait, %d rooms are free", len(w.packets), len(w.rooms))
	}
	dropped := uint64(hosts*(waitingPerHost+3) - waitingMost)
	n.b.wantDrops(map[Drop]uint64{DropNeighbourQueue: dropped})
	if len(n.b.wanted) != waitingMost {
		t.Errorf("asked %d times, want once for each packet that waits", len(n.b.wanted))
	}
	n.works()

	// Half of the hosts appear; the others' time runs out; all memory comes back.
	inside, outside := n.b.hops(n.a, nil)
	for i := 0; i < hosts; i += 2 {
		inside[stranger(i)] = NewHop(n.b.hostMAC, n.b.insideMAC)
	}
	n.b.engine.SetHops(inside, outside)
	n.b.step()
	got := n.b.delivered()
	if len(got) != waitingMost/2 {
		t.Fatalf("%d packets came, want %d", len(got), waitingMost/2)
	}
	for i, p := range got {
		if want := byte(i / waitingPerHost * 2); p[28] != want {
			t.Errorf("packet %d is for host %d, want %d", i, p[28], want)
		}
	}
	n.b.ages(waitingTime)
	n.b.step()
	n.b.wantDrops(map[Drop]uint64{DropNeighbourQueue: dropped, DropNeighbour: waitingMost / 2})
	if len(w.packets) != 0 || len(w.rooms) != waitingMost {
		t.Errorf("%d packets wait, %d rooms are free", len(w.packets), len(w.rooms))
	}
	for range 3 * waitingMost { // and is used again
		n.b.hears(n.a.sends(udpPacket(n.a.host4, stranger(1), nil))...)
		n.b.ages(waitingTime)
		n.b.step()
	}
	n.b.wantDrops(map[Drop]uint64{DropNeighbourQueue: dropped, DropNeighbour: waitingMost/2 + 3*waitingMost})
}

func TestWaitingTimeouts(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct{ age, want time.Duration }{
		{0, waitingTime}, {time.Second, waitingTime - time.Second},
		{waitingTime, time.Millisecond}, {time.Hour, time.Millisecond},
	} {
		q := waiting{packets: []waitingPacket{{since: now.Add(-c.age)}}}
		if got := q.next(now); got != c.want {
			t.Errorf("after %v: sleep %v, want %v", c.age, got, c.want)
		}
	}
}

package dataplane

import (
	"bytes"
	"net/netip"
	"regexp"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// fullPort is a port whose device takes nothing.
type fullPort struct{ Port }

func (fullPort) Room() []byte { return nil }

// wornSealer is a sealer whose key is at its limit. Nothing is ever sealed with
// it: Add takes the blocks of large payloads, and their bursts are thrown away.
func wornSealer(t *testing.T, session uint32) *record.Sealer {
	t.Helper()
	s := record.NewSealer(testKeys(record.AES256GCM, 99), session, 0)
	memory := make([]byte, 16<<20+record.Overhead)
	for size := 16 << 20; size > 0; size /= 2 {
		for record.NewBurst(1).Add(s, memory, memory[:size]) {
		}
	}
	if record.NewBurst(1).Add(s, memory, memory[:16]) {
		t.Fatal("the key is not exhausted")
	}
	return s
}

// dropCases has, for each reason, what makes exactly one packet die of it, at
// gateway A on the way out or at gateway B on the way in.
var dropCases = map[Drop]func(t *testing.T, n *network){
	DropNotIP: func(t *testing.T, n *network) {
		put(t, n.a.host, append(bytes.Clone(n.a.frame(nil)[:12]), 0x08, 0x06, 0, 1, 8, 0)) // ARP
		n.a.step()
	},
	DropMalformed: func(t *testing.T, n *network) {
		n.a.sends(outboundPacket(n)[:27])
	},
	DropNoRoute: func(t *testing.T, n *network) {
		n.a.sends(udpPacket(n.a.host4, netip.MustParseAddr("10.200.0.1"), nil))
	},
	DropNoSession: func(t *testing.T, n *network) {
		n.a.engine.Stop(n.a.link)
		n.a.sends(outboundPacket(n))
	},
	DropTTLExpired: func(t *testing.T, n *network) {
		n.a.sends(ip{src: n.a.host4, dst: n.b.host4, ttl: 1, protocol: 17}.around(nil))
	},
	DropTooBig: func(t *testing.T, n *network) {
		n.a.sends(ip{src: n.a.host4, dst: n.b.host4, protocol: 17, frag: 0x4000}.around(padded(1421)))
	},
	DropNoNextHop: func(t *testing.T, n *network) {
		n.a.engine.SetHops(nil, nil)
		n.a.sends(outboundPacket(n))
	},
	DropKeyExhausted: func(t *testing.T, n *network) {
		n.a.install(n.b, n.plan, n.a.session, wornSealer(t, n.b.session))
		n.a.sends(outboundPacket(n))
	},
	DropOutsideFull: func(t *testing.T, n *network) {
		n.a.worker().queue.Outside = fullPort{n.a.worker().queue.Outside}
		n.a.sends(outboundPacket(n))
	},
	DropScratchFull: func(t *testing.T, n *network) {
		n.a.worker().arena = make([]byte, 1000)
		none(t, n.a.sends(ip{src: n.a.host4, dst: n.b.host4, protocol: 17}.around(padded(1421))))
	},
	DropBelowMinimum: func(t *testing.T, n *network) {
		narrow := n.plan
		narrow.wireMTU = 60 + 27
		n.a.install(n.b, narrow, n.a.session, record.NewSealer(testKeys(record.AES256GCM, 3), n.b.session, 0))
		n.a.sends(udpPacket(n.a.host4, n.b.host4, nil))
	},
	DropNotRecord: func(t *testing.T, n *network) {
		n.b.hears(newPeer(t, n.b).enclose([]byte("no record"), 0))
	},
	DropUnknownSession: func(t *testing.T, n *network) {
		wire := n.a.sends(outboundPacket(n))
		n.b.engine.Remove(n.b.session)
		n.b.hears(wire...)
	},
	DropUnknownStream: func(t *testing.T, n *network) {
		p := newPeer(t, n.b)
		sealed := p.record(nil)
		sealed[3] = 1
		n.b.hears(p.enclose(sealed, 0))
	},
	DropStreamBusy: func(t *testing.T, n *network) {
		opener := n.b.engine.sessions[n.b.session%sessionSlots].Load().openers[0]
		opener.Acquire(2)
		n.b.hears(n.a.sends(outboundPacket(n))...)
		opener.Release()
	},
	DropWrongEpoch: func(t *testing.T, n *network) {
		p := newPeer(t, n.b)
		sealed := p.record(nil)
		sealed[1] = 9
		n.b.hears(p.enclose(sealed, 0))
	},
	DropReplayed: func(t *testing.T, n *network) {
		wire := one(t, n.a.sends(outboundPacket(n)))
		one(t, n.b.hears(wire, wire))
	},
	DropForged: func(t *testing.T, n *network) {
		p := newPeer(t, n.b)
		sealed := p.record(nil)
		sealed[20] ^= 1
		n.b.hears(p.enclose(sealed, 0))
	},
	DropBadPayload: func(t *testing.T, n *network) {
		n.b.hears(newPeer(t, n.b).frame([]byte("no packet")))
	},
	DropBadSource: func(t *testing.T, n *network) {
		n.b.hears(n.a.sends(udpPacket(netip.MustParseAddr("192.0.2.9"), n.b.host4, nil))...)
	},
	DropCongested: func(t *testing.T, n *network) {
		p := newPeer(t, n.b)
		n.b.hears(p.enclose(p.record(outboundPacket(n)), ecnCongestion))
	},
	DropNeighbourQueue: func(t *testing.T, n *network) {
		n.b.engine.SetHops(nil, nil)
		for range waitingPerHost + 1 {
			n.b.hears(n.a.sends(outboundPacket(n))...)
		}
	},
	DropNeighbour: func(t *testing.T, n *network) {
		n.b.engine.SetHops(nil, nil)
		n.b.hears(n.a.sends(outboundPacket(n))...)
		n.b.ages(waitingTime + time.Second)
		n.b.step()
	},
	DropInsideFull: func(t *testing.T, n *network) {
		n.b.worker().queue.Inside = fullPort{n.b.worker().queue.Inside}
		n.b.hears(n.a.sends(outboundPacket(n))...)
	},
}

// outboundPacket is an ordinary packet from host A to host B.
func outboundPacket(n *network) []byte { return udpPacket(n.a.host4, n.b.host4, []byte("ordinary")) }

// Every reason can happen, and counts itself and nothing else.
func TestEveryDrop(t *testing.T) {
	for _, d := range Drops() {
		if d == DropOpenExhausted {
			continue // 2^36 forged records at least; see TestVerdictsHaveReasons
		}
		cause := dropCases[d]
		if cause == nil {
			t.Errorf("nothing in this test makes a packet die as %v", d)
			continue
		}
		t.Run(d.String(), func(t *testing.T) {
			n := newNetwork(t, plan{})
			cause(t, n)
			at, other := n.b, n.a
			if d < DropNotRecord {
				at, other = n.a, n.b
				none(t, take(n.a.wire)) // what dies here does not leave here
			}
			at.wantDrops(map[Drop]uint64{d: 1})
			other.wantDrops(nil)
		})
	}
}

// Every refusal of the record layer has a reason of its own here. Exhaustion by
// forged records is beyond any test's patience; package record tests that the
// verdict comes, this tests what it is called.
func TestVerdictsHaveReasons(t *testing.T) {
	want := map[record.Verdict]Drop{
		record.Opened: noDrop, record.Malformed: DropNotRecord, record.WrongEpoch: DropWrongEpoch,
		record.Replayed: DropReplayed, record.Forged: DropForged, record.Exhausted: DropOpenExhausted,
	}
	if len(verdicts) != len(want) {
		t.Errorf("%d verdicts are translated, want %d", len(verdicts), len(want))
	}
	for v, d := range want {
		if verdicts[v] != d {
			t.Errorf("verdict %d is %v, want %v", v, verdicts[v], d)
		}
	}
}

func TestDropNames(t *testing.T) {
	label := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	if len(Drops()) != int(dropCount)-1 {
		t.Errorf("%d reasons listed of %d", len(Drops()), dropCount-1)
	}
	for _, d := range Drops() {
		if !label.MatchString(d.String()) || seen[d.String()] {
			t.Errorf("%q is no name of its own for a metric", d)
		}
		seen[d.String()] = true
	}
}

// Fail closed: without keys, and at every moment at which they come or go,
// nothing leaves.
func TestFailClosed(t *testing.T) {
	n := newNetwork(t, plan{})
	quiet := func(why string, want Drop) {
		t.Helper()
		before := n.a.drops()[want]
		for _, p := range [][]byte{outboundPacket(n), udpPacket(n.a.host6, n.b.host6, nil), tcpPacket(n.a.host4, n.b.host4, synFlag, nil, nil)} {
			if got := n.a.sends(p); len(got) != 0 {
				t.Errorf("%s: a packet left: %x", why, got[0])
			}
		}
		if got := n.a.drops()[want]; got != before+3 {
			t.Errorf("%s: %d dropped as %v, want 3", why, got-before, want)
		}
	}
	n.works()
	n.a.engine.Stop(n.a.link)
	quiet("stopped", DropNoSession)
	n.a.engine.SetHops(n.a.hops(n.b, nil))
	quiet("stopped, and hops are set", DropNoSession)
	n.a.engine.SetRoutes(map[string][]netip.Prefix{n.a.link: n.b.prefixes()})
	quiet("stopped, and routes are set", DropNoSession)
	n.a.engine.SetRoutes(map[string][]netip.Prefix{"another": n.b.prefixes()})
	quiet("the routes are another link's", DropNoSession)
	n.a.engine.SetRoutes(nil)
	quiet("no routes", DropNoRoute)
	n.a.engine.SetRoutes(map[string][]netip.Prefix{n.a.link: n.b.prefixes()})
	quiet("the link is back without keys", DropNoSession)
	n.a.session, n.b.session = connect(t, n.a, n.b, n.plan, 5)
	n.works()
	n.a.engine.Remove(n.a.session)
	quiet("its session was removed", DropNoSession)
}

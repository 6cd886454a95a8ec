package dataplane

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

const benchBatch = 64

// loop is a port of a benchmark: it lends the same packets again and again, and
// keeps what was sent only until the next batch.
type loop struct {
	packets [][]byte
	lend    bool
	rooms   [][]byte
	used    int
	sent    [][]byte
}

func newLoop() *loop {
	l := &loop{}
	for range 2 * benchBatch {
		l.rooms = append(l.rooms, make([]byte, pipeRoom))
	}
	return l
}

func (l *loop) Recv() [][]byte {
	if !l.lend {
		return nil
	}
	l.lend = false
	return l.packets
}

func (l *loop) Room() []byte {
	if l.used == len(l.rooms) {
		return nil
	}
	l.used++
	return l.rooms[l.used-1]
}

func (l *loop) Commit(frame []byte) { l.sent = append(l.sent, frame) }

func (l *loop) Flush()       { l.used = 0 }
func (l *loop) Close() error { return nil }

// benchGateway is a gateway between two loops.
type benchGateway struct {
	*network
	inside, outside *loop
	w               *Worker
}

// benchGateways gives the sending and the receiving gateway of a network whose
// ports are loops, and loads the sender with packets of size bytes.
func benchGateways(tb testing.TB, p plan, size int) (from, to benchGateway) {
	p.capacity = 8
	n := newNetwork(tb, p)
	between := func(s *site) benchGateway {
		g := benchGateway{network: n, inside: newLoop(), outside: newLoop(), w: s.worker()}
		g.w.queue.Inside, g.w.queue.Outside = g.inside, g.outside
		return g
	}
	from, to = between(n.a), between(n.b)
	from.load(n.a.frame(udpPacket(n.a.host4, n.b.host4, padded(size-28))))
	return from, to
}

func (g *benchGateway) load(frame []byte) {
	for range benchBatch {
		g.inside.packets = append(g.inside.packets, slices.Clone(frame))
	}
}

// out carries one batch out and leaves the frames in g.outside.sent.
func (g *benchGateway) out() {
	for _, p := range g.inside.packets {
		p[14+8] = 64 // the TTL of last time is used up some day
		p[14+10], p[14+11] = 0, 0
	}
	g.outside.sent, g.inside.lend = g.outside.sent[:0], true
	g.w.step()
}

// in takes one batch in from another gateway.
func (g *benchGateway) in(frames [][]byte) {
	g.outside.packets, g.outside.lend, g.inside.sent = frames, true, g.inside.sent[:0]
	g.w.step()
}

func TestNoAllocationsPerPacket(t *testing.T) {
	for _, outer6 := range []bool{false, true} {
		for _, aead := range []record.AEAD{record.AES256GCM, record.ChaCha20Poly1305} {
			t.Run(fmt.Sprintf("outer6=%v aead=%d", outer6, aead), func(t *testing.T) {
				a, b := benchGateways(t, plan{outer6: outer6, aead: aead}, 1400)
				s4, d4 := a.a.host4, b.b.host4
				s6, d6 := a.a.host6, b.b.host6
				for i, f := range [][]byte{
					udpPacket(s4, d4, padded(64)), udpPacket(s6, d6, padded(64)), tcpPacket(s4, d4, synFlag, mssOption(1460), nil),
					ip{src: s4, dst: d4, protocol: 17, ecn: 2}.around(padded(3000)), // fragmented
					ip{src: s4, dst: d4, ttl: 1, protocol: 17}.around(padded(100)),  // answered
					ip{src: s4, dst: d4, frag: 0x4000, protocol: 17}.around(padded(2000)),
					udpPacket(s4, netip.MustParseAddr("10.99.0.1"), nil), {1, 2, 3},
					ip{src: s4, dst: d4, ttl: 2, protocol: 17}.around(padded(100)), // answered by the peer
					udpPacket(netip.MustParseAddr("10.99.0.1"), d4, nil), udpPacket(s4, netip.MustParseAddr("10.2.0.99"), nil),
				} {
					a.inside.packets[i] = a.a.frame(f)
				}
				originals := make([][]byte, benchBatch)
				for i, p := range a.inside.packets {
					originals[i] = slices.Clone(p)
				}
				round := func() {
					for i, p := range a.inside.packets {
						copy(p, originals[i])
					}
					a.outside.sent, a.inside.lend = a.outside.sent[:0], true
					a.w.step()
					b.in(a.outside.sent)
					b.outside.sent = b.outside.sent[:0]
					a.inside.sent = a.inside.sent[:0]
				}
				for range 20 {
					round() // what grows, grows now: the fixture's slices, and the queue of unknown neighbours fills
				}
				b.b.wanted = make([]netip.Addr, 0, 10000)
				if n := testing.AllocsPerRun(100, round); n != 0 {
					t.Errorf("%v allocations for %d packets", n, benchBatch)
				}
				if s := b.b.engine.Stats()[0]; s.In.Records < 100*benchBatch/2 || s.Dropped[DropBadSource] == 0 || s.Dropped[DropTTLExpired] == 0 {
					t.Errorf("the flow did not take all its ways: %+v", s)
				}
			})
		}
	}
}

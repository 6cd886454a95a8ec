package dataplane

import (
	"bytes"
	"encoding/binary"
	"math/rand"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// TestRatchetUnderTraffic changes keys thousands of times, in new sessions each
// time the epochs come to their end, under two-way traffic on a network that
// loses, repeats and reorders: whatever the network delivered comes out inside,
// once.
func TestRatchetUnderTraffic(t *testing.T) {
	const sessions, packets, perEpoch = 10, 2000, 8
	n := newNetwork(t, plan{})
	random := rand.New(rand.NewSource(1))
	epochs := 0
	for number := range sessions {
		quick := record.Limits{
			FirstRecords: perEpoch, RotateRecords: perEpoch, RotateBlocks: 1 << 30, MaxRecords: 2 * perEpoch,
			MaxBlocks: 1 << 31, RotateForged: 1 << 30, MaxForged: 1 << 31,
		}
		keys := func(i byte) *record.Keys {
			return record.NewKeys(record.AES256GCM, record.SHA256, bytes.Repeat([]byte{byte(number), i}, 16)).Lower(quick)
		}
		atA, atB := n.a.newSession(keys(0)), n.b.newSession(keys(1))
		n.a.install(n.b, plan{wireMTU: 1500}, atA, record.NewSealer(keys(1), atB, 0))
		n.b.install(n.a, plan{wireMTU: 1500}, atB, record.NewSealer(keys(0), atA, 0))
		toB, toA := newLossy(random, perEpoch-2), newLossy(random, perEpoch-2)
		for i := range uint32(packets) {
			body := binary.BigEndian.AppendUint32(nil, i)
			toB.pass(t, i, n.a.sends(udpPacket(n.a.host4, n.b.host4, body)), n.b.hears)
			toA.pass(t, i, n.b.sends(udpPacket(n.b.host4, n.a.host4, body)), n.a.hears)
			now := time.Unix(int64(number), 0)
			n.a.engine.Prepare(n.a.link, now)
			n.b.engine.Prepare(n.b.link, now)
		}
		for _, way := range []*lossy{toB, toA} {
			if len(way.arrived) < packets/2 || len(way.arrived) != len(way.delivered) {
				t.Fatalf("session %d: %d packets came out of %d delivered", number, len(way.arrived), len(way.delivered))
			}
		}
		epochs += int(n.a.engine.Epochs(atA)[0]) + int(n.b.engine.Epochs(atB)[0])
		n.a.engine.Remove(atA)
		n.b.engine.Remove(atB)
	}
	if epochs < sessions*2*240 {
		t.Errorf("only %d epochs in all", epochs)
	}
}

// lossy is one direction of a bad network.
type lossy struct {
	random    *rand.Rand
	delay     uint32 // a packet held back comes this many later at most
	held      []heldFrame
	delivered map[uint32]bool
	arrived   map[uint32]bool
}

type heldFrame struct {
	number uint32
	frame  []byte
}

func newLossy(random *rand.Rand, delay uint32) *lossy {
	return &lossy{random: random, delay: delay, delivered: map[uint32]bool{}, arrived: map[uint32]bool{}}
}

// pass loses, repeats, holds back or delivers the frame of packet number.
func (l *lossy) pass(t *testing.T, number uint32, frames [][]byte, hears func(...[]byte) [][]byte) {
	t.Helper()
	frame := bytes.Clone(one(t, frames))
	switch l.random.Intn(10) {
	case 0:
	case 1:
		l.deliver(t, heldFrame{number, frame}, hears)
		l.deliver(t, heldFrame{number, frame}, hears)
	case 2:
		l.held = append(l.held, heldFrame{number, frame})
	default:
		l.deliver(t, heldFrame{number, frame}, hears)
	}
	for len(l.held) > 0 && number-l.held[0].number >= l.delay {
		l.deliver(t, l.held[0], hears)
		l.held = l.held[1:]
	}
}

func (l *lossy) deliver(t *testing.T, f heldFrame, hears func(...[]byte) [][]byte) {
	t.Helper()
	l.delivered[f.number] = true
	for _, out := range hears(bytes.Clone(f.frame)) {
		got := binary.BigEndian.Uint32(out[len(out)-4:])
		if l.arrived[got] {
			t.Fatalf("packet %d came out twice", got)
		}
		l.arrived[got] = true
	}
}

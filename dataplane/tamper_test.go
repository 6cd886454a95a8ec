package dataplane

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// reasonOfBit is the name under which a record dies when one bit of it is wrong.
func reasonOfBit(bit int) Drop {
	switch at := bit / 8; {
	case at == 0: // type
		return DropNotRecord
	case at == 1 && bit%8 >= 2: // the keys of epochs 1 to 3 lie ready
		return DropWrongEpoch
	case at == 2, at == 3:
		return DropUnknownStream
	case at >= 4 && at < 8:
		return DropUnknownSession
	}
	return DropForged
}

func TestEveryBitOfTheRecordFlipped(t *testing.T) {
	for _, outer6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("outer6=%v", outer6), func(t *testing.T) {
			n := newNetwork(t, plan{outer6: outer6})
			n.works() // so that number 0 was seen
			sent := udpPacket(n.a.host4, n.b.host4, []byte("the genuine packet"))
			wire := one(t, n.a.sends(sent))
			start := 14 + 20 + 8
			if outer6 {
				start = 14 + 40 + 8
			}
			want := map[Drop]uint64{}
			for bit := range (len(wire) - start) * 8 {
				bad := bytes.Clone(wire)
				bad[start+bit/8] ^= 1 << (bit % 8)
				none(t, n.b.hears(bad))
				if bit == 15*8 {
					want[DropReplayed]++ // number 1 became 0
				} else {
					want[reasonOfBit(bit)]++
				}
			}
			n.b.wantDrops(want)
			same(t, one(t, n.b.hears(wire)), sent, 2)
			none(t, n.b.hears(wire, wire))
			want[DropReplayed] += 2
			n.b.wantDrops(want)
			n.works()
			if u := n.b.engine.Usage(n.b.link); u.Forged != want[DropForged] || u.Rotate {
				t.Errorf("usage %+v, want %d forged", u, want[DropForged])
			}
		})
	}
}

// Flips in the outer headers: nothing comes out that is not the packet itself,
// since no header but the record's decides what happens.
func TestEveryBitOfTheOuterHeadersFlipped(t *testing.T) {
	for _, outer6 := range []bool{false, true} {
		n := newNetwork(t, plan{outer6: outer6, outsideTags: oneTag})
		sent := ip{src: n.a.host4, dst: n.b.host4, protocol: 17, ecn: ecnCapable1}.around(udp(n.a.host4, n.b.host4, []byte("the packet")))
		header := 18 + 28
		if outer6 {
			header = 18 + 48
		}
		for bit := range header * 8 {
			wire := one(t, n.a.sends(sent))
			wire[bit/8] ^= 1 << (bit % 8)
			for _, got := range n.b.hears(wire) {
				if got[1] == ecnCongestion { // the one thing a router on the way may say
					got = bytes.Clone(got)
					got[1] = ecnCapable1
					got = routed(got, 0)
				}
				same(t, got, sent, 2)
			}
		}
		n.works()
	}
}

// A datagram cut anywhere dies: as no record where its headers show it, by the
// tag where they were made to fit.
func TestTruncatedAtEveryLength(t *testing.T) {
	for _, outer6 := range []bool{false, true} {
		n := newNetwork(t, plan{outer6: outer6})
		sent := udpPacket(n.a.host4, n.b.host4, padded(100))
		wire := one(t, n.a.sends(sent))
		header := 14 + 20
		if outer6 {
			header = 14 + 40
		}
		want := map[Drop]uint64{}
		for size := range wire {
			none(t, n.b.hears(wire[:size]))
			want[DropNotRecord]++
			if size < header+8 {
				continue
			}
			fitted := bytes.Clone(wire[:size])
			binary.BigEndian.PutUint16(fitted[header+4:], uint16(size-header))
			if outer6 {
				binary.BigEndian.PutUint16(fitted[14+4:], uint16(size-header))
			} else {
				binary.BigEndian.PutUint16(fitted[14+2:], uint16(size-14))
			}
			none(t, n.b.hears(fitted))
			if size < header+8+record.Overhead {
				want[DropNotRecord]++
			} else {
				want[DropForged]++
			}
		}
		n.b.wantDrops(want)
		same(t, one(t, n.b.hears(wire)), sent, 2)
		n.works()
	}
}

// What one side sent does not open at the sender: reflection.
func TestReflected(t *testing.T) {
	n := newNetwork(t, plan{})
	wire := one(t, n.a.sends(udpPacket(n.a.host4, n.b.host4, nil)))
	none(t, n.a.hears(wire))
	n.a.wantDrops(map[Drop]uint64{DropUnknownSession: 1})
	// Even under the session id that the sender itself gave out.
	binary.BigEndian.PutUint32(wire[14+28+4:], n.a.session)
	none(t, n.a.hears(wire))
	n.a.wantDrops(map[Drop]uint64{DropUnknownSession: 1, DropForged: 1})
	n.works()
}

// A record of one link does not open under the session of another, nor does a
// link's peer get packets in from a source behind the other.
func TestOtherLinksSession(t *testing.T) {
	n := newNetwork(t, plan{})
	wire := one(t, n.a.sends(udpPacket(n.a.host4, n.b.host4, nil)))
	other := newPeer(t, n.b)
	binary.BigEndian.PutUint32(wire[14+28+4:], other.session)
	none(t, n.b.hears(wire))
	n.b.wantDrops(map[Drop]uint64{DropForged: 1})
}

// A flood of forged records for a stream, arriving at another queue, must not
// take the stream from the queue that its records arrive at.
func TestForgedRecordsDoNotHoldAStream(t *testing.T) {
	n := newNetwork(t, plan{})
	wire := one(t, n.a.sends(udpPacket(n.a.host4, n.b.host4, nil)))
	opener := n.b.engine.sessions[n.b.session%sessionSlots].Load().openers[0]
	forged := bytes.Clone(wire)
	forged[len(forged)-1] ^= 1
	w := n.b.worker()
	n.b.step() // loads the tables
	if w.receive(bytes.Clone(forged)); w.counts.Dropped[DropForged] != 1 {
		t.Fatal("the forged record was not looked at at once")
	}
	if !opener.Acquire(2) {
		t.Fatal("the worker still holds the stream of a forged record")
	}
	opener.Release()
	if why := w.receive(wire); why != noDrop || w.counts.In.Records != 1 {
		t.Fatalf("the first genuine record was dropped as %v", why)
	}
	if opener.Acquire(2) {
		t.Error("the worker does not hold the stream that it opens")
	}
	if why := w.receive(forged); why != DropReplayed {
		t.Fatalf("dropped as %v", why)
	}
	if opener.Acquire(2) {
		t.Error("a forged record ended the hold that a genuine one began")
	}
	w.release()
	if !opener.Acquire(2) {
		t.Fatal("the stream is not free between batches")
	}
	if opener.Home() != w.owner() {
		t.Error("another owner alone has moved the stream")
	}
}

// A stream may move to another queue after a worker has looked where its home is
// and before it takes the stream. Then a forged record ends that hold and no other,
// and ends it once.
func TestAStreamMovesWhileItIsTaken(t *testing.T) {
	n := newNetwork(t, plan{})
	w := n.b.worker()
	busy, moving, held := newPeer(t, n.b), newPeer(t, n.b), newPeer(t, n.b)
	opener := func(p *peer) *record.Opener {
		return n.b.engine.sessions[p.session%sessionSlots].Load().openers[0]
	}
	to := func(host netip.Addr) []byte { return udpPacket(n.a.host4, host, nil) }
	forged := func() []byte {
		r := moving.record(to(n.b.host4))
		r[len(r)-1] ^= 1
		return moving.enclose(r, 0)
	}
	for _, p := range []*peer{busy, moving, held} {
		one(t, n.b.hears(p.frame(to(n.b.host4)))) // its home is this worker
	}

	// A full burst is opened after the look, and meanwhile the stream moves.
	const other = 2
	genuine := moving.record(to(n.b.host4))
	n.b.engine.wanted = func(netip.Addr) {
		o := opener(moving)
		if o.Home() == other {
			return
		}
		if !o.Acquire(other) {
			t.Fatal("the stream is taken before it is looked at")
		}
		if _, v := o.Open(make([]byte, len(genuine)), genuine); v != record.Opened {
			t.Fatalf("the record that moves the stream: verdict %d", v)
		}
		o.Release()
	}
	for range burstLen {
		w.receive(busy.frame(to(stranger(0))))
	}
	w.receive(forged())
	w.receive(held.frame(to(n.b.host4)))
	w.receive(forged())
	if opener(moving).Home() != other || w.counts.Dropped[DropForged] != 2 {
		t.Fatalf("home %d, %d forged", opener(moving).Home(), w.counts.Dropped[DropForged])
	}
	taken := opener(moving).Acquire(other)
	w.open()
	w.release()
	if taken && !opener(moving).OwnedBy(other) {
		t.Error("the worker has ended the hold of another one")
	}
	if !opener(held).Acquire(other) {
		t.Error("the worker holds a stream for ever")
	}
}

// Whoever looks at a single record of a stream, forged most likely, has it for
// some microseconds. Where the stream is at home that costs no genuine record.
func TestAStreamIsWaitedForAtHome(t *testing.T) {
	n := newNetwork(t, plan{})
	n.works()
	w := n.b.worker()
	opener := n.b.engine.sessions[n.b.session%sessionSlots].Load().openers[0]
	const other, rounds = 2, 50
	met, got := 0, 0
	for deadline := time.Now().Add(20 * time.Second); met < rounds && time.Now().Before(deadline); {
		var look sync.WaitGroup
		var begun atomic.Bool
		look.Go(func() {
			opener.Acquire(other)
			begun.Store(true)
			for began := time.Now(); time.Since(began) < 20*time.Microsecond; {
			}
			opener.Release()
		})
		for !begun.Load() { // not giving the processor away, which would be for all that time
		}
		held := opener.OwnedBy(other)
		took := w.lease(opener)
		look.Wait()
		w.release()
		if held {
			met++
			if took {
				got++
			}
		}
	}
	if met < rounds || got < rounds/2 { // not all: a processor may be taken away meanwhile
		t.Errorf("the stream was taken %d times of %d, want %d", got, met, rounds)
	}
}

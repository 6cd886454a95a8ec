package record

import (
	"bytes"
	"math/rand"
	"sync"
	"testing"
	"time"
)

// quick changes keys every few records.
var quick = Limits{
	FirstRecords: 2, RotateRecords: 4, RotateBlocks: never,
	MaxRecords: 8, MaxBlocks: never, RotateForged: never, MaxForged: never,
}

func quickPair(n byte) (*Sealer, *Opener) {
	return NewSealer(testKeys(n).Lower(quick), 7, 1), NewOpener(testKeys(n).Lower(quick), 7, 1)
}

// sealNext seals one record, with the next key always prepared.
func sealNext(t *testing.T, s *Sealer, payload string) []byte {
	t.Helper()
	b := NewBurst(1)
	r := make([]byte, Overhead+len(payload))
	if !b.Add(s, r, []byte(payload)) {
		t.Fatal("the sealer refuses")
	}
	b.Seal()
	s.Prepare()
	return r
}

func seqOf(r []byte) uint64 {
	h, _ := ParseHeader(r)
	return h.Seq
}

func opens(o *Opener, r []byte) Verdict {
	_, v := o.Open(make([]byte, len(r)), r)
	return v
}

func TestEpochsFollowInOrder(t *testing.T) {
	s, o := quickPair(1)
	now := time.Unix(0, 0)
	epoch, under := uint8(0), 0
	for i := range 200 {
		r := sealNext(t, s, "payload")
		h, _ := ParseHeader(r)
		if h.Seq != uint64(i) {
			t.Fatalf("record %d has number %d: numbers never restart", i, h.Seq)
		}
		if h.Epoch != epoch {
			want := 4
			if epoch == 0 {
				want = 2
			}
			if h.Epoch != epoch+1 || under != want {
				t.Fatalf("epoch %d after %d records of epoch %d", h.Epoch, under, epoch)
			}
			epoch, under = h.Epoch, 0
		}
		under++
		if v := opens(o, r); v != Opened {
			t.Fatalf("record %d of epoch %d: verdict %d", i, h.Epoch, v)
		}
		o.Prepare(now)
	}
	if epoch != 50 || s.Epoch() != 50 {
		t.Errorf("200 records end in epoch %d, announced %d", epoch, s.Epoch())
	}
}

// The keys of an epoch follow from the secret before it and are its own.
func TestEpochKeysDiffer(t *testing.T) {
	s, _ := quickPair(1)
	seen := map[string]bool{}
	for range 20 {
		r := sealNext(t, s, "the same payload")
		h, _ := ParseHeader(r)
		secret := make([]byte, 32)
		secret[0] = 1
		for range h.Epoch {
			secret = ExpandLabel(SHA256, secret, "traffic upd", nil, 32)
		}
		k := NewKeys(AES256GCM, SHA256, secret).consume()
		var nonce [nonceLen]byte
		putNonce(&nonce, &k.iv, h.Stream, h.Seq)
		plain, err := k.aead.Open(nil, nonce[:], r[HeaderLen:], r[:HeaderLen])
		if err != nil || string(plain) != "the same payload" {
			t.Fatalf("record %d is not under the key of epoch %d: %v", h.Seq, h.Epoch, err)
		}
		seen[string(k.iv[:])] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d ivs for 6 epochs", len(seen))
	}
}

func TestMissedEpochs(t *testing.T) {
	for _, c := range []struct {
		missed int
		want   Verdict
	}{{1, Opened}, {2, Opened}, {3, WrongEpoch}, {4, WrongEpoch}, {100, WrongEpoch}} {
		s, o := quickPair(1)
		var r []byte
		for h := (Header{}); int(h.Epoch) != 1+c.missed; h, _ = ParseHeader(r) {
			r = sealNext(t, s, "x")
		}
		if v := opens(o, r); v != c.want {
			t.Errorf("after %d missed epochs: verdict %d, want %d", c.missed, v, c.want)
		}
		// The sender's word over the control channel catches up with all of it.
		o.Advance(s.Epoch(), time.Unix(1, 0))
		r = sealNext(t, s, "x")
		if v := opens(o, r); v != Opened {
			t.Errorf("after %d missed epochs and an announcement: verdict %d", c.missed, v)
		}
	}
}

func TestAnnouncementsOnlyMoveForward(t *testing.T) {
	s, o := quickPair(1)
	o.Advance(30, time.Unix(1, 0))
	o.Advance(3, time.Unix(2, 0))
	var r []byte
	for h := (Header{}); h.Epoch != 30; h, _ = ParseHeader(r) {
		r = sealNext(t, s, "x")
	}
	if v := opens(o, r); v != Opened {
		t.Errorf("an announcement of an old epoch moved the opener back: verdict %d", v)
	}
}

func TestLateRecords(t *testing.T) {
	s, o := quickPair(1)
	start := time.Unix(100, 0)
	late := map[uint8][][]byte{}
	for {
		r := sealNext(t, s, "x")
		h, _ := ParseHeader(r)
		if h.Epoch == 3 {
			o.Prepare(start)
			if v := opens(o, r); v != Opened { // three ahead: the farthest that is held
				t.Fatalf("verdict %d", v)
			}
			break
		}
		late[h.Epoch] = append(late[h.Epoch], r)
	}
	o.Prepare(start)
	if v := opens(o, late[2][0]); v != Opened {
		t.Errorf("a late record of the epoch before: verdict %d", v)
	}
	if v := opens(o, late[1][0]); v != WrongEpoch {
		t.Errorf("a late record of two epochs before: verdict %d", v)
	}
	o.Prepare(start.Add(epochGrace))
	if v := opens(o, late[2][1]); v != Opened {
		t.Errorf("a late record at the end of the grace: verdict %d", v)
	}
	o.Prepare(start.Add(epochGrace + 1))
	if v := opens(o, late[2][2]); v != WrongEpoch {
		t.Errorf("a late record after the grace: verdict %d", v)
	}
}

// A forged record of a later epoch makes nothing the newest.
func TestForgedEpochDoesNotAdvance(t *testing.T) {
	s, o := quickPair(1)
	r := sealNext(t, s, "x")
	for epoch := range 256 {
		bad := bytes.Clone(r)
		bad[1], bad[20] = byte(epoch), bad[20]^1
		opens(o, bad)
		o.Prepare(time.Unix(int64(epoch)*100, 0))
	}
	if v := opens(o, r); v != Opened {
		t.Errorf("verdict %d after forged epochs", v)
	}
}

// The epoch byte never wraps: the last epoch's key stops at its limit.
func TestLastEpoch(t *testing.T) {
	s, _ := quickPair(1)
	b, r := NewBurst(1), make([]byte, Overhead)
	records, asked := 0, 0
	for b.Add(s, r, nil) {
		b.Seal()
		s.Prepare()
		records++
		if asked == 0 && s.Usage().Rotate {
			asked = records
		}
	}
	const want = 2 + 254*4 + 8 // the last key goes on to its own limit
	if h := s.header; h.Epoch != 255 || records != want || h.Seq != want {
		t.Errorf("stopped in epoch %d after %d records, number %d; want epoch 255 after %d", h.Epoch, records, h.Seq, want)
	}
	if !s.Usage().Exhausted {
		t.Error("not said to be exhausted")
	}
	if first := 2 + (rotateEpoch-1)*4 + 1; asked != first {
		t.Errorf("asked for a new session after %d records, want %d", asked, first)
	}
}

func TestLowerNeverRaises(t *testing.T) {
	high := Limits{never, never, never, never, never, never, never}
	if k := testKeys(1).Lower(high); k.limits != AES256GCM.Limits() {
		t.Errorf("limits were raised to %+v", k.limits)
	}
}

// TestRatchetThousands changes keys thousands of times, both sides prepared by
// another goroutine as in the gateway, while the network loses, repeats and
// reorders: exactly what it delivers opens, once.
func TestRatchetThousands(t *testing.T) {
	const sessions, records = 20, 2000
	limits := quick
	limits.FirstRecords, limits.RotateRecords, limits.MaxRecords = 8, 8, 16
	epochs := 0
	for n := range sessions {
		s, o := NewSealer(testKeys(byte(n)).Lower(limits), 7, 1), NewOpener(testKeys(byte(n)).Lower(limits), 7, 1)
		random := rand.New(rand.NewSource(int64(n)))
		stop := make(chan struct{})
		var other sync.WaitGroup
		other.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s.Prepare()
					o.Advance(s.Epoch(), time.Unix(0, 0)) // the control channel lags behind
				}
			}
		})
		b := NewBurst(4)
		var held [][]byte
		delivered, opened := map[uint64]bool{}, map[uint64]bool{}
		deliver := func(r []byte) {
			h, _ := ParseHeader(r)
			first := !delivered[h.Seq]
			delivered[h.Seq] = true
			switch v := opens(o, r); {
			case v == Opened && opened[h.Seq]:
				t.Fatalf("session %d: record %d opened twice", n, h.Seq)
			case v == Opened:
				opened[h.Seq] = true
			case first:
				t.Fatalf("session %d: record %d of epoch %d was lost to verdict %d", n, h.Seq, h.Epoch, v)
			}
		}
		for range records {
			r := make([]byte, Overhead+8)
			if !b.Add(s, r, make([]byte, 8)) {
				t.Fatal("the sealer refuses")
			}
			b.Seal()
			// The other goroutine does the same at the same moment; alone it
			// would have to be scheduled every few microseconds.
			s.Prepare()
			o.Prepare(time.Unix(0, 0))
			switch random.Intn(10) {
			case 0: // lost
			case 1: // repeated
				deliver(r)
				deliver(r)
			case 2: // held back, by less than an epoch
				held = append(held, r)
			default:
				deliver(r)
			}
			for len(held) > 0 && s.header.Seq-seqOf(held[0]) > 6 {
				deliver(held[0])
				held = held[1:]
			}
		}
		close(stop)
		other.Wait()
		epochs += int(s.Epoch())
	}
	if epochs < 4000 {
		t.Errorf("only %d epochs in all", epochs)
	}
}

// BenchmarkRatchet is what changing keys costs a record, at the protocol's own
// figures: one change in 2^27 records would vanish, so the change alone is timed.
func BenchmarkRatchet(b *testing.B) {
	b.Run("turn", func(b *testing.B) {
		s := NewSealer(testKeys(1), 7, 1)
		ready := s.next.Load()
		b.ReportAllocs()
		for b.Loop() {
			s.next.Store(ready)
			s.header.Epoch = 0
			s.turn()
		}
	})
	b.Run("prepare", func(b *testing.B) {
		s := NewSealer(testKeys(1), 7, 1)
		for b.Loop() {
			s.next.Store(nil)
			s.chain.epoch = 0
			s.Prepare()
		}
	})
}

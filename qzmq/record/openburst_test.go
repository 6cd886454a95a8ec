package record

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// A burst says of every record what opening them one by one says, whatever is
// among them: repeated, forged, late, of a next epoch, of another stream.
func TestOpenBurstIsOpenInTurn(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	limits := Limits{
		FirstRecords: 40, RotateRecords: 60, RotateBlocks: never, MaxRecords: never, MaxBlocks: never, RotateForged: 2, MaxForged: 3,
	}
	keys := func() *Keys { return testKeys(1).Lower(limits) }
	sealer, one, many := NewSealer(keys(), 7, 3), NewOpener(keys(), 7, 3), NewOpener(keys(), 7, 3)
	burst := NewOpenBurst(32)
	var sent [][]byte
	seen := map[Verdict]int{}
	for range 400 {
		var records [][]byte
		for range 1 + random.IntN(32) {
			switch kind := random.IntN(8); {
			case kind < 4 || len(sent) == 0:
				payload := make([]byte, random.IntN(100))
				sent = append(sent, sealNext(t, sealer, string(payload)))
				sealer.Prepare()
				if random.IntN(10) > 0 { // some are late
					records = append(records, sent[len(sent)-1])
				}
			case kind == 4:
				r := bytes.Clone(sent[len(sent)-1-random.IntN(min(len(sent), 50))])
				r[random.IntN(len(r))] ^= 1 << random.IntN(8)
				records = append(records, r)
			default:
				records = append(records, sent[len(sent)-1-random.IntN(min(len(sent), 50))])
			}
		}
		records = records[:min(len(records), 32)]
		var where []int
		var want, got []Verdict
		payloads := make([][]byte, len(records))
		for i, r := range records {
			dst := make([]byte, max(len(r)-Overhead, 0))
			n, v := one.Open(dst, r)
			want, payloads[i] = append(want, v), dst[:n]
			// One by one the second of two equal ones is seen before it is tried.
			got = append(got, burst.Add(many, make([]byte, len(dst)), r))
			if got[i] == Opened {
				where = append(where, i)
			}
		}
		burst.Open()
		for at, i := range where {
			payload, v := burst.Result(at)
			if got[i] = v; v == Opened && !bytes.Equal(payload, payloads[i]) || v != Opened && payload != nil {
				t.Fatalf("payload %x, want %x", payload, payloads[i])
			}
		}
		burst.Reset()
		for i := range want {
			seen[want[i]]++
			if got[i] != want[i] {
				t.Fatalf("record %d of %d: in a burst %v, one by one %v", i, len(want), got[i], want[i])
			}
		}
		for _, o := range []*Opener{one, many} {
			o.Acquire(1)
			o.Release()
			o.Prepare(time.Time{})
		}
		if one.Usage() != many.Usage() {
			t.Fatalf("usage one by one %+v, in bursts %+v", one.Usage(), many.Usage())
		}
	}
	for _, v := range []Verdict{Opened, Malformed, WrongEpoch, Replayed, Forged, Exhausted} {
		if seen[v] == 0 {
			t.Errorf("no record was %v", v)
		}
	}
}

// What does not verify leaves no plaintext.
func TestOpenBurstWipes(t *testing.T) {
	sealer, opener, burst := NewSealer(testKeys(1), 7, 0), NewOpener(testKeys(1), 7, 0), NewOpenBurst(2)
	good := sealNext(t, sealer, "attack at dawn")
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	for _, records := range [][][]byte{{bad}, {good, good}} {
		dst := bytes.Repeat([]byte{0xee}, 64)
		for i, r := range records {
			if v := burst.Add(opener, dst[32*i:], r); v != Opened {
				t.Fatal(v)
			}
		}
		burst.Open()
		last := len(records) - 1
		if _, v := burst.Result(last); v == Opened {
			t.Fatal("opened")
		}
		if got := dst[32*last:][:14]; !bytes.Equal(got, make([]byte, 14)) {
			t.Errorf("%q is left", got)
		}
		burst.Reset()
	}
}

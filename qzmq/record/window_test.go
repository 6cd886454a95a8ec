package record

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// modelWindow is a window that remembers everything.
type modelWindow struct {
	used bool
	high uint64
	seen map[uint64]bool
}

func (m *modelWindow) fresh(seq uint64) bool {
	if seq == ^uint64(0) {
		return false
	}
	if m.used && seq < m.high && m.high-seq >= windowSize {
		return false
	}
	return !m.seen[seq]
}

func (m *modelWindow) set(seq uint64) {
	m.seen[seq], m.used, m.high = true, true, max(m.high, seq)
}

// agree gives seq to both and fails where they differ.
func agree(t *testing.T, w *window, m *modelWindow, seq uint64) {
	t.Helper()
	got, want := w.fresh(seq), m.fresh(seq)
	if got != want {
		t.Fatalf("fresh(%d) = %v after a highest of %d, want %v", seq, got, m.high, want)
	}
	if want {
		w.set(seq)
		m.set(seq)
		if w.fresh(seq) {
			t.Fatalf("%d is still fresh after it was set", seq)
		}
	}
}

func newModel() *modelWindow { return &modelWindow{seen: map[uint64]bool{}} }

func TestWindowEdges(t *testing.T) {
	const ring = ringWords * wordBits
	for _, high := range []uint64{0, 1, 62, 63, 64, 65, 127, 128, 8191, 8192, windowSize - 1, windowSize, windowSize + 1,
		ring - 1, ring, ring + 1, 2*ring - 1, 2 * ring, 1 << 32, 1<<63 - 1, 1 << 63, ^uint64(0) - 1} {
		for _, back := range []uint64{0, 1, 63, 64, 65, 8191, 8192, windowSize - 2, windowSize - 1, windowSize, windowSize + 1,
			ring - 1, ring, ring + 1, 2 * ring} {
			w, m := new(window), newModel()
			agree(t, w, m, high)
			if back > high {
				continue
			}
			agree(t, w, m, high-back)
			agree(t, w, m, high-back)
		}
	}
}

// After a jump, numbers of before the jump that share a ring word with new ones
// must neither come back nor stand in their way.
func TestWindowJumps(t *testing.T) {
	const ring = ringWords * wordBits
	for _, jump := range []uint64{1, 63, 64, 65, 8192, windowSize - 1, windowSize, windowSize + 1, ring - 64, ring - 1, ring, ring + 1,
		ring + 63, ring + 64, ring + 65, 2*ring - 192, 2*ring - 128, 2*ring - 64, 2*ring - 1, 2 * ring, 2*ring + 1, 10 * ring, 1 << 40} {
		for _, start := range []uint64{0, 1, 63, 64, ring - 1, ring, ring + 64} {
			w, m := new(window), newModel()
			for seq := start; seq < start+200; seq += 3 {
				agree(t, w, m, seq)
			}
			high := start + 198 + jump
			agree(t, w, m, high)
			lowest := uint64(0)
			if high > 2*ring {
				lowest = high - 2*ring
			}
			for seq := lowest; seq <= high; seq++ {
				agree(t, w, m, seq)
			}
			for seq := start; seq < start+200; seq++ {
				agree(t, w, m, seq)
			}
		}
	}
}

func TestWindowRandomWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	w, m := new(window), newModel()
	at := uint64(0)
	for range 300000 {
		switch r.IntN(100) {
		case 0:
			at += r.Uint64N(3 * ringWords * wordBits)
		case 1, 2, 3:
			agree(t, w, m, at-min(at, r.Uint64N(2*windowSize)))
		default:
			at += r.Uint64N(4)
		}
		agree(t, w, m, at)
	}
}

// Each three bytes of the input are one number, near the last or far from it.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 0, 1, 2, 255, 255, 3, 0, 64})
	f.Add([]byte{3, 255, 255, 3, 255, 254, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		w, m := new(window), newModel()
		at := uint64(0)
		for ; len(b) >= 3; b = b[3:] {
			step := uint64(binary.BigEndian.Uint16(b[1:]))
			switch b[0] % 4 {
			case 0:
				at += step
			case 1:
				at -= min(at, step)
			case 2:
				at += step << 40
			case 3:
				at = ^uint64(0) - step
			}
			agree(t, w, m, at)
		}
	})
}

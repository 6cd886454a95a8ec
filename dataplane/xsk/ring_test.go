package xsk

import (
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// plainRing is a ring on ordinary memory whose indices stand at start. Two of
// them on the same memory, one in each role, are the two sides of a ring.
func plainRing[T any](size int, start uint32) ring[T] {
	r := ring[T]{
		producer: new(atomic.Uint32), consumer: new(atomic.Uint32), flags: new(atomic.Uint32),
		entries: make([]T, size),
	}
	r.producer.Store(start)
	r.consumer.Store(start)
	return r
}

func TestRingKeepsOrderAcrossWrapAround(t *testing.T) {
	for _, start := range []uint32{0, 1, 1<<31 - 5, 1<<32 - 9, 1<<32 - 1} {
		for _, burst := range []uint32{1, 3, 8} {
			memory := plainRing[uint64](8, start)
			writer, reader := memory.produce(), memory.consume()
			written, read := uint64(0), uint64(0)
			for range 100 {
				for range writer.free(burst) {
					writer.push(written)
					written++
				}
				if n := reader.ready(8); n != 0 && burst == 8 {
					t.Fatalf("start %d: %d entries seen before publish", start, n)
				}
				writer.publish()
				n := reader.ready(burst)
				for i := range n {
					if got := reader.at(i); got != read {
						t.Fatalf("start %d burst %d: read %d, want %d", start, burst, got, read)
					}
					read++
				}
				reader.release(n)
				if left := writer.unsent(); left != 0 {
					t.Fatalf("start %d burst %d: %d unsent after all was read", start, burst, left)
				}
			}
			if want := 100 * uint64(burst); read != want {
				t.Errorf("start %d burst %d: %d entries read, want %d", start, burst, read, want)
			}
		}
	}
}

func TestRingNeverOverrunsTheReader(t *testing.T) {
	for _, start := range []uint32{0, 1<<32 - 3} {
		memory := plainRing[uint64](4, start)
		writer, reader := memory.produce(), memory.consume()
		for value := range uint64(4) {
			if writer.free(1) != 1 {
				t.Fatalf("start %d: no room for entry %d of 4", start, value)
			}
			writer.push(value)
		}
		if writer.free(1) != 0 {
			t.Errorf("start %d: room in a full ring before publish", start)
		}
		writer.publish()
		if got := writer.unsent(); got != 4 {
			t.Errorf("start %d: %d unsent, want 4", start, got)
		}
		if got := reader.ready(64); got != 4 {
			t.Fatalf("start %d: %d ready, want 4", start, got)
		}
		reader.release(3)
		if got := writer.free(4); got != 3 {
			t.Errorf("start %d: room for %d, want 3", start, got)
		}
		if got := reader.ready(64); got != 1 {
			t.Errorf("start %d: %d ready, want 1", start, got)
		}
		if got := reader.at(0); got != 3 {
			t.Errorf("start %d: last entry is %d, want 3", start, got)
		}
	}
}

// Two goroutines pass a million numbers: with -race this also checks that the
// indices order the entries.
func TestRingBetweenGoroutines(t *testing.T) {
	memory := plainRing[unix.XDPDesc](64, 1<<32-1000)
	const total = 1 << 20
	go func() {
		writer := memory.produce()
		for sent := uint64(0); sent < total; {
			n := writer.free(16)
			for range n {
				writer.push(unix.XDPDesc{Addr: sent, Len: uint32(sent)})
				sent++
			}
			writer.publish()
			if n == 0 {
				runtime.Gosched()
			}
		}
	}()
	reader := memory.consume()
	for want := uint64(0); want < total; {
		n := reader.ready(32)
		if n == 0 {
			runtime.Gosched()
		}
		for i := range n {
			if got := reader.at(i); got.Addr != want || got.Len != uint32(want) {
				t.Fatalf("read %+v, want %d", got, want)
			}
			want++
		}
		reader.release(n)
	}
}

func TestRingWakeupFlag(t *testing.T) {
	r := plainRing[uint64](4, 0).produce()
	if r.needsWakeup() {
		t.Error("wakeup wanted without the flag")
	}
	r.flags.Store(unix.XDP_RING_NEED_WAKEUP)
	if !r.needsWakeup() {
		t.Error("no wakeup wanted with the flag")
	}
}

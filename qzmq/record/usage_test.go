package record_test

import (
	"sync"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// Usage is for other goroutines: this test means most under the race detector.
func TestUsageFromAnotherGoroutine(t *testing.T) {
	const total = 20000
	s, o := pair(record.AES256GCM, 1)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		var lastSealed, lastOpened uint64
		for {
			sealed, opened := s.Usage().Records, o.Usage().Records
			if sealed < lastSealed || opened < lastOpened {
				t.Errorf("usage went back: %d after %d, %d after %d", sealed, lastSealed, opened, lastOpened)
				return
			}
			lastSealed, lastOpened = sealed, opened
			select {
			case <-done:
				return
			default:
			}
		}
	})
	b := record.NewBurst(16)
	batch := make([][]byte, 16)
	for i := range batch {
		batch[i] = make([]byte, 100+record.Overhead)
	}
	dst, payload := make([]byte, 100), make([]byte, 100)
	for range total / len(batch) {
		for _, r := range batch {
			b.Add(s, r, payload)
		}
		b.Seal()
		o.Acquire(1)
		for _, r := range batch {
			if _, v := o.Open(dst, r); v != record.Opened {
				t.Fatalf("verdict %d", v)
			}
		}
		o.Release()
	}
	close(done)
	wg.Wait()
	want := record.Usage{Records: total, Bytes: total * 100}
	if got := s.Usage(); got != want {
		t.Errorf("sealer: %+v, want %+v", got, want)
	}
	if got := o.Usage(); got != want {
		t.Errorf("opener: %+v, want %+v", got, want)
	}
}

// Several workers fight for one opener with the same records: each opens once.
func TestOpenerHasOneOwner(t *testing.T) {
	const workers, total = 4, 2000
	s, o := pair(record.AES256GCM, 1)
	records := make([][]byte, total)
	for i := range records {
		records[i] = seal(t, s, nil)
	}
	opened := make([]int, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for _, r := range records {
				for !o.Acquire(1) {
				}
				if _, v := o.Open(nil, r); v == record.Opened {
					opened[w]++
				}
				o.Release()
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range opened {
		sum += n
	}
	if sum != total {
		t.Errorf("%d records opened, want %d, each once", sum, total)
	}
	if o.Acquire(1); o.Acquire(1) {
		t.Error("an opener has two owners")
	}
}

// A burst of several sealers publishes the usage of each.
func TestBurstPublishesEverySealer(t *testing.T) {
	sealers := make([]*record.Sealer, 3)
	for i := range sealers {
		sealers[i] = record.NewSealer(keys(record.AES256GCM, byte(i)), testSession, uint16(i))
	}
	b := record.NewBurst(9)
	for i, which := range []int{0, 1, 0, 2, 1, 0, 0, 2, 1} {
		b.Add(sealers[which], make([]byte, record.Overhead+i), make([]byte, i))
	}
	if !b.Full() {
		t.Error("nine records do not fill a burst of nine")
	}
	b.Seal()
	if b.Full() {
		t.Error("a sealed burst is still full")
	}
	for i, want := range []record.Usage{{Records: 4, Bytes: 0 + 2 + 5 + 6}, {Records: 3, Bytes: 1 + 4 + 8}, {Records: 2, Bytes: 3 + 7}} {
		if got := sealers[i].Usage(); got != want {
			t.Errorf("sealer %d: %+v, want %+v", i, got, want)
		}
	}
}

// Memory that is too short is the caller's fault and must not be papered over
// with new memory that nobody sends.
func TestShortMemoryPanics(t *testing.T) {
	s, o := pair(record.AES256GCM, 1)
	sealed := seal(t, s, make([]byte, 100))
	for _, n := range []int{0, 1, record.HeaderLen, 100, 100 + record.Overhead - 1} {
		if !panics(func() { record.NewBurst(1).Add(s, make([]byte, n), make([]byte, 100)) }) {
			t.Errorf("%d bytes were enough to seal 100", n)
		}
	}
	for _, n := range []int{0, 1, 99} {
		if !panics(func() { o.Open(make([]byte, n), sealed) }) {
			t.Errorf("%d bytes were enough to open 100", n)
		}
	}
	mustOpen(t, o, sealed, make([]byte, 100))
}

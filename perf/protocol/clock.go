package main

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the CPU time of the calling thread; while other processes have the
// core it stands still.
func threadTime() time.Duration { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

// processTime is the CPU time of all threads: with it, the garbage collector counts.
func processTime() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

func clock(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		panic("protocol: read the CPU clock: " + err.Error()) // Linux always has both
	}
	return time.Duration(t.Nano())
}

// stopwatch divides the CPU time of its thread among sides that take turns.
type stopwatch struct {
	last     time.Duration
	price    time.Duration // of reading the clock: half a microsecond where it is a system call
	readings int
	spent    [sides]time.Duration
}

// The sides of a handshake.
const (
	initiator = iota
	responder
	sides
)

func newStopwatch() *stopwatch {
	prices := make([]time.Duration, 1001)
	last := threadTime()
	for i := range prices {
		now := threadTime()
		prices[i], last = now-last, now
	}
	slices.Sort(prices)
	return &stopwatch{price: prices[len(prices)/2]}
}

// start begins a lap of nobody's.
func (w *stopwatch) start() {
	w.readings++
	w.last = threadTime()
}

// lap gives what was spent since the last call to side and starts the next lap.
func (w *stopwatch) lap(side int) {
	now := threadTime()
	w.spent[side] += now - w.last - w.price
	w.last = now
	w.readings++
}

// take gives the CPU time of one side in microseconds each, of n, and forgets it.
func (w *stopwatch) take(n int) (perSide [sides]float64) {
	for i, d := range w.spent {
		perSide[i] = micros(d, n)
	}
	w.spent = [sides]time.Duration{}
	return perSide
}

func micros(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
func nanos(d time.Duration, n int) float64  { return float64(d.Nanoseconds()) / float64(n) }

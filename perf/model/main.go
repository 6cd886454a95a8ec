// Command model says how many cores a gateway would need for 100 Gigabit Ethernet,
// from the cycles per packet that perf/pipeline has measured here.
//
//	model [-in DIR]
//
// Nobody has measured that: no such network card was near. Every figure it prints
// is an extrapolation, and how it comes about is printed above the figures.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/qzmq/gateway/perf/sheet"
)

func main() {
	in := flag.String("in", "perf/results", "read pipeline.json from `DIR`")
	flag.Parse()
	if err := run(*in, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

// What a frame costs on the wire beside the inner packet, in bytes.
const (
	record   = 20 + 8 + 16 + 16 // outer IPv4, UDP, header and tag of the record
	ethernet = 14 + 4
	silence  = 8 + 12 // preamble, and the gap between frames

	lineRate = 100e9 // bits per second
	clock    = 3.0   // GHz of a core of the machine that is imagined
)

// aim is how many cores one direction may take at most.
func aim(size int) string {
	if size == 1420 {
		return ", aim 3"
	}
	return ""
}

// packetsPerSecond is how many records with an inner packet of this size fill the
// line in one direction.
func packetsPerSecond(size int) float64 {
	return lineRate / 8 / float64(size+record+ethernet+silence)
}

func run(dir string, out io.Writer) error {
	r, err := sheet.Read(dir, "pipeline")
	if err != nil {
		return fmt.Errorf("make bench ONLY=pipeline measures what this needs: %w", err)
	}
	fmt.Fprintf(out, `Extrapolated from %s, measured %s.

Cores = cycles per packet x packets per second of a full line / %.1f GHz. The cycles are of a worker between
ports that are memory: what the network card's driver, its rings and its memory traffic cost is not in them,
so take the result for the least. A gateway that seals and opens at full rate needs both.

| inner packet | direction | cycles per packet, measured | packets/s at 100G, extrapolated | cores, extrapolated | Gb/s of inner packets, extrapolated |
|--:|---|--:|--:|--:|--:|
`, r.Machine.CPU, r.Started.Format("2006-01-02 15:04 MST"), clock)
	found := false
	for _, size := range []int{1420, 8900} {
		for _, direction := range []string{"seal", "open"} {
			cycles, ok := cyclesOf(r, direction, size)
			if !ok {
				continue
			}
			found = true
			rate := packetsPerSecond(size)
			fmt.Fprintf(out, "| %d B | %s | %.0f | %.2f million | %.1f%s | %.1f |\n",
				size, direction, cycles, rate/1e6, cycles*rate/(clock*1e9), aim(size), rate*float64(size)*8/1e9)
		}
	}
	if !found {
		return fmt.Errorf("%s/pipeline.json has no cycles per packet: that kernel does not tell the processor's nominal frequency", dir)
	}
	return nil
}

func cyclesOf(r *sheet.Result, direction string, size int) (float64, bool) {
	for _, l := range r.Rows {
		if l.Unit == "cycles/packet" && l.Name == fmt.Sprintf("pipeline, %s, aes256gcm, %d B", direction, size) {
			return l.Median, true
		}
	}
	return 0, false
}

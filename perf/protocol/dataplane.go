package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// dataplaneRows takes in what the benchmarks of package dataplane report: the
// share of the bare cipher's speed that is left when a worker carries packets from
// port to port in memory. They need that package's inside, so go test runs them;
// their clock is the wall's, and each figure is a median of many short turns.
func dataplaneRows(s *sheet, e effort, rounds int) error {
	const benchmarks = "^Benchmark(Outbound|Inbound)$/^outer6=false$/^1420$"
	out, err := exec.Command("go", "test", "-run", "^$", "-bench", benchmarks,
		"-benchtime", e.packages, "-count", strconv.Itoa(rounds), "./dataplane").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run the benchmarks of ./dataplane: %w\n%s", err, out)
	}
	for _, d := range []struct{ benchmark, name string }{
		{"BenchmarkOutbound", "worker, inside to outside"},
		{"BenchmarkInbound", "worker, outside to inside"},
	} {
		ratio := s.row(ratios, d.name+", aes256gcm, 1420 B, speed of the bare cipher", "x", atLeast(0.85))
		took := s.plain(times, d.name+", aes256gcm, 1420 B", "ns/packet")
		for _, b := range parseBenchmarks(string(out), d.benchmark) {
			ratio.add(b["of-bare"])
			took.add(b["ns/packet"])
		}
		if len(ratio.samples) != rounds {
			return fmt.Errorf("go test reports %s %d times, not %d:\n%s", d.benchmark, len(ratio.samples), rounds, out)
		}
	}
	return nil
}

// parseBenchmarks reads what go test prints of one benchmark: for each time that
// it ran, its figures by their units.
func parseBenchmarks(out, name string) (runs []map[string]float64) {
	for l := range strings.Lines(out) {
		fields := strings.Fields(l)
		if len(fields) < 2 || fields[0] != name && !strings.HasPrefix(fields[0], name+"/") {
			continue
		}
		figures := make(map[string]float64)
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				figures[fields[i+1]] = v
			}
		}
		runs = append(runs, figures)
	}
	return runs
}

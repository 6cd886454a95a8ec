package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// benchmarks runs some of package dataplane once and gives what go test prints.
func benchmarks(ctx context.Context, names, time string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark("+names+")$", "-benchtime", time, "./dataplane").CombinedOutput()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("run the benchmarks of ./dataplane: %w\n%s", err, out)
	}
	return string(out), nil
}

// parse reads what go test prints of one benchmark: for each time that it ran, its
// figures by their units.
func parse(out, name string) (runs []map[string]float64) {
	for l := range strings.Lines(out) {
		fields := strings.Fields(l)
		if len(fields) < 2 || withoutProcessors(fields[0]) != name {
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

// withoutProcessors takes the -2 off that go test adds on a machine of two.
func withoutProcessors(name string) string {
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			return name[:i]
		}
	}
	return name
}

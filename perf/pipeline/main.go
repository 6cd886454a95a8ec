// Command pipeline measures the packet path on one core with ports that are
// memory: what a worker needs per packet beside the bare cipher and a copy, two
// workers beside one, ten thousand sessions beside one, and new keys every second
// beside none.
//
//	pipeline [-out DIR] [-rounds N] [-brief]
//
// The measuring is done by the benchmarks of package dataplane, which need that
// package's inside; this program runs them with go test, from the top of the
// checkout, and makes the table.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/record"
)

func main() { os.Exit(part().Run(os.Args[1:], os.Stdout, os.Stderr)) }

func part() sheet.Part {
	return sheet.Part{
		Name: "pipeline", How: "wall time, what is compared in turns of 64 packets and medians of those", Rounds: 5, Measure: measure,
	}
}

func measure(ctx context.Context, s *sheet.Sheet, o sheet.Options) error {
	short, once := "300ms", "1x"
	if o.Brief {
		short = "2x"
	}
	provider, _ := record.Provider()
	s.Note("AES-256-GCM is that of " + provider + ".")
	if ghz := sheet.NominalGHz(); ghz > 0 {
		s.Note(fmt.Sprintf("Cycles are time x %.3f GHz, the rate of the time stamp counter as the kernel's BogoMIPS give it.", ghz))
	} else {
		s.Missing("cycles per packet", "this kernel does not tell the nominal frequency of the processor")
	}
	for range o.Rounds {
		for _, b := range []struct{ names, time string }{{"Outbound|Inbound|Workers|Scale", short}, {"Rotation", once}} {
			out, err := benchmarks(ctx, b.names, b.time)
			if err != nil {
				return err
			}
			if err := rows(s, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// rows takes in one run of some benchmarks.
func rows(s *sheet.Sheet, out string) error {
	found := 0
	for _, d := range []struct{ benchmark, name string }{
		{"BenchmarkOutbound", "pipeline, seal"},
		{"BenchmarkInbound", "pipeline, open"},
	} {
		for _, size := range []int{64, 256, 512, 1420, 8900} {
			for _, shared := range []string{"", "/shared"} {
				for _, figures := range parse(out, d.benchmark+"/"+strconv.Itoa(size)+shared) {
					found++
					sizeRows(s, d.name, size, shared != "", figures)
				}
			}
		}
	}
	for _, r := range []struct {
		benchmark, figure, name, unit string
		group                         sheet.Group
		goal                          sheet.Goal
	}{
		{"BenchmarkWorkers", "of-one", "pipeline, two workers / one", "x", sheet.Ratios, sheet.AtLeast(1.9)},
		{"BenchmarkWorkers", "bare-of-one", "two bare ciphers / one", "x", sheet.Ratios, sheet.Goal{}},
		{"BenchmarkScale/one-used", "of-one", "10,000 sessions and routes installed / one", "x", sheet.Ratios, sheet.AtLeast(0.9)},
		{"BenchmarkScale/all-used", "of-one", "10,000 sessions and routes, each packet for another one / one", "x", sheet.Ratios, sheet.Goal{}},
		{"BenchmarkRotation", "of-still", "a new session every second / none", "x", sheet.Ratios, sheet.AtLeast(0.98)},
		{"BenchmarkRotation", "lost", "a new session every second, packets lost", "packets", sheet.Rates, sheet.AtMost(0)},
	} {
		for _, figures := range parse(out, r.benchmark) {
			found++
			s.Row(r.group, r.name, r.unit, r.goal).Add(figures[r.figure])
		}
	}
	if found == 0 {
		return fmt.Errorf("the benchmarks of ./dataplane report nothing that is known here:\n%s", out)
	}
	return nil
}

// sizeRows are those of one direction at one length of inner packet.
func sizeRows(s *sheet.Sheet, direction string, size int, shared bool, figures map[string]float64) {
	name := direction + ", aes256gcm, " + strconv.Itoa(size) + " B"
	if shared {
		name += ", shared records"
	}
	want := sheet.Goal{}
	if size == 1420 {
		want = sheet.AtLeast(0.85)
	}
	took := figures["ns/packet"]
	s.Row(sheet.Ratios, name+", speed of the bare cipher", "x", want).Add(figures["of-bare"])
	s.Plain(sheet.Ratios, name+", speed of a copy", "x").Add(figures["of-copy"])
	s.Plain(sheet.Times, name, "ns/packet").Add(took)
	if ghz := sheet.NominalGHz(); ghz > 0 {
		s.Plain(sheet.Times, name, "cycles/packet").Add(took * ghz)
	}
	s.Plain(sheet.Rates, name, "Gb/s per core").Add(float64(size) * 8 / took)
	s.Row(sheet.Rates, name, "allocations/batch", sheet.AtMost(0)).Add(figures["allocs/batch"])
}

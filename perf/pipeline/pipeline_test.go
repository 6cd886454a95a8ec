package main

import (
	"slices"
	"testing"

	"github.com/qzmq/gateway/perf/sheet"
)

const printed = `goos: linux
BenchmarkOutbound/1420-2  	 100	  0 allocs/batch	  0.91 of-bare	 320.5 ns/packet
BenchmarkOutboundElse-2  	 100	  0.1 of-bare
BenchmarkOutbound/1420  	 120	  0.93 of-bare	 310 ns/packet
BenchmarkWorkers-2  	 120	  1.93 of-one	 1.95 bare-of-one
PASS
`

func TestParse(t *testing.T) {
	got := parse(printed, "BenchmarkOutbound/1420")
	if len(got) != 2 || got[0]["of-bare"] != 0.91 || got[1]["ns/packet"] != 310 {
		t.Errorf("%v", got)
	}
}

func TestRows(t *testing.T) {
	s := &sheet.Sheet{}
	if err := rows(s, printed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name, unit string
		samples    []float64
	}{
		{"pipeline, seal, aes256gcm, 1420 B, speed of the bare cipher", "x", []float64{0.91, 0.93}},
		{"pipeline, seal, aes256gcm, 1420 B", "ns/packet", []float64{320.5, 310}},
		{"pipeline, two workers / one", "x", []float64{1.93}},
		{"two bare ciphers / one", "x", []float64{1.95}},
	} {
		if got := s.Plain(sheet.Ratios, want.name, want.unit).Samples(); !slices.Equal(got, want.samples) {
			t.Errorf("%s in %s: %v, want %v", want.name, want.unit, got, want.samples)
		}
	}
	if rows(s, "PASS\n") == nil {
		t.Error("benchmarks that are gone are not missed")
	}
}

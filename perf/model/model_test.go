package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestModel(t *testing.T) {
	// 100 Gb/s / 8 / 1,518 bytes on the wire: IEEE 802.3 frame, preamble and gap.
	if got := packetsPerSecond(1420); math.Abs(got-8.2345e6) > 1e3 {
		t.Errorf("%.0f packets of 1,420 B a second", got)
	}
	dir := t.TempDir()
	if err := run(dir, &strings.Builder{}); err == nil {
		t.Error("without a measurement there is a model")
	}
	const measured = `{"rows": [{"name": "pipeline, seal, aes256gcm, 1420 B", "unit": "cycles/packet", "median": 1000}]}`
	if err := os.WriteFile(filepath.Join(dir, "pipeline.json"), []byte(measured), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(dir, &out); err != nil {
		t.Fatal(err)
	}
	if want := "| 1420 B | seal | 1000 | 8.23 million | 2.7, aim 3 | 93.5 |"; !strings.Contains(out.String(), want) {
		t.Errorf("%q is not in\n%s", want, &out)
	}
}

// Command aead measures AES-256-GCM by itself, one record after the other in memory:
// package vaes, the standard library, and intel-ipsec-mb called from C without cgo,
// which is more than a Go program could have of it.
//
//	aead [-out DIR] [-rounds N] [-brief]
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/record/vaes"
)

const (
	turns   = 500
	records = 64 // in a turn
)

func main() { os.Exit(part().Run(os.Args[1:], os.Stdout, os.Stderr)) }

func part() sheet.Part {
	return sheet.Part{Name: "aead", How: "wall time, medians of turns of 64 records", Rounds: 5, Measure: measure}
}

// took is what a record of some bytes takes, in nanoseconds.
type took struct{ seal, open float64 }

func sizes() []int { return []int{64, 256, 512, 1420, 8900} }

func measure(ctx context.Context, s *sheet.Sheet, o sheet.Options) error {
	dir, err := os.MkdirTemp("", "aead")
	if err != nil {
		return fmt.Errorf("make a folder for the program in C: %w", err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "ipsecmb")
	if out, err := exec.CommandContext(ctx, "cc", "-O2", "-Wall", "-o", program, "perf/traffic/ipsecmb.c", "-lIPSec_MB").CombinedOutput(); err != nil {
		reason, _, _ := strings.Cut(string(out), "\n")
		s.Missing("intel-ipsec-mb", fmt.Sprintf("%v: %s", err, reason))
		program = ""
	}
	if !vaes.Supported() {
		s.Missing("vaes", vaes.ErrUnsupported.Error())
	}
	for range o.Rounds {
		standard, err := goCipher(newStandard)
		if err != nil {
			return err
		}
		ways := map[string]map[int]took{"standard library": standard}
		if vaes.Supported() {
			if ways["vaes"], err = goCipher(vaes.New); err != nil {
				return err
			}
		}
		if program != "" {
			if ways["ipsec-mb in C"], err = inC(ctx, program); err != nil {
				return err
			}
		}
		rows(s, ways)
	}
	return nil
}

func rows(s *sheet.Sheet, ways map[string]map[int]took) {
	for _, size := range sizes() {
		for _, way := range []string{"vaes", "standard library", "ipsec-mb in C"} {
			t, ok := ways[way][size]
			if !ok {
				continue
			}
			name := fmt.Sprintf("aes256gcm, %d B", size)
			s.Plain(sheet.Times, "seal, "+name+", "+way, "ns").Add(t.seal)
			s.Plain(sheet.Times, "open, "+name+", "+way, "ns").Add(t.open)
			if ours, ok := ways["vaes"][size]; ok && way != "vaes" {
				s.Plain(sheet.Ratios, "seal, "+name+", speed of vaes / "+way, "x").Add(t.seal / ours.seal)
				s.Plain(sheet.Ratios, "open, "+name+", speed of vaes / "+way, "x").Add(t.open / ours.open)
			}
		}
	}
}

func newStandard(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func goCipher(make func([]byte) (cipher.AEAD, error)) (map[int]took, error) {
	c, err := make(bytes(32))
	if err != nil {
		return nil, err
	}
	found := map[int]took{}
	nonce, aad := bytes(12), bytes(16)
	for _, size := range sizes() {
		text, sealed := bytes(size), bytes(size+16)
		var seal, open [turns]float64
		for turn := range turns {
			start := time.Now()
			for range records {
				c.Seal(sealed[:0], nonce, text, aad)
			}
			middle := time.Now()
			for range records {
				if _, err := c.Open(text[:0], nonce, sealed, aad); err != nil {
					return nil, err
				}
			}
			seal[turn] = float64(middle.Sub(start).Nanoseconds()) / records
			open[turn] = float64(time.Since(middle).Nanoseconds()) / records
		}
		found[size] = took{median(seal[:]), median(open[:])}
	}
	return found, nil
}

func bytes(n int) []byte { return make([]byte, n) }

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func inC(ctx context.Context, program string) (map[int]took, error) {
	out, err := exec.CommandContext(ctx, program).Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", program, err)
	}
	found := map[int]took{}
	for line := range strings.Lines(string(out)) {
		var size int
		var t took
		if _, err := fmt.Sscan(line, &size, &t.seal, &t.open); err != nil {
			return nil, fmt.Errorf("read %q: %w", line, err)
		}
		found[size] = t
	}
	return found, nil
}

package main

import (
	"testing"
	"time"

	"github.com/qzmq/gateway/perf/lab"
	"github.com/qzmq/gateway/perf/sheet"
)

func TestRows(t *testing.T) {
	s := &sheet.Sheet{}
	ours, rival := lab.Gateways(), lab.WireGuard(true)
	seen := results{"TCP, 1 flow": {
		ours.Name:  {amount: 1e9, seconds: 2, used: lab.Account{All: 4 * time.Second, User: time.Second, System: 2 * time.Second}},
		rival.Name: {amount: 5e8, seconds: 2, retransmits: 10, used: lab.Account{All: 4 * time.Second}},
	}}
	rows(s, "TCP, 1 flow", 1500, []lab.Way{ours, rival, lab.Kernel(false)}, seen)
	for _, want := range []struct {
		name, unit string
		value      float64
	}{
		{"TCP, 1 flow, MTU 1500: gateways, AF_XDP / wireguard-go, offloads on", "x", 2},
		{"TCP, 1 flow, MTU 1500: gateways, AF_XDP / wireguard-go, offloads on, CPU of everything", "x", 0.5},
		{"TCP, 1 flow, MTU 1500: gateways, AF_XDP", "Gb/s", 4},
		{"TCP, 1 flow, MTU 1500: gateways, AF_XDP, CPU of the gateways, system", "s/GB", 2},
		{"TCP, 1 flow, MTU 1500: wireguard-go, offloads on, CPU of everything", "s/GB", 8},
		{"TCP, 1 flow, MTU 1500: wireguard-go, offloads on, retransmits", "segments/s", 5},
	} {
		if got := s.Plain(sheet.Ratios, want.name, want.unit).Samples(); len(got) != 1 || got[0] != want.value {
			t.Errorf("%s in %s: %v, want %v", want.name, want.unit, got, want.value)
		}
	}
	if got := s.Plain(sheet.Rates, "TCP, 1 flow, MTU 1500: kernel in clear, offloads off", "Gb/s").Samples(); len(got) != 0 {
		t.Errorf("a way that had no turn has figures: %v", got)
	}
}

// TestGoals are those of the project: what is wanted against whom, and where.
func TestGoals(t *testing.T) {
	for _, c := range []struct {
		task          string
		mtu           int
		ours, theirs  lab.Way
		rate, expense string
	}{
		{"TCP, 1 flow", 1500, lab.Gateways(), lab.WireGuard(true), "≥ 1.20, aim 2.00", "≤ 1.00"},
		{"TCP, 4 flows", 1500, lab.Gateways(), lab.WireGuard(false), "≥ 3.00", "≤ 1.00"},
		{"TCP, 4 flows", 1500, lab.Gateways(), lab.NullCipher(), "≥ 0.8", ""},
		{"TCP, 1 flow", 1500, lab.Gateways(), lab.Kernel(false), "", ""},
		{"TCP, 1 flow", 9000, lab.SuperFrames(), lab.WireGuard(false), "≥ 1.20, aim 2.00", "≤ 1.00"},
		{"UDP flood, 64 B", 1500, lab.SuperFrames(), lab.WireGuard(true), "≥ 5.00", "≤ 1.00"},
		{"UDP flood, 64 B", 1500, lab.Gateways(), lab.NullCipher(), "", ""},
	} {
		found := false
		for _, got := range comparisons(c.task, c.mtu) {
			if got.ours.Name == c.ours.Name && got.theirs.Name == c.theirs.Name {
				found = true
				if got.rate.String() != c.rate || got.cost.String() != c.expense {
					t.Errorf("%s at %d, %s / %s: %q and %q", c.task, c.mtu, c.ours.Name, c.theirs.Name, got.rate, got.cost)
				}
			}
		}
		if !found {
			t.Errorf("%s at %d: %s is not compared with %s", c.task, c.mtu, c.ours.Name, c.theirs.Name)
		}
	}
}

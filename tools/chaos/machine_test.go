package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// The kernel's figures are where they are looked for, and a machine that could not do
// what was asked of it is blamed, but not for what was long before.
func TestMachine(t *testing.T) {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil || !strings.Contains(string(text), "\nTCP: ") {
		t.Fatalf("%q, %v", text, err)
	}
	if fields("/proc/net/sockstat", "TCP: ")[0] != "inuse" || number(fields("/proc/sys/net/ipv4/tcp_mem", ""), 2) == 0 {
		t.Error("the memory of TCP is not found")
	}
	if m := look(); m.waited == 0 {
		t.Errorf("no thread has ever waited: %+v", m)
	}
	w := &world{}
	began := time.Now()
	if why := w.helpless(began); why != "" {
		t.Error(why)
	}
	w.full.Store(began.Add(-time.Second).UnixNano())
	if why := w.helpless(began); why != "" {
		t.Error(why)
	}
	if why := w.helpless(began.Add(-noticed)); !strings.Contains(why, "no memory for TCP") {
		t.Error(why)
	}
	w.stood.Store(int64(beatMissed))
	if why := w.helpless(began); !strings.Contains(why, "stood still for 2s") {
		t.Error(why)
	}
}

package main_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// messages is the program that the demo's hosts run: Python on real libzmq.
// Both ends compute what has to arrive and compare every byte.
const messages = "../../tools/demo/messages.py"

// ledger is what messages prints at its end.
type ledger struct {
	Messages, Bytes int
	Seconds         float64
	SHA256          string
}

// exchange runs a pattern between two hosts, the far one bound to a port, and
// gives the account of the one that compares.
func (b *testbed) exchange(far, near site, farRole, nearRole string, port int, args ...string) ledger {
	b.t.Helper()
	endpoint := fmt.Sprintf("tcp://%s:%d", far.host4, port)
	program := func(s site, role, side string) *process {
		return b.spawn(s.host, append([]string{messages, role, side, endpoint, "--timeout", "10"}, args...)...)
	}
	bound, connected := program(far, farRole, "bind"), program(near, nearRole, "connect")
	var ends [2]ledger
	for i, p := range []*process{connected, bound} {
		if err := json.Unmarshal([]byte(p.wait(40*time.Second)), &ends[i]); err != nil {
			b.t.Fatalf("%v: %v; it printed:\n%s", p.cmd.Args, err, &p.out)
		}
	}
	if ends[0].SHA256 != ends[1].SHA256 || ends[0].Bytes != ends[1].Bytes || ends[0].Bytes == 0 {
		b.t.Errorf("%s %s and %s %s disagree: %+v, %+v", far.host, farRole, near.host, nearRole, ends[0], ends[1])
	}
	return ends[0]
}

// TestZeroMQ: programs that know nothing of any gateway, in both directions.
func TestZeroMQ(t *testing.T) {
	b := newTestbed(t, "")
	a, z := b.linked()
	for _, far := range []site{siteB, siteA} {
		near := far.other()
		t.Run("REQ in "+near.name+", REP in "+far.name, func(t *testing.T) {
			l := b.exchange(far, near, "rep", "req", 5555, "--count", "120")
			t.Logf("%d messages, %d bytes, %.2f s", l.Messages, l.Bytes, l.Seconds)
		})
		t.Run("PUSH in "+near.name+", PULL in "+far.name, func(t *testing.T) {
			l := b.exchange(far, near, "pull", "push", 5556, "--count", "300")
			t.Logf("%d messages, %d bytes, %.2f s", l.Messages, l.Bytes, l.Seconds)
		})
	}
	t.Run("100 MB", func(t *testing.T) {
		before := z.metrics()
		const size, count = 1_000_000, 100
		l := b.exchange(siteB, siteA, "pull", "push", 5557, "--size", fmt.Sprint(size), "--count", fmt.Sprint(count))
		if l.Bytes != size*count {
			t.Errorf("%d bytes arrived, not %d", l.Bytes, size*count)
		}
		t.Logf("%.0f MB/s, SHA-256 %s", float64(l.Bytes)/1e6/l.Seconds, l.SHA256)
		if carried := z.metrics().since(before).sum("qzmq_link_bytes_total", `direction="in"`); carried < size*count {
			t.Errorf("the link has carried %.0f bytes only: the rest took another way", carried)
		}
	})
	t.Run("bulk TCP", func(t *testing.T) { testBulkTCP(t, b, a, z) })
}

// testBulkTCP logs a figure; there is no threshold, since the machine may be
// busy with anything.
func testBulkTCP(t *testing.T, b *testbed, a, z *daemon) {
	server := b.spawn(siteB.host, "iperf3", "--server", "--one-off", "--forceflush")
	b.within(5*time.Second, "iperf3 listens", func() bool { return len(server.out.lines("listening")) > 0 })
	before := [2]metrics{a.metrics(), z.metrics()}
	client := b.spawn(siteA.host, "iperf3", "--client", hostB4, "--time", "2", "--parallel", "2", "--json")
	var report struct {
		End struct {
			Received struct {
				Bits  float64 `json:"bits_per_second"`
				Bytes float64
			} `json:"sum_received"`
			Sent struct{ Retransmits int } `json:"sum_sent"`
		}
	}
	if err := json.Unmarshal([]byte(client.wait(20*time.Second)), &report); err != nil {
		t.Fatal(err)
	}
	if report.End.Received.Bytes == 0 {
		t.Error("nothing arrived")
	}
	t.Logf("%.2f Gbit/s, %d retransmits", report.End.Received.Bits/1e9, report.End.Sent.Retransmits)
	for i, d := range []*daemon{a, z} {
		for name, n := range d.metrics().since(before[i]) {
			if isDrop(name) {
				t.Logf("gateway %s: %s +%.0f", d.at.name, name, n)
			}
		}
	}
}

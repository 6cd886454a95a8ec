package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// driver reads what the gateway's kernel has set for busy polling, on the inside
// and the outside.
func (b *testbed) driver(s site) (set []string) {
	b.t.Helper()
	for _, device := range []string{"eth1", "eth2"} {
		for _, knob := range []string{"napi_defer_hard_irqs", "gro_flush_timeout"} {
			set = append(set, strings.TrimSpace(b.run(s.gateway, "cat", "/sys/class/net/"+device+"/"+knob)))
		}
	}
	return set
}

// TestBusyPolling: with busy polling the drivers' interrupts are put off, on the
// gateway's interfaces and while it runs. After a crash the next start undoes it.
func TestBusyPolling(t *testing.T) {
	b := newTestbed(t, "-busy")
	before := b.driver(siteA)
	during := []string{"2", "200000", "2", "200000"}
	a, z := b.linked("QZMQ_GATEWAY_BUSY_POLL_US=50")
	if got := b.driver(siteA); !slices.Equal(got, during) {
		t.Errorf("with busy polling the drivers have %v, want %v", got, during)
	}
	if !b.ping("host-a", hostB4) {
		t.Error("no ping")
	}
	z.signal(syscall.SIGTERM)
	z.wait(10 * time.Second)
	if got := b.driver(siteB); !slices.Equal(got, before) {
		t.Errorf("after the end the drivers have %v, want %v", got, before)
	}

	a.kill()
	if got := b.driver(siteA); !slices.Equal(got, during) {
		t.Errorf("after a crash the drivers have %v, want %v", got, during)
	}
	a = b.gateway(siteA)
	b.within(10*time.Second, "the gateway has started", func() bool { return len(a.out.lines("gateway started")) > 0 })
	if got := b.driver(siteA); !slices.Equal(got, before) {
		t.Errorf("after the start that follows the drivers have %v, want %v", got, before)
	}
}

// TestSpreadRefused: veth does not let anyone say how packets are spread over
// queues. The gateway says so, once, and works.
func TestSpreadRefused(t *testing.T) {
	b := newTestbed(t, "-rss")
	a, _ := b.linked()
	if lines := a.out.lines("the driver decides by itself", "interface=eth2", "operation not supported"); len(lines) != 1 {
		t.Errorf("the refusal was said %d times:\n%s", len(lines), &a.out)
	}
}

// threads gives the CPUs that each thread of a gateway may run on.
func (d *daemon) threads() (allowed []string) {
	d.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range files {
		status, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has just ended
		}
		for line := range strings.Lines(string(status)) {
			if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				allowed = append(allowed, strings.TrimSpace(list))
			}
		}
	}
	return allowed
}

// TestPinnedWorkers: each worker keeps to a CPU of its own, and no other thread
// is held by it. A process that may use one CPU only has it said.
func TestPinnedWorkers(t *testing.T) {
	b := newTestbed(t, "-pin")
	workers := 2 // as many as tools/testbed gives queues
	if runtime.NumCPU() < workers {
		t.Fatalf("this test needs %d CPUs", workers)
	}
	a, _ := b.linked("QZMQ_GATEWAY_PIN=on")
	pinned := map[string]int{}
	free := 0
	for _, list := range a.threads() {
		if _, err := strconv.Atoi(list); err == nil {
			pinned[list]++
		} else {
			free++
		}
	}
	if len(pinned) != workers || free == 0 {
		t.Errorf("%d threads are on CPUs %v and %d are free; want one on each of %d CPUs", len(pinned), pinned, free, workers)
	}
	for cpu, n := range pinned {
		if n != 1 {
			t.Errorf("%d threads are on CPU %s", n, cpu)
		}
	}
	if m := a.metrics(); m.count("qzmq_worker_cpu") != workers {
		t.Errorf("the CPUs of %d workers are shown, want %d", m.count("qzmq_worker_cpu"), workers)
	}

	a.signal(syscall.SIGTERM)
	a.wait(10 * time.Second)
	cmd := b.command(siteA.gateway, "taskset", "-c", "0", "qzmq-gateway", "--config", filepath.Join(b.dir, "site-a.yaml"))
	cmd.Env = b.environment(siteA, "QZMQ_GATEWAY_PIN=on")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "2 workers have 1 CPUs") {
		t.Errorf("with one CPU for two workers: %v\n%s", err, out)
	}
}

// TestIdle: gateways that carry nothing but their own liveness sleep. 1 % of one
// CPU is what they may use at most.
func TestIdle(t *testing.T) {
	b := newTestbed(t, "-idle")
	a, z := b.linked()
	b.during(2 * time.Second)
	const watch = 10 * time.Second
	before := []time.Duration{a.cpu(), z.cpu()}
	b.during(watch)
	for i, d := range []*daemon{a, z} {
		used := d.cpu() - before[i]
		t.Logf("gateway %s used %v in %v, %.2f %% of a CPU", d.at.name, used, watch, 100*used.Seconds()/watch.Seconds())
		if used > watch/100 {
			t.Errorf("gateway %s used %v of CPU time in %v", d.at.name, used, watch)
		}
	}
}

// cpu is the CPU time that a gateway has used, from /proc/PID/stat in ticks of
// 10 ms.
func (d *daemon) cpu() time.Duration {
	d.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	// The name, in parentheses, may hold anything; utime and stime are the 12th
	// and 13th field behind it.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		d.t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		d.t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

package controlplane

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pinWorkers chooses a CPU for each worker, among those that the process may run
// on: first those that serve no interrupt of the gateway's interfaces, because a
// worker and the driver that feeds it take each other's time on one CPU. No CPU
// is chosen twice. The answer is nil where workers are better left to the
// scheduler.
func pinWorkers(c *GatewayConfig, workers int) ([]int, error) {
	if c.Pin == PinOff {
		return nil, nil
	}
	allowed, err := allowedCPUs()
	if err != nil {
		return nil, fmt.Errorf("choose CPUs for the workers: %w", err)
	}
	switch {
	case c.Pin == PinOn && len(allowed) < workers:
		return nil, fmt.Errorf("gateway.pin is on, but %d workers have %d CPUs: make the interfaces' queues fewer, for example with ethtool -L",
			workers, len(allowed))
	case c.Pin == PinAuto && len(allowed) <= workers:
		// No CPU is left for interrupts and everything else, and then the
		// scheduler knows better whom to move.
		return nil, nil
	}
	served := interruptCPUs("/sys", "/proc", c.Inside.Interface, c.Outside.Interface)
	return quietest(allowed, served, workers), nil
}

// quietest gives the n CPUs that serve the fewest interrupts.
func quietest(cpus []int, served map[int]int, n int) []int {
	cpus = slices.Clone(cpus)
	slices.SortStableFunc(cpus, func(a, b int) int { return cmp.Compare(served[a], served[b]) })
	cpus = cpus[:n]
	slices.Sort(cpus)
	return cpus
}

// allowedCPUs are those of this process, which a cgroup or taskset may have
// made fewer than the machine has.
func allowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// stayOn keeps the calling thread on a CPU.
func stayOn(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("keep a worker on CPU %d: %w", cpu, err)
	}
	return nil
}

// interruptCPUs counts how many interrupts of the interfaces each CPU serves.
// Interfaces that have none, or do not say, count nothing.
func interruptCPUs(sys, proc string, interfaces ...string) map[int]int {
	served := map[int]int{}
	for _, name := range interfaces {
		for irq := range interrupts(sys, proc, name) {
			b, err := os.ReadFile(filepath.Join(proc, "irq", irq, "effective_affinity_list"))
			if err != nil {
				continue
			}
			for _, cpu := range parseCPUs(strings.TrimSpace(string(b))) {
				served[cpu]++
			}
		}
	}
	return served
}

// interrupts are an interface's, by number: those that its device lists, or its
// parent where the device is on another, as virtio is on PCI; and those that
// carry the interface's name.
func interrupts(sys, proc, name string) map[string]bool {
	found := map[string]bool{}
	for _, at := range []string{"device/msi_irqs", "device/../msi_irqs"} {
		// Not filepath.Join, which would shorten .. before the link is followed.
		entries, _ := os.ReadDir(filepath.Join(sys, "class/net", name) + "/" + at)
		for _, e := range entries {
			found[e.Name()] = true
		}
	}
	f, err := os.Open(filepath.Join(proc, "interrupts"))
	if err != nil {
		return found
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		irq, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		words := strings.Fields(rest)
		if _, err := strconv.Atoi(irq); err != nil || len(words) == 0 {
			continue
		}
		// eth0, eth0-rx-1, eth0-TxRx-1, mlx5_comp1@pci:... (found by the device)
		last := words[len(words)-1]
		if last == name || strings.HasPrefix(last, name+"-") {
			found[irq] = true
		}
	}
	return found
}

// parseCPUs reads what the kernel writes as 0-2,7.
func parseCPUs(list string) (cpus []int) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil {
			continue
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

package controlplane

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestQuietestCPUs(t *testing.T) {
	for _, c := range []struct {
		name   string
		cpus   []int
		served map[int]int
		n      int
		want   []int
	}{
		{"no interrupts known", []int{0, 1, 2, 3}, nil, 2, []int{0, 1}},
		{"interrupts on the first", []int{0, 1, 2, 3}, map[int]int{0: 2, 1: 1}, 2, []int{2, 3}},
		{"interrupts nearly everywhere", []int{0, 1, 2, 3}, map[int]int{0: 1, 1: 2, 3: 1}, 2, []int{0, 2}},
		{"not all are allowed", []int{2, 5, 7}, map[int]int{2: 1, 0: 1}, 2, []int{5, 7}},
		{"one for each", []int{4, 6}, map[int]int{4: 9}, 2, []int{4, 6}},
	} {
		if got := quietest(c.cpus, c.served, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%s: CPUs %v, want %v", c.name, got, c.want)
		}
	}
}

// Files as the kernel has them on a PCI card, on virtio, and on a driver that
// only names its interrupts.
func TestInterruptCPUs(t *testing.T) {
	sys, proc := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		noError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		noError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	link := func(device, name string) {
		t.Helper()
		noError(t, os.MkdirAll(filepath.Join(sys, "class/net", name), 0o755))
		noError(t, os.Symlink(filepath.Join(sys, device), filepath.Join(sys, "class/net", name, "device")))
	}
	write(filepath.Join(sys, "pci/nic/msi_irqs/40"), "msix\n")
	write(filepath.Join(sys, "pci/nic/msi_irqs/41"), "msix\n")
	link("pci/nic", "eth1")
	write(filepath.Join(sys, "pci/parent/msi_irqs/50"), "msix\n")
	write(filepath.Join(sys, "pci/parent/virtio0/driver"), "")
	link("pci/parent/virtio0", "eth2")
	write(filepath.Join(proc, "interrupts"), `           CPU0       CPU1
 24:          0          5   PCI-MSI 1-edge      eth3
 60:          0          5   PCI-MSI 2-edge      eth3-TxRx-0
 61:          0          5   PCI-MSI 3-edge      eth33-TxRx-0
NMI:          0          0   Non-maskable interrupts
`)
	for irq, cpus := range map[string]string{"40": "0", "41": "2-4,7", "50": "2", "24": "1", "60": "1", "61": "6"} {
		write(filepath.Join(proc, "irq", irq, "effective_affinity_list"), cpus+"\n")
	}
	for _, c := range []struct {
		interfaces []string
		want       map[int]int
	}{
		{[]string{"eth1"}, map[int]int{0: 1, 2: 1, 3: 1, 4: 1, 7: 1}},
		{[]string{"eth1", "eth2"}, map[int]int{0: 1, 2: 2, 3: 1, 4: 1, 7: 1}},
		{[]string{"eth3"}, map[int]int{1: 2}},
		{[]string{"veth9"}, map[int]int{}},
	} {
		if got := interruptCPUs(sys, proc, c.interfaces...); !maps.Equal(got, c.want) {
			t.Errorf("%v: interrupts by CPU %v, want %v", c.interfaces, got, c.want)
		}
	}
}

func TestPinWorkers(t *testing.T) {
	cpus, err := allowedCPUs()
	noError(t, err)
	n := len(cpus)
	for _, c := range []struct {
		pin     PinMode
		workers int
		pinned  bool
		fails   bool
	}{
		{PinOff, 1, false, false},
		{PinAuto, n, false, false},
		{PinAuto, n + 1, false, false},
		{PinAuto, n - 1, n > 1, false},
		{PinOn, n, true, false},
		{PinOn, n + 1, false, true},
	} {
		got, err := pinWorkers(&GatewayConfig{Pin: c.pin, Inside: InsideConfig{Interface: "lo"}, Outside: OutsideConfig{Interface: "lo"}}, c.workers)
		if (err != nil) != c.fails || (len(got) > 0) != c.pinned {
			t.Errorf("%s with %d workers of %d CPUs: %v, %v", c.pin, c.workers, n, got, err)
		}
		for _, cpu := range got {
			if !slices.Contains(cpus, cpu) {
				t.Errorf("CPU %d is not among %v", cpu, cpus)
			}
		}
	}
}

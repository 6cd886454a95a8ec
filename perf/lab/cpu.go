package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is USER_HZ, in which the kernel tells times to programs: 100 on every
// architecture that Go runs on.
const tick = time.Second / 100

// disturbed is the share of the machine that others may take before a run says
// little: other programs, or the hypervisor.
const disturbed = 0.06

// Account is who used the processors during a run.
type Account struct {
	// All is everything but foreign programs: both hosts, both gateways, the
	// kernel's threads and interrupts.
	All time.Duration
	// User and System are the gateways' own, with the kernel's work that was
	// done inside their system calls.
	User, System time.Duration
	Kernel       time.Duration // the kernel's threads
	Foreign      float64       // share of the machine that other programs used
	Steal        float64       // share that the hypervisor kept
}

// Gateways is the time of both gateways' programs.
func (a Account) Gateways() time.Duration { return a.User + a.System }

// disturbance is what others took, of the machine.
func (a Account) disturbance() float64 { return max(a.Foreign, a.Steal) }

// Disturbed says that others took so much that the run says little.
func (a Account) Disturbed() bool { return a.disturbance() > disturbed }

// Watch runs f and gives the account of its time. What f measures has to end
// before f does; the gateways live on.
func (l *Lab) Watch(f func() error) (Account, error) {
	before, err := l.look()
	if err != nil {
		return Account{}, err
	}
	if err := f(); err != nil {
		return Account{}, err
	}
	after, err := l.look()
	if err != nil {
		return Account{}, err
	}
	return after.since(before), nil
}

// usage is what /proc tells at a moment, in ticks.
type usage struct {
	busy, steal, total uint64
	processes          map[int]process
}

type owner int

const (
	foreign owner = iota
	hosts         // and this process
	gateways
	kernel
)

type process struct {
	owner        owner
	user, system uint64
	children     uint64 // of those that ended
}

// CongestionControl is the machine's default, which new namespaces take over.
func CongestionControl() string {
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

func (l *Lab) look() (usage, error) {
	u := usage{processes: make(map[int]process)}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return u, fmt.Errorf("/proc/stat begins with %q", line)
	}
	for i, f := range fields[1:9] { // user nice system idle iowait irq softirq steal
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return u, fmt.Errorf("/proc/stat: %w", err)
		}
		u.total += n
		switch i {
		case 3, 4:
		case 7:
			u.steal = n
		default:
			u.busy += n
		}
	}
	owners, err := l.owners()
	if err != nil {
		return u, err
	}
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return u, err
	}
	for _, dir := range entries {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if p, ok := readProcess(dir, pid, owners); ok {
			u.processes[pid] = p
		}
	}
	return u, nil
}

// owners gives who lives in each of our namespaces, by inode.
func (l *Lab) owners() (map[uint64]owner, error) {
	owners := make(map[uint64]owner)
	for ns, who := range map[string]owner{"host-a": hosts, "host-b": hosts, "gw-a": gateways, "gw-b": gateways} {
		inode, err := inodeOf("/run/netns/" + l.Namespace(ns))
		if err != nil {
			return nil, err
		}
		owners[inode] = who
	}
	return owners, nil
}

func inodeOf(path string) (uint64, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return st.Ino, nil
}

// readProcess is false for one that has just ended.
func readProcess(dir string, pid int, owners map[uint64]owner) (process, bool) {
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return process{}, false
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 15 {
		return process{}, false
	}
	number := func(i int) uint64 { n, _ := strconv.ParseUint(fields[i], 10, 64); return n }
	p := process{user: number(11), system: number(12), children: number(13) + number(14)}
	inode, _ := inodeOf(dir + "/ns/net") // 0 when it has just ended
	switch {
	case pid == 2 || fields[1] == "2": // kthreadd and its children
		p.owner = kernel
	case pid == os.Getpid() || fields[1] == strconv.Itoa(os.Getpid()):
		p.owner = hosts
	default:
		p.owner = owners[inode] // foreign where there is none
	}
	if p.owner == hosts && pid != os.Getpid() {
		if who, ok := owners[inode]; ok {
			p.owner = who
		}
	}
	return p, true
}

func (u usage) since(before usage) Account {
	var used [kernel + 1]uint64
	var a Account
	for pid, p := range u.processes {
		was := before.processes[pid]
		used[p.owner] += p.user - was.user + p.system - was.system
		switch p.owner {
		case gateways:
			a.User += time.Duration(p.user-was.user) * tick
			a.System += time.Duration(p.system-was.system) * tick
		case foreign: // also of what began and ended in between
			used[foreign] += p.children - was.children
		}
	}
	for pid, p := range before.processes {
		if _, lives := u.processes[pid]; !lives && p.owner == foreign {
			// Its parent has taken in all of its life, not only what came since.
			used[foreign] -= min(used[foreign], p.user+p.system+p.children)
		}
	}
	total := float64(max(u.total-before.total, 1))
	busy := u.busy - before.busy
	a.All = time.Duration(busy-min(busy, used[foreign])) * tick
	a.Kernel = time.Duration(used[kernel]) * tick
	a.Foreign = min(1, float64(used[foreign])/total)
	a.Steal = float64(u.steal-before.steal) / total
	return a
}

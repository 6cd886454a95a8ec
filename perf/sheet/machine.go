package sheet

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Machine is where the figures come from. What cannot be read is empty: no figure
// depends on it.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Circl      string `json:"circl,omitempty"`
	LoadBefore string `json:"load_average_before"`
	LoadAfter  string `json:"load_average_after"`
}

func describeMachine() Machine {
	return Machine{
		CPU: cpuModel(), Cores: runtime.NumCPU(), Kernel: firstLine("/proc/sys/kernel/osrelease"),
		Go: runtime.Version() + " " + runtime.GOARCH, Circl: versionOf("github.com/cloudflare/circl"),
		LoadBefore: loadAverage(),
	}
}

// cpuModel is what the kernel calls the processor: its name, and where the name
// says little, its family and model.
func cpuModel() string {
	about := aboutCPU()
	if about["model name"] == "" {
		return runtime.GOARCH
	}
	return about["model name"] + " (family " + about["cpu family"] + ", model " + about["model"] + ")"
}

func aboutCPU() map[string]string {
	about := make(map[string]string)
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return about
	}
	for l := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(l, ":")
		if key = strings.TrimSpace(key); about[key] == "" {
			about[key] = strings.TrimSpace(value)
		}
	}
	return about
}

// NominalGHz is the frequency of the processor's time stamp counter, which runs
// at the nominal clock whatever the cores do at the moment: half of the BogoMIPS,
// because Linux presets its delay loop from that counter and counts two
// instructions a turn. It is 0 where the kernel tells no such thing.
func NominalGHz() float64 {
	about := aboutCPU()
	if !strings.Contains(about["flags"], "constant_tsc") {
		return 0
	}
	mips, err := strconv.ParseFloat(about["bogomips"], 64)
	if err != nil {
		return 0
	}
	return mips / 2 / 1000
}

// loadAverage is over 1, 5 and 15 minutes; this program itself adds 1.
func loadAverage() string {
	fields := strings.Fields(firstLine("/proc/loadavg"))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

func firstLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func versionOf(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return ""
}

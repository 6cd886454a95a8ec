package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// machine is where the figures come from. What cannot be read is empty: no figure
// depends on it.
type machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Circl      string `json:"circl"`
	LoadBefore string `json:"load_average_before"`
	LoadAfter  string `json:"load_average_after"`
}

func describeMachine() machine {
	return machine{
		CPU: cpuModel(), Cores: runtime.NumCPU(), Kernel: firstLine("/proc/sys/kernel/osrelease"),
		Go: runtime.Version() + " " + runtime.GOARCH, Circl: versionOf("github.com/cloudflare/circl"),
		LoadBefore: loadAverage(),
	}
}

// cpuModel is what the kernel calls the processor: its name, and where the name
// says little, its family and model.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	about := make(map[string]string)
	for l := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(l, ":")
		if key = strings.TrimSpace(key); about[key] == "" {
			about[key] = strings.TrimSpace(value)
		}
	}
	if about["model name"] == "" {
		return runtime.GOARCH
	}
	return about["model name"] + " (family " + about["cpu family"] + ", model " + about["model"] + ")"
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

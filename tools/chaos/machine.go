package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// machine is what the machine has done to the process so far, as the kernel counts it:
// what a finding may have to do with that no socket can help.
type machine struct {
	waited time.Duration // of the process's threads, for a CPU
	stolen time.Duration // from all CPUs, by who runs the machine
	tcp    [len(tcpCounters)]uint64
	queues uint64 // packets that the kernel's own queues had no room for, of all interfaces
}

// tcpCounters are of all TCP of the network namespace.
var tcpCounters = [...]struct{ name, words string }{
	{"RetransSegs", "segments were sent again"},
	{"TCPTimeouts", "timeouts passed"},
	{"TCPRcvQDrop", "segments found no room at their receiver"},
	{"TCPAbortOnMemory", "connections had no memory"},
}

// look counts. What the kernel does not tell stays 0.
func look() (m machine) {
	threads, _ := filepath.Glob("/proc/self/task/*/schedstat")
	for _, name := range threads {
		m.waited += time.Duration(number(fields(name, ""), 1))
	}
	const tick = 10 * time.Millisecond // USER_HZ
	m.stolen = time.Duration(number(fields("/proc/stat", "cpu "), 7)) * tick
	for _, name := range []string{"/proc/net/snmp", "/proc/net/netstat"} {
		text, _ := os.ReadFile(name)
		lines := strings.Split(string(text), "\n")
		for i := 0; i+1 < len(lines); i += 2 { // names, and what they have come to
			values := strings.Fields(lines[i+1])
			for at, column := range strings.Fields(lines[i]) {
				for c := range tcpCounters {
					if column == tcpCounters[c].name {
						m.tcp[c] = number(values, at)
					}
				}
			}
		}
	}
	text, _ := os.ReadFile("/proc/net/softnet_stat")
	for line := range strings.Lines(string(text)) {
		if cpu := strings.Fields(line); len(cpu) > 1 {
			n, _ := strconv.ParseUint(cpu[1], 16, 64)
			m.queues += n
		}
	}
	return m
}

// tcpFull says whether all TCP of the machine together has about as much memory as the
// kernel gives it. What arrives is then thrown away, whoever it is for, and sent again
// ever more slowly: a connection that nobody touches stands still for seconds.
func tcpFull() bool {
	used := fields("/proc/net/sockstat", "TCP: ")
	i := slices.Index(used, "mem")
	most := number(fields("/proc/sys/net/ipv4/tcp_mem", ""), 2)
	return i >= 0 && most > 0 && number(used, i+1) >= most-most/16
}

// fields gives the words of a file's first line that begins with prefix, after it.
func fields(name, prefix string) []string {
	text, _ := os.ReadFile(name)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

func number(words []string, at int) uint64 {
	if at >= len(words) {
		return 0
	}
	n, _ := strconv.ParseUint(words[at], 10, 64)
	return n
}

// since says what has happened from an earlier look to this one.
func (m machine) since(before machine) string {
	text := fmt.Sprintf("threads waited %v for a CPU, %v were stolen, %d packets found no room in queues",
		(m.waited - before.waited).Round(time.Millisecond), m.stolen-before.stolen, m.queues-before.queues)
	for i, c := range tcpCounters {
		text += fmt.Sprintf(", %d %s", m.tcp[i]-before.tcp[i], c.words)
	}
	return text
}

// Command profile shows where the time goes while TCP crosses: the functions of the
// kernel and of all programs that took more than half a hundredth of both cores, from
// perf's samples of the whole machine.
//
//	profile [-out DIR] [-mtu N] [-flows N] [-seconds N] [WAY]...
//
// WAY is gateways, superframes, superframes-both, null, wireguard or kernel; gateways unless told
// otherwise. Each leaves profile-WAY.txt in DIR. It needs root and linux-perf, and
// the sampling itself costs some of the speed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/qzmq/gateway/perf/lab"
)

func main() {
	out := flag.String("out", "perf/results", "write profile-WAY.txt into `DIR`")
	mtu := flag.Int("mtu", 1500, "MTU of the wire")
	flows := flag.Int("flows", 1, "TCP flows")
	seconds := flag.Int("seconds", 3, "of traffic")
	flag.Parse()
	ways := flag.Args()
	if len(ways) == 0 {
		ways = []string{"gateways"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	for _, name := range ways {
		if err := profile(ctx, name, *out, *mtu, *flows, *seconds); err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
			os.Exit(1)
		}
	}
}

func wayOf(name string) (lab.Way, error) {
	switch name {
	case "gateways":
		return lab.Gateways(), nil
	case "superframes":
		return lab.SuperFrames(), nil
	case "superframes-both":
		return lab.SuperFramesBoth(), nil
	case "null":
		return lab.NullCipher(), nil
	case "wireguard":
		return lab.WireGuard(true), nil
	case "kernel":
		return lab.Kernel(false), nil
	}
	return lab.Way{}, fmt.Errorf("%s is none of gateways, superframes, superframes-both, null, wireguard, kernel", name)
}

func profile(ctx context.Context, name, out string, mtu, flows, seconds int) (err error) {
	way, err := wayOf(name)
	if err != nil {
		return err
	}
	w, err := lab.NewWorkshop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	l, err := w.Open(way, mtu)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	server, err := l.Start("host-b", nil, "iperf3", "--server", "--one-off", "--forceflush")
	if err != nil {
		return err
	}
	if err := server.Says("listening", 5*time.Second); err != nil {
		return err
	}
	// cpu-clock, because a virtual machine rarely has the counters of a real one.
	samples := filepath.Join(w.Dir(), "samples")
	if _, err := l.Run("host-a", "perf", "record", "-q", "-a", "-e", "cpu-clock", "-F", "999", "-o", samples, "--",
		"iperf3", "--client", lab.HostB, "--time", strconv.Itoa(seconds), "--parallel", strconv.Itoa(flows), "--json"); err != nil {
		return err
	}
	report, err := exec.CommandContext(ctx, "perf", "report", "-i", samples, "--stdio", "--percent-limit", "0.5", "--fields", "overhead,comm,symbol").Output()
	if err != nil {
		return fmt.Errorf("perf report: %w", err)
	}
	report = regexp.MustCompile(` +\n`).ReplaceAll(report, []byte("\n"))
	head := fmt.Sprintf("# %s, wire MTU %d, %d flows of TCP; shares of both cores\n", way.Name, mtu, flows)
	path := filepath.Join(out, "profile-"+name+".txt")
	if err := errors.Join(os.MkdirAll(out, 0o755), os.WriteFile(path, append([]byte(head), report...), 0o644)); err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

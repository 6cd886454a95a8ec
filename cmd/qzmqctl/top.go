package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qzmq/gateway/controlplane"
)

// top prints what each queue carries, once a second, until Ctrl-C or for so many
// times. It has no end to wait for, so it writes as it goes.
func top(args []string, stdout io.Writer) error {
	f := flag.NewFlagSet("top", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	socket, count := socketFlag(f), f.Int("count", 0, "")
	if err := f.Parse(args); err != nil || f.NArg() > 0 || *count < 0 {
		return errUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o := newOperator(*socket)
	_, before, err := o.status()
	if err != nil {
		return err
	}
	clear := ""
	if isTerminal(stdout) {
		clear = "\x1b[H\x1b[2J"
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; *count == 0 || n < *count; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		_, now, err := o.status()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprint(stdout, clear, throughput(before, now)); err != nil {
			return err
		}
		before = now
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// throughput is what has passed between two looks, by the gateway's own clock. A
// gateway that was restarted between them counts from its start.
func throughput(before, now *controlplane.Status) string {
	seconds := now.UptimeSeconds - before.UptimeSeconds
	earlier := before.Queues
	if !now.Started.Equal(before.Started) {
		seconds, earlier = now.UptimeSeconds, nil
	}
	var rows []string
	var all controlplane.QueueStatus
	line := func(name any, q controlplane.QueueStatus) {
		rate := func(n uint64) float64 { return float64(n) / seconds }
		rows = append(rows, row(name,
			fmt.Sprintf("%.0f", rate(q.Out.Records)), fmt.Sprintf("%.0f", rate(q.Out.Records+q.SharedOut)), scaled(8*rate(q.Out.Bytes), bits()...),
			fmt.Sprintf("%.0f", rate(q.In.Records)), fmt.Sprintf("%.0f", rate(q.In.Records+q.SharedIn)), scaled(8*rate(q.In.Bytes), bits()...),
			fmt.Sprintf("%.0f", rate(q.Dropped))))
	}
	for i, q := range now.Queues {
		if i < len(earlier) {
			e := earlier[i]
			q.Out.Records, q.Out.Bytes, q.SharedOut = q.Out.Records-e.Out.Records, q.Out.Bytes-e.Out.Bytes, q.SharedOut-e.SharedOut
			q.In.Records, q.In.Bytes, q.SharedIn = q.In.Records-e.In.Records, q.In.Bytes-e.In.Bytes, q.SharedIn-e.SharedIn
			q.Dropped -= e.Dropped
		}
		all.Out.Records, all.Out.Bytes, all.SharedOut = all.Out.Records+q.Out.Records, all.Out.Bytes+q.Out.Bytes, all.SharedOut+q.SharedOut
		all.In.Records, all.In.Bytes, all.SharedIn = all.In.Records+q.In.Records, all.In.Bytes+q.In.Bytes, all.SharedIn+q.SharedIn
		all.Dropped += q.Dropped
		line(i, q)
	}
	line("all", all)
	up := 0
	for _, l := range now.Links {
		if l.State == controlplane.LinkUp {
			up++
		}
	}
	return fmt.Sprintf("%s  up %s  links %d of %d up\n", now.Name, span(now.UptimeSeconds), up, len(now.Links)) +
		table("QUEUE\tOUT RECORDS/S\tPACKETS/S\tBITS\tIN RECORDS/S\tPACKETS/S\tBITS\tDROPPED/S", rows) + "\n"
}

func bits() []string { return []string{"b/s", "kb/s", "Mb/s", "Gb/s"} }

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/qzmq/gateway/controlplane"
)

func links(s *controlplane.Status) string {
	var rows []string
	for _, l := range s.Links {
		session, age, epoch, suite, address := "", "", "", "", l.Endpoint
		if c := l.Session; c != nil {
			session, age, epoch, suite, address = c.ID, span(c.AgeSeconds), fmt.Sprint(c.Epoch), c.Suite, c.Address
		}
		rows = append(rows, row(l.Name, l.State, session, age, epoch, l.Rotations,
			l.Sealed.Records, inBytes(l.Sealed.Bytes), l.Opened.Records, inBytes(l.Opened.Bytes), l.Forged, l.Mode, suite, address, l.Peer))
	}
	out := table("LINK\tSTATE\tSESSION\tAGE\tEPOCH\tROTATIONS\tSEALED RECORDS\tBYTES\tOPENED RECORDS\tBYTES\tFORGED\tMODE\tSUITE\tADDRESS\tPEER", rows)
	for _, l := range s.Links {
		if l.Failure != "" {
			out += fmt.Sprintf("%s: %s\n", l.Name, l.Failure)
		}
	}
	return out
}

func sessions(s *controlplane.Status) string {
	var rows []string
	for _, c := range s.Sessions {
		rows = append(rows, row(c.ID, c.Link, c.State, yes(c.Connected), span(c.AgeSeconds), c.Epoch, c.Address, c.WireMTU, c.InnerMTU,
			yes(c.Shares), yes(c.Dialled), yes(c.Resumed), c.Suite))
	}
	return table("SESSION\tLINK\tSTATE\tCONTROL\tAGE\tEPOCH\tADDRESS\tWIRE MTU\tINNER MTU\tSHARES\tDIALLED\tRESUMED\tSUITE", rows)
}

// queues shows what each worker carries and, under it, the spread: which streams
// of the peers arrive at it, and from which port ours leave.
func queues(s *controlplane.Status) string {
	var rows []string
	for _, q := range s.Queues {
		var arriving, leaving []string
		for _, a := range q.Arriving {
			arriving = append(arriving, fmt.Sprintf("%s/%d", a.Link, a.Stream))
		}
		for _, l := range q.Leaving {
			leaving = append(leaving, fmt.Sprintf("%s/%d:%d", l.Link, l.Stream, l.SourcePort))
		}
		rows = append(rows, row(q.Queue, q.Out.Records, inBytes(q.Out.Bytes), q.SharedOut, q.In.Records, inBytes(q.In.Bytes), q.SharedIn,
			q.Dropped, strings.Join(arriving, " "), strings.Join(leaving, " ")))
	}
	return table("QUEUE\tOUT RECORDS\tBYTES\tSHARED\tIN RECORDS\tBYTES\tSHARED\tDROPPED\tARRIVING (LINK/STREAM)\tLEAVING (LINK/STREAM:PORT)", rows)
}

// drops shows where packets have died: in a worker, in a steering program, or at a
// socket.
func drops(s *controlplane.Status) string {
	var rows []string
	add := func(where, reason string, n uint64) {
		if n > 0 {
			rows = append(rows, row(where, reason, n))
		}
	}
	for _, d := range s.Drops {
		add(fmt.Sprintf("queue %d", d.Queue), d.Reason, d.Packets)
	}
	for _, e := range s.Exits {
		if e.Drop {
			add("program "+e.Program, e.Exit, e.Packets)
		}
	}
	for _, k := range s.Features.Sockets {
		where := fmt.Sprintf("socket %s %d", k.Side, k.Queue)
		add(where, "receive_dropped", k.ReceiveDropped)
		add(where, "too_long", k.TooLong)
		add(where, "receive_ring_full", k.ReceiveRingFull)
		add(where, "refused", k.Refused)
		add(where, "send_refused", k.SendRefused)
	}
	if rows == nil {
		return "nothing was dropped\n"
	}
	return table("WHERE\tREASON\tPACKETS", rows)
}

// relays shows the relays and, under them, their peers and why connections did not come
// up or have ended.
func relays(s *controlplane.Status) string {
	if len(s.Relays) == 0 {
		return "no relays\n"
	}
	var rows, peers, reasons []string
	for _, r := range s.Relays {
		rows = append(rows, row(r.Name, r.Listen, r.Connect, r.Accepted, r.Open, r.Rotations))
		for _, p := range r.Peers {
			peers = append(peers, row(r.Name, p.Open, p.Connections, p.Sealed.Frames, inBytes(p.Sealed.Bytes),
				p.Opened.Frames, inBytes(p.Opened.Bytes), p.Name, p.Peer))
		}
		for _, what := range []struct {
			name   string
			counts map[string]uint64
		}{{"handshake", r.Handshakes}, {"end", r.Ended}} {
			for _, reason := range slices.Sorted(maps.Keys(what.counts)) {
				reasons = append(reasons, row(r.Name, what.name, reason, what.counts[reason]))
			}
		}
	}
	out := table("RELAY\tLISTEN\tCONNECT\tACCEPTED\tOPEN\tROTATIONS", rows)
	if peers != nil {
		out += "\n" + table("RELAY\tOPEN\tCONNECTIONS\tSEALED FRAMES\tBYTES\tOPENED FRAMES\tBYTES\tNAME\tPEER", peers)
	}
	if reasons != nil {
		out += "\n" + table("RELAY\tOF A\tRESULT\tCONNECTIONS", reasons)
	}
	return out
}

func features(s *controlplane.Status) string {
	f := &s.Features
	rows := []string{
		row("version", s.Version), row("go", f.GoVersion), row("kernel", f.Kernel),
		row("cpus", fmt.Sprintf("%d, %s", f.CPUs, f.Architecture)), row("cpu features", strings.Join(f.CPUFeatures, " ")),
		row("aead provider", f.AEADProvider), row("aead fault", f.AEADFault),
		row("workers", f.Workers), row("worker cpus", numbers(f.WorkerCPUs)),
		row("udp checksums", yes(f.UDPChecksum)), row("share records", yes(f.ShareRecords)),
	}
	out := table("FEATURE\tIN FORCE", rows) + "\n" + table("PORT\tIO CONFIGURED\tIN FORCE\tMEMORY\tBECAUSE", []string{
		row("inside", f.InsideIOConfigured, f.InsideIO, f.InsideIOMemory, f.InsideIOBecause),
		row("outside", f.OutsideIOConfigured, f.OutsideIO, f.OutsideIOMemory, f.OutsideIOBecause),
	})
	rows = nil
	for _, k := range f.Sockets {
		poll := "off"
		if k.BusyPollUS > 0 {
			poll = fmt.Sprintf("%d us", k.BusyPollUS)
		}
		rows = append(rows, row(k.Side, k.Kind, k.Interface, k.Queue, k.Attach, yes(k.ZeroCopy), yes(k.NeedWakeup), yes(k.HugePages), yes(k.MultiBuffer), poll,
			k.RingSize, fmt.Sprintf("%d B", k.FrameSize), fmt.Sprintf("%d B", k.LargestFrame), k.SendBudget))
	}
	return out + "\n" + table("SOCKET\tKIND\tINTERFACE\tQUEUE\tATTACHED\tZERO COPY\tNEED WAKEUP\tHUGE PAGES\tMULTI BUFFER\tBUSY POLL\tRING ENTRIES\tCHUNK\tLARGEST FRAME\tSEND BUDGET", rows)
}

func numbers(list []int) string { return strings.Trim(fmt.Sprint(list), "[]") }

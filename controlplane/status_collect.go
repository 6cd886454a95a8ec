package controlplane

import (
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"

	"github.com/qzmq/gateway/bpf"
	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/dataplane/superframe"
	"github.com/qzmq/gateway/dataplane/xsk"
	"github.com/qzmq/gateway/qzmq/record"
	"github.com/qzmq/gateway/qzmq/record/vaes"
)

// status reads everything anew. Nothing is locked for longer than one link takes,
// so its parts may be a moment apart.
func (g *gateway) status() (*Status, error) {
	s := &Status{
		Name: g.cfg.Gateway.Name, Version: version(), Fingerprint: g.peering.identity.Fingerprint().String(),
		Started: g.started.Round(0), UptimeSeconds: time.Since(g.started).Seconds(),
		Relays: g.relays.show(),
	}
	g.peering.show(s)
	for _, p := range []struct {
		name string
		read func() ([]bpf.Counter, error)
	}{{"inside", g.interfaces.inside.steer.Counters}, {"outside", g.interfaces.outside.steer.Counters}} {
		counters, err := p.read()
		if err != nil {
			return nil, err
		}
		for _, c := range counters {
			s.Exits = append(s.Exits, ExitStatus{p.name, c.Name, c.Drop, c.Packets, c.Bytes})
		}
	}
	var err error
	s.Features, err = g.features()
	return s, err
}

// show fills in links, sessions, queues and drops.
func (p *peering) show(s *Status) {
	now := sinceBoot()
	s.Links, s.Sessions, s.Queues, s.Drops = []LinkStatus{}, []SessionStatus{}, []QueueStatus{}, []DropStatus{}
	for i, q := range p.engine.Stats() {
		one := QueueStatus{
			Queue: i, Out: TrafficStatus(q.Out), In: TrafficStatus(q.In), SharedOut: q.SharedOut, SharedIn: q.SharedIn,
			ICMPErrors: q.Answered, Arriving: []ArrivingStatus{}, Leaving: []LeavingStatus{},
		}
		for _, d := range dataplane.Drops() {
			if n := q.Dropped[d]; n > 0 {
				one.Dropped += n
				s.Drops = append(s.Drops, DropStatus{i, d.String(), n})
			}
		}
		s.Queues = append(s.Queues, one)
	}
	links := p.policy.Load().links
	for _, name := range slices.Sorted(maps.Keys(links)) {
		links[name].show(s, now)
		for stream, port := range p.engine.SourcePorts(name) {
			q := &s.Queues[stream] // each worker seals the stream of its own number
			q.Leaving = append(q.Leaving, LeavingStatus{name, stream, port})
		}
	}
}

// show adds the link and its sessions, and their streams to the queues at which
// they arrive.
func (l *link) show(s *Status, now time.Duration) {
	engine, used := l.peering.engine, l.peering.engine.Usage(l.cfg.Name)
	l.mu.Lock()
	defer l.mu.Unlock()
	out := LinkStatus{
		Name: l.cfg.Name, Peer: l.peerName(), Mode: l.cfg.Mode.String(), State: LinkDown,
		SessionsUp: l.joined, Rotations: l.rotations,
		Sealed: TrafficStatus(used.Sealed), Opened: TrafficStatus(used.Opened), Forged: used.Forged, Failure: l.failure,
	}
	if l.cfg.Endpoint.IsValid() {
		out.Endpoint = l.cfg.Endpoint.String()
	}
	for _, c := range l.channels {
		one := c.show(now)
		if c == l.sealing {
			one.State, out.State = SessionSealing, LinkDataOnly
			if c.alive {
				out.State = LinkUp
			}
			out.Peer, out.Session = one.Peer, &one
		}
		s.Sessions = append(s.Sessions, one)
		for stream, a := range engine.Arrivals(c.id) {
			if a.Queue >= 0 && a.Queue < len(s.Queues) {
				q := &s.Queues[a.Queue]
				q.Arriving = append(q.Arriving, ArrivingStatus{out.Name, one.ID, stream, a.Records})
			}
		}
	}
	s.Links = append(s.Links, out)
}

// show describes a session; the link's lock is held.
func (c *channel) show(now time.Duration) SessionStatus {
	agreed := c.conn.Session()
	out := SessionStatus{
		ID: sessionName(c.id), Link: c.link.cfg.Name, State: SessionStandby, Connected: c.alive,
		Peer: agreed.Peer().String(), Address: c.path.Peer.String(), Suite: agreed.Suite().String(), AgeSeconds: (now - c.born).Seconds(),
		Dialled: c.dialled, Resumed: agreed.Resumed(), WireMTU: c.path.WireMTU,
		InnerMTU: c.path.WireMTU - dataplane.Overhead(c.path.Peer.Addr()), Shares: c.path.Shares,
	}
	if c.retired {
		out.State = SessionRetiring
	}
	for _, epoch := range c.link.peering.engine.Epochs(c.id) {
		out.Epoch = max(out.Epoch, int(epoch))
	}
	return out
}

func sessionName(id uint32) string { return fmt.Sprintf("%08x", id) }

// features says what is in force.
func (g *gateway) features() (FeatureStatus, error) {
	c := &g.cfg.Gateway
	provider, fault := record.Provider()
	inside, outside := &g.interfaces.inside, &g.interfaces.outside
	out := FeatureStatus{
		AEADProvider:       provider,
		InsideIOConfigured: string(inside.asked), InsideIO: string(inside.io), InsideIOBecause: inside.why, InsideIOMemory: inside.memory(),
		OutsideIOConfigured: string(outside.asked), OutsideIO: string(outside.io), OutsideIOBecause: outside.why, OutsideIOMemory: outside.memory(),
		UDPChecksum: c.Outside.UDPChecksum || c.Outside.Address.Is6() || outside.io == IOSuperframe, ShareRecords: c.ShareRecords,
		Workers: g.engine.Streams(), GoVersion: runtime.Version(), Architecture: runtime.GOARCH,
		CPUs: runtime.NumCPU(), CPUFeatures: cpuFeatures(), WorkerCPUs: append([]int{}, g.interfaces.cpus...), Sockets: []SocketStatus{},
	}
	if fault != nil {
		out.AEADFault = fault.Error()
	}
	var system unix.Utsname
	if err := unix.Uname(&system); err != nil {
		return out, fmt.Errorf("ask for the kernel's version: %w", err)
	}
	out.Kernel = unix.ByteSliceToString(system.Release[:])
	for _, side := range g.interfaces.sides() {
		for _, socket := range side.xsk {
			one, err := showSocket(side.name, side.mode, socket)
			if err != nil {
				return out, err
			}
			out.Sockets = append(out.Sockets, one)
		}
		for queue, socket := range side.super {
			out.Sockets = append(out.Sockets, showPacketSocket(side, queue, socket))
		}
	}
	return out, nil
}

// showPacketSocket shows one that speaks super-frames, which has no rings.
func showPacketSocket(side *ports, queue int, s *superframe.Socket) SocketStatus {
	stats := s.Stats()
	out := SocketStatus{
		Kind: "packet", Side: side.name, Interface: side.device, Queue: queue, Attach: side.mode,
		ReceivedPackets: stats.ReceivedPackets, ReceivedBytes: stats.ReceivedBytes,
		SentPackets: stats.SentPackets, SentBytes: stats.SentBytes, ReceiveDropped: stats.ReceiveDropped,
	}
	for _, r := range superframe.Refusals() {
		out.Refused += stats.Refused[r]
	}
	return out
}

func showSocket(side, mode string, s *xsk.Socket) (SocketStatus, error) {
	info := s.Info()
	stats, err := s.Stats()
	return SocketStatus{
		Kind: "af_xdp", Side: side, Interface: info.Interface, Queue: info.Queue, Attach: mode,
		ZeroCopy: info.ZeroCopy, NeedWakeup: info.NeedWakeup, HugePages: info.HugePages, MultiBuffer: info.MultiBuffer, BusyPollUS: info.BusyPoll.Microseconds(),
		RingSize: info.RingSize, FrameSize: info.FrameSize, LargestFrame: info.MaxReceive, SendBudget: info.SendBudget,
		ReceivedPackets: stats.ReceivedPackets, ReceivedBytes: stats.ReceivedBytes,
		SentPackets: stats.SentPackets, SentBytes: stats.SentBytes,
		ReceiveDropped: stats.Kernel.ReceiveDropped, TooLong: stats.TooLong, ReceiveRingFull: stats.Kernel.ReceiveRingFull, SendRefused: stats.Errors.Busy,
	}, err
}

// version is what the Go tool has stamped into the program.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}

// cpuFeatures lists what this CPU has of that which makes ciphers and hashes fast.
func cpuFeatures() []string {
	found := []string{}
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"aes", cpu.X86.HasAES}, {"pclmulqdq", cpu.X86.HasPCLMULQDQ}, {"avx", cpu.X86.HasAVX}, {"avx2", cpu.X86.HasAVX2},
		{"avx512f", cpu.X86.HasAVX512F}, {"avx512vl", cpu.X86.HasAVX512VL}, {"avx512bw", cpu.X86.HasAVX512BW},
		{"vaes", vaes.Supported()}, {"vpclmulqdq", vaes.Supported()}, // package cpu sees them only beside AVX-512
		{"aes", cpu.ARM64.HasAES}, {"pmull", cpu.ARM64.HasPMULL}, {"sha2", cpu.ARM64.HasSHA2}, {"sha3", cpu.ARM64.HasSHA3},
	} {
		if f.has {
			found = append(found, f.name)
		}
	}
	return found
}

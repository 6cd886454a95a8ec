package controlplane

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/qzmq/gateway/bpf"
	"github.com/qzmq/gateway/dataplane"
	"github.com/qzmq/gateway/dataplane/superframe"
	"github.com/qzmq/gateway/dataplane/xsk"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// handshakeMeter counts handshakes as they end.
type handshakeMeter struct {
	count *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

func newHandshakeMeter() *handshakeMeter {
	return &handshakeMeter{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "qzmq_handshakes_total", Help: "Handshakes that ended, by the part we took and how they ended.",
		}, []string{"role", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "qzmq_handshake_seconds", Help: "Time of finished handshakes, from the ClientHello on.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"role"}),
	}
}

// Describe implements prometheus.Collector.
func (m *handshakeMeter) Describe(d chan<- *prometheus.Desc) { m.count.Describe(d); m.took.Describe(d) }

// Collect implements prometheus.Collector.
func (m *handshakeMeter) Collect(c chan<- prometheus.Metric) { m.count.Collect(c); m.took.Collect(c) }

// done counts one handshake. The result of a failure is the alert's name, of
// which there are few.
func (m *handshakeMeter) done(role string, conn *zmtp.Conn, err error) {
	if err != nil {
		m.count.WithLabelValues(role, handshakeResult(err)).Inc()
		return
	}
	m.count.WithLabelValues(role, "ok").Inc()
	m.took.WithLabelValues(role).Observe(conn.HandshakeTime().Seconds())
}

func (m *handshakeMeter) refused(result string) { m.count.WithLabelValues("responder", result).Inc() }

// collector reads everything else when it is asked.
type collector struct{ g *gateway }

var (
	queueLabels = []string{"queue", "direction"}
	linkLabels  = []string{"link", "direction"}
	ioLabels    = []string{"interface", "configured", "io", "memory", "because"}

	queuePackets = desc("queue_packets_total", "Records sealed (out) and opened (in).", queueLabels...)
	queueBytes   = desc("queue_bytes_total", "Bytes of inner packets sealed (out) and opened (in).", queueLabels...)
	drops        = desc("drops_total", "Packets that died in the dataplane, by reason.", "queue", "reason")
	shared       = desc("queue_shared_packets_total", "Packets that came second or later in their record, sealed (out) and opened (in).", queueLabels...)
	answered     = desc("icmp_errors_total", "ICMP errors sent for packets that could not be carried.", "queue")

	turnsTaken = desc("handshake_turns_total", "Turns at public-key work that callers have taken, were refused because too many waited, or gave up.", "caller", "result")
	turnsWait  = desc("handshake_turn_wait_longest_seconds", "The longest that a turn at public-key work was waited for.", "caller")

	linkUp      = desc("link_up", "1 while the link has a control connection and keys.", "link", "peer")
	linkRecords = desc("link_packets_total", "Records sealed (out) and opened (in) for a link.", linkLabels...)
	linkBytes   = desc("link_bytes_total", "Bytes of inner packets for a link.", linkLabels...)
	linkForged  = desc("link_forged_total", "Records of the link's sessions that were not authentic.", "link")
	sessionAge  = desc("link_session_age_seconds", "Age of the keys that seal for the link.", "link")

	relayAccepted   = desc("relay_connections_total", "Connections that a relay has accepted.", "relay")
	relayOpen       = desc("relay_open", "Connections that are up, by peer.", "relay", "peer")
	relayHandshakes = desc("relay_handshakes_total", "Connections that came up (ok), or why they did not.", "relay", "result")
	relayTook       = desc("relay_handshake_seconds_total", "Time in the handshakes that came to a session.", "relay")
	relayRotations  = desc("relay_rotations_total", "Sessions that were replaced, or should have been.", "relay", "result")
	relayEnded      = desc("relay_ended_total", "Connections that were up and are not, by reason.", "relay", "reason")
	relayFrames     = desc("relay_frames_total", "Frames sealed (out) for a peer and opened (in).", "relay", "peer", "direction")
	relayBytes      = desc("relay_bytes_total", "Bytes of frames sealed (out) for a peer and opened (in).", "relay", "peer", "direction")

	steered      = desc("steering_packets_total", "Packets at each exit of the XDP programs.", "program", "exit")
	steeredBytes = desc("steering_bytes_total", "Bytes of frames at each exit of the XDP programs.", "program", "exit")

	aeadInfo = desc("aead_provider_info", "What seals and opens; always 1.", "provider")

	insideIO     = desc("inside_io_info", "How packets are exchanged with the inside; always 1.", ioLabels...)
	outsideIO    = desc("outside_io_info", "How packets are exchanged with the outside; always 1.", ioLabels...)
	socketInfo   = desc("socket_info", "How each AF_XDP socket works; always 1.", "interface", "side", "queue", "attach", "zero_copy", "need_wakeup", "huge_pages", "max_frame")
	workerCPU    = desc("worker_cpu", "The CPU that a worker keeps to; absent where the scheduler chooses.", "queue")
	socketEvents = desc("socket_events_total", "What happened to each AF_XDP or packet socket.", "side", "queue", "event")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("qzmq_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(d chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{
		queuePackets, queueBytes, shared, drops, answered, linkUp, linkRecords, linkBytes, linkForged, sessionAge,
		steered, steeredBytes, aeadInfo, insideIO, outsideIO, socketInfo, socketEvents, workerCPU, turnsTaken, turnsWait,
	} {
		d <- one
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for i, s := range c.g.engine.Stats() {
		queue := strconv.Itoa(i)
		count(queuePackets, s.Out.Records, queue, "out")
		count(queuePackets, s.In.Records, queue, "in")
		count(queueBytes, s.Out.Bytes, queue, "out")
		count(queueBytes, s.In.Bytes, queue, "in")
		count(shared, s.SharedOut, queue, "out")
		count(shared, s.SharedIn, queue, "in")
		count(answered, s.Answered, queue)
		for _, d := range dataplane.Drops() {
			count(drops, s.Dropped[d], queue, d.String())
		}
	}
	for _, l := range c.g.peering.policy.Load().links {
		name, up, born := l.state()
		used := c.g.engine.Usage(name)
		gauge(linkUp, up, name, l.peerName())
		count(linkRecords, used.Sealed.Records, name, "out")
		count(linkRecords, used.Opened.Records, name, "in")
		count(linkBytes, used.Sealed.Bytes, name, "out")
		count(linkBytes, used.Opened.Bytes, name, "in")
		count(linkForged, used.Forged, name)
		if born != 0 {
			gauge(sessionAge, (sinceBoot() - born).Seconds(), name)
		}
	}
	strangers, known := c.g.peering.turns.Stats()
	for caller, s := range map[string]zmtp.TurnStats{"stranger": strangers, "known": known} {
		count(turnsTaken, s.Taken, caller, "taken")
		count(turnsTaken, s.Refused, caller, "refused")
		count(turnsTaken, s.Late, caller, "late")
		gauge(turnsWait, s.Longest.Seconds(), caller)
	}
	c.relays(count, gauge)
	for _, p := range []struct {
		name string
		read func() ([]bpf.Counter, error)
	}{{"inside", c.g.interfaces.inside.steer.Counters}, {"outside", c.g.interfaces.outside.steer.Counters}} {
		counters, err := p.read()
		if err != nil {
			out <- prometheus.NewInvalidMetric(steered, err)
			continue
		}
		for _, one := range counters {
			count(steered, one.Packets, p.name, one.Name)
			count(steeredBytes, one.Bytes, p.name, one.Name)
		}
	}
	provider, _ := record.Provider()
	gauge(aeadInfo, 1, provider)
	for i, cpu := range c.g.interfaces.cpus {
		gauge(workerCPU, float64(cpu), strconv.Itoa(i))
	}
	for i, side := range c.g.interfaces.sides() {
		gauge([]*prometheus.Desc{insideIO, outsideIO}[i], 1, side.device, string(side.asked), string(side.io), side.memory(), side.why)
		for i, s := range side.xsk {
			c.socket(out, side.name, i, s, side.mode)
		}
		for i, s := range side.super {
			c.superframes(out, side.name, i, s)
		}
	}
}

// relays gives the figures of each relay, and of each of its peers.
func (c *collector) relays(count func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, float64, ...string)) {
	for _, r := range c.g.relays.list() {
		s, name := r.Stats(), r.Name()
		count(relayAccepted, s.Accepted, name)
		for result, n := range s.Handshakes {
			count(relayHandshakes, n, name, result)
		}
		gauge(relayTook, s.HandshakeTime.Seconds(), name)
		count(relayRotations, s.Rotations, name, "ok")
		count(relayRotations, s.RotationsFailed, name, "failed")
		for reason, n := range s.Ended {
			count(relayEnded, n, name, reason)
		}
		for _, p := range s.Peers {
			peer := p.Peer.String()
			gauge(relayOpen, float64(p.Open), name, peer)
			count(relayFrames, p.Sealed.Frames, name, peer, "out")
			count(relayFrames, p.Opened.Frames, name, peer, "in")
			count(relayBytes, p.Sealed.Bytes, name, peer, "out")
			count(relayBytes, p.Opened.Bytes, name, peer, "in")
		}
	}
}

func (c *collector) socket(out chan<- prometheus.Metric, side string, queue int, s *xsk.Socket, mode string) {
	q, info := strconv.Itoa(queue), s.Info()
	out <- prometheus.MustNewConstMetric(socketInfo, prometheus.GaugeValue, 1, info.Interface, side, q, mode,
		strconv.FormatBool(info.ZeroCopy), strconv.FormatBool(info.NeedWakeup), strconv.FormatBool(info.HugePages),
		strconv.Itoa(info.MaxReceive))
	stats, err := s.Stats()
	if err != nil {
		out <- prometheus.NewInvalidMetric(socketEvents, err)
		return
	}
	for _, e := range []struct {
		name string
		n    uint64
	}{
		{"received", stats.ReceivedPackets}, {"sent", stats.SentPackets},
		{"kick", stats.Kicks}, {"receive_wakeup", stats.ReceiveWakeups}, {"device_full", stats.DeviceFull},
		{"bad_descriptor", stats.BadDescriptors}, {"too_long", stats.TooLong},
		{"send_busy", stats.Errors.Busy}, {"send_no_buffers", stats.Errors.NoBuffers}, {"send_down", stats.Errors.Down},
		{"send_gone", stats.Errors.Gone}, {"send_interrupted", stats.Errors.Interrupted}, {"send_other", stats.Errors.Other},
		{"receive_dropped", stats.Kernel.ReceiveDropped}, {"receive_invalid", stats.Kernel.ReceiveInvalid},
		{"receive_ring_full", stats.Kernel.ReceiveRingFull}, {"fill_ring_empty", stats.Kernel.FillRingEmpty},
		{"send_invalid", stats.Kernel.SendInvalid}, {"send_ring_empty", stats.Kernel.SendRingEmpty},
	} {
		out <- prometheus.MustNewConstMetric(socketEvents, prometheus.CounterValue, float64(e.n), side, q, e.name)
	}
}

// superframes shows a packet socket.
func (c *collector) superframes(out chan<- prometheus.Metric, side string, queue int, s *superframe.Socket) {
	stats, q := s.Stats(), strconv.Itoa(queue)
	show := func(event string, n uint64) {
		out <- prometheus.MustNewConstMetric(socketEvents, prometheus.CounterValue, float64(n), side, q, event)
	}
	show("received", stats.ReceivedPackets)
	show("received_frames", stats.ReceivedFrames)
	show("sent", stats.SentPackets)
	show("sent_frames", stats.SentFrames)
	show("receive_dropped", stats.ReceiveDropped)
	for _, r := range superframe.Refusals() {
		show(r.String(), stats.Refused[r])
	}
}

// state is what metrics show of a link: whether it is up, and since when its
// keys exist, by sinceBoot; 0 without keys.
func (l *link) state() (name string, up float64, born time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sealing != nil {
		born = l.sealing.born
		if l.sealing.alive {
			up = 1
		}
	}
	return l.cfg.Name, up, born
}

// handshakeResult names a failure by its alert, or says that there was none.
func handshakeResult(err error) string {
	if errors.Is(err, zmtp.ErrBusy) {
		return "too_many_waiting"
	}
	var e *handshake.Error
	if errors.As(err, &e) {
		return e.Alert.String()
	}
	return "no_answer"
}

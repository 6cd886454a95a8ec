package controlplane

import "time"

// Status is what /status answers: how the gateway is, without a secret. Its JSON
// is a contract: keys are added, none is renamed, and lists are never null. Ages
// are in seconds, traffic is counted since the start.
type Status struct {
	Name          string          `json:"name"`
	Version       string          `json:"version"` // of the program, as the Go tool stamps it
	Fingerprint   string          `json:"fingerprint"`
	Started       time.Time       `json:"started"`
	UptimeSeconds float64         `json:"uptime_seconds"`
	Links         []LinkStatus    `json:"links"`    // by name
	Sessions      []SessionStatus `json:"sessions"` // of each link, oldest first
	Queues        []QueueStatus   `json:"queues"`
	Drops         []DropStatus    `json:"drops"`
	Exits         []ExitStatus    `json:"exits"`
	Relays        []RelayStatus   `json:"relays"` // by name
	Features      FeatureStatus   `json:"features"`
}

// TrafficStatus counts records, and the bytes of the inner packets in them.
type TrafficStatus struct {
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
}

// LinkState is how much of a link there is.
type LinkState string

const (
	LinkUp       LinkState = "up"
	LinkDataOnly LinkState = "data_only" // it carries packets, the control connection is away
	LinkDown     LinkState = "down"      // no keys: its packets are dropped
)

// LinkStatus is one peer. What belongs to its session is absent without one.
type LinkStatus struct {
	Name       string         `json:"name"`
	Peer       string         `json:"peer"`     // its fingerprint, or its name while only that is known
	Endpoint   string         `json:"endpoint"` // empty: this side only listens
	Mode       string         `json:"mode"`     // the least that is asked of the peer
	State      LinkState      `json:"state"`
	Session    *SessionStatus `json:"session,omitempty"` // the one that seals
	SessionsUp uint64         `json:"sessions_up"`       // set up since the start
	Rotations  uint64         `json:"rotations"`         // of these, beside one that worked: make before break
	Sealed     TrafficStatus  `json:"sealed"`
	Opened     TrafficStatus  `json:"opened"`
	Forged     uint64         `json:"forged"`
	Failure    string         `json:"failure"` // why there is no session, as last logged; empty with one
}

// SessionState is what a session is used for.
type SessionState string

const (
	SessionSealing  SessionState = "sealing"
	SessionStandby  SessionState = "standby"  // it only opens; another one seals
	SessionRetiring SessionState = "retiring" // replaced: late records are opened for a moment
)

// SessionStatus is one set of keys.
type SessionStatus struct {
	ID         string       `json:"id"` // 8 hexadecimal digits; it stands in each record that the peer sends
	Link       string       `json:"link"`
	State      SessionState `json:"state"`
	Connected  bool         `json:"connected"` // the control connection is there
	Peer       string       `json:"peer"`      // the fingerprint that was proved
	Address    string       `json:"address"`   // where its records go: address and UDP port
	Suite      string       `json:"suite"`
	AgeSeconds float64      `json:"age_seconds"`
	Epoch      int          `json:"epoch"`   // the highest that one of our streams seals under
	Dialled    bool         `json:"dialled"` // by this side
	Resumed    bool         `json:"resumed"` // by a ticket, without signatures
	WireMTU    int          `json:"wire_mtu"`
	InnerMTU   int          `json:"inner_mtu"`
	Shares     bool         `json:"shares"` // small packets share records
}

// QueueStatus is one worker and what passes through it.
type QueueStatus struct {
	Queue      int           `json:"queue"`
	Out        TrafficStatus `json:"out"` // sealed
	In         TrafficStatus `json:"in"`  // opened
	SharedOut  uint64        `json:"shared_out"`
	SharedIn   uint64        `json:"shared_in"` // packets that came second or later in their record
	ICMPErrors uint64        `json:"icmp_errors"`
	Dropped    uint64        `json:"dropped"` // packets, for all reasons
	// Arriving are the peers' streams whose last record was opened here; one that
	// has carried nothing is at no queue.
	Arriving []ArrivingStatus `json:"arriving"`
	// Leaving are our streams that are sealed here, one for each link with keys.
	Leaving []LeavingStatus `json:"leaving"`
}

// ArrivingStatus is a stream of a peer, in one session.
type ArrivingStatus struct {
	Link    string `json:"link"`
	Session string `json:"session"`
	Stream  int    `json:"stream"`
	Records uint64 `json:"records"`
}

// LeavingStatus is a stream of ours. The peer's network card chooses its queue by
// the source port, among other things.
type LeavingStatus struct {
	Link       string `json:"link"`
	Stream     int    `json:"stream"`
	SourcePort uint16 `json:"source_port"`
}

// DropStatus counts the packets that died in a worker for one reason. Reasons that
// none has died for are left out; /metrics has all.
type DropStatus struct {
	Queue   int    `json:"queue"`
	Reason  string `json:"reason"`
	Packets uint64 `json:"packets"`
}

// ExitStatus counts the packets that left a steering program by one exit.
type ExitStatus struct {
	Program string `json:"program"` // inside or outside
	Exit    string `json:"exit"`
	Drop    bool   `json:"drop"` // they were dropped
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"` // of whole frames
}

// FeatureStatus is what is in force, and where that is not what was asked for, both.
type FeatureStatus struct {
	AEADProvider        string         `json:"aead_provider"`
	AEADFault           string         `json:"aead_fault"`           // why that is not the faster one that this processor has; else empty
	InsideIOConfigured  string         `json:"inside_io_configured"` // auto, xdp or superframe
	InsideIO            string         `json:"inside_io"`            // xdp or superframe
	InsideIOBecause     string         `json:"inside_io_because"`
	InsideIOMemory      string         `json:"inside_io_memory"`      // of xdp: zero copy, copy, or mixed where queues differ; else empty
	OutsideIOConfigured string         `json:"outside_io_configured"` // these four as those of the inside
	OutsideIO           string         `json:"outside_io"`
	OutsideIOBecause    string         `json:"outside_io_because"`
	OutsideIOMemory     string         `json:"outside_io_memory"`
	UDPChecksum         bool           `json:"udp_checksum"`  // outer UDP checksums are computed
	ShareRecords        bool           `json:"share_records"` // offered to peers
	Workers             int            `json:"workers"`
	WorkerCPUs          []int          `json:"worker_cpus"` // by queue; empty: the scheduler chooses
	GoVersion           string         `json:"go_version"`
	Kernel              string         `json:"kernel"`
	Architecture        string         `json:"architecture"`
	CPUs                int            `json:"cpus"`         // that this process may use
	CPUFeatures         []string       `json:"cpu_features"` // those that ciphers use
	Sockets             []SocketStatus `json:"sockets"`
}

// SocketStatus is one socket: how it works, and what it has lost before a worker saw
// it. A packet socket, which speaks super-frames, has neither rings nor chunks.
type SocketStatus struct {
	Kind         string `json:"kind"` // af_xdp or packet
	Side         string `json:"side"` // inside or outside
	Interface    string `json:"interface"`
	Queue        int    `json:"queue"`
	Attach       string `json:"attach"` // of the steering program: native or generic
	ZeroCopy     bool   `json:"zero_copy"`
	NeedWakeup   bool   `json:"need_wakeup"`
	HugePages    bool   `json:"huge_pages"`
	MultiBuffer  bool   `json:"multi_buffer"` // frames may lie in several chunks
	BusyPollUS   int64  `json:"busy_poll_us"` // 0: off
	RingSize     int    `json:"ring_size"`    // entries in each ring
	FrameSize    int    `json:"frame_size"`   // bytes of a chunk
	LargestFrame int    `json:"largest_frame"`
	SendBudget   int    `json:"send_budget"` // packets in one call of copy mode

	ReceivedPackets uint64 `json:"received_packets"`
	ReceivedBytes   uint64 `json:"received_bytes"`
	SentPackets     uint64 `json:"sent_packets"`
	SentBytes       uint64 `json:"sent_bytes"`
	ReceiveDropped  uint64 `json:"receive_dropped"`   // by the kernel, too long for one
	TooLong         uint64 `json:"too_long"`          // longer than largest_frame in several chunks, or a part was lost
	ReceiveRingFull uint64 `json:"receive_ring_full"` // the worker came too late
	Refused         uint64 `json:"refused"`           // frames that a packet socket could not take apart or put together
	SendRefused     uint64 `json:"send_refused"`      // by the device
}

// RelayStatus is one relay, counted since it began.
type RelayStatus struct {
	Name       string            `json:"name"`
	Listen     string            `json:"listen"`
	Connect    string            `json:"connect"`
	Accepted   uint64            `json:"accepted"`   // connections
	Open       int               `json:"open"`       // that are up
	Handshakes map[string]uint64 `json:"handshakes"` // that ended, by how; "ok" came up
	Rotations  uint64            `json:"rotations"`
	Ended      map[string]uint64 `json:"ended"` // connections that were up, by why
	Peers      []RelayPeerStatus `json:"peers"` // by fingerprint
}

// RelayPeerStatus is one peer of a relay. Traffic counts frames of messages.
type RelayPeerStatus struct {
	Peer        string      `json:"peer"`
	Name        string      `json:"name"` // by the authorised keys; empty if it has none
	Connections uint64      `json:"connections"`
	Open        int         `json:"open"`
	Sealed      FrameStatus `json:"sealed"`
	Opened      FrameStatus `json:"opened"`
}

// FrameStatus counts frames of messages, and the bytes of all frames.
type FrameStatus struct {
	Frames uint64 `json:"frames"`
	Bytes  uint64 `json:"bytes"`
}

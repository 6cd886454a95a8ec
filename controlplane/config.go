package controlplane

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// Config is one gateway's configuration, checked and complete: defaults are
// filled in and every value has passed the checks of decode.go, so nobody who
// holds a Config has to look for mistakes in it again. It is a plain value;
// whoever got it from Load or Parse owns it.
type Config struct {
	Gateway GatewayConfig
	QZMQ    QZMQConfig
	Links   []LinkConfig // in the order of the file; names are unique
	Relays  []RelayConfig

	// Where mistakes are reported that only show once the identity is read.
	// They are kept apart from the fields above, so that a link that merely
	// moved to another line compares equal at a reload.
	file         string
	identityLine int
	suiteLine    int   // of qzmq.default_suite
	peerLines    []int // of Links[i].Peer, or of PeerName where that is all there is

	certificateLine, keysLine int   // 0 if the file does not have them
	authorityLines            []int // of QZMQ.Authorities[i]
	knockLine                 int   // of gateway.knock, 0 if the file does not have it
	knockLines                []int // of Links[i].Knock, or of the link
}

// GatewayConfig says which machine this is and where its traffic passes.
type GatewayConfig struct {
	Name     string // for logs, metrics and the peer's status
	Identity string // path of the key file, from the working directory if relative
	// Certificate is the path of what an authority says of the identity, shown to
	// every peer; empty for none.
	Certificate string
	// Knock is the path of a secret that callers have to know before they are
	// answered, beside the fingerprint; empty for none.
	Knock    string
	Inside   InsideConfig
	Outside  OutsideConfig
	Workers  int // 0: one per queue, the default
	Attach   AttachMode
	ZeroCopy ZeroCopyMode
	BusyPoll time.Duration // whole microseconds, 0 (the default) is off
	Pin      PinMode
	RSS      RSSMode
	// ShareRecords lets small packets of one batch travel in one record, to peers
	// that do so too; true by default.
	ShareRecords bool
	Admin        AdminConfig
}

// InsideConfig is the interface on which the protected hosts are.
type InsideConfig struct {
	Interface string
	IO        IO
}

// OutsideConfig is the interface towards the peers, and the address by which
// they know this gateway.
type OutsideConfig struct {
	Interface string
	IO        IO
	Address   netip.Addr // IPv4 or IPv6, without a zone
	Port      uint16     // TCP for control and UDP for data, DefaultPort
	// UDPChecksum has UDP checksums sent on IPv4, false by default: the tag
	// protects more. On IPv6, and with super-frames, they are always sent.
	UDPChecksum bool
}

// AdminConfig is where the operator asks how things are.
type AdminConfig struct {
	Listen netip.AddrPort // HTTP, 127.0.0.1:9580; port 0 lets the kernel choose
	Socket string         // path of a unix socket for root alone, DefaultSocket
}

// QZMQConfig is how this gateway protects what it carries.
type QZMQConfig struct {
	Mode         handshake.Mode  // the least that suites and peers must meet; handshake.ModeHybrid
	DefaultSuite handshake.Suite // one that Mode admits; handshake.DefaultSuite
	KeyRotation  RotationConfig
	AntiDoS      AntiDoSConfig
	Resumption   ResumptionConfig

	// Where names of peers come from: the public files of authorities, whose
	// certificates are believed, and a file of keys with their names. Both may be
	// empty when links pin their peers.
	Authorities    []string
	AuthorisedKeys string
}

// RotationConfig says when a session is replaced by a new one: as soon as any
// of the three is reached.
type RotationConfig struct {
	MaxMessages uint64        // records, DefaultMaxMessages
	MaxBytes    uint64        // bytes of payload, DefaultMaxBytes
	MaxAge      time.Duration // whole seconds, DefaultMaxAge
}

// AntiDoSConfig bounds what callers who have proved nothing can cost.
type AntiDoSConfig struct {
	CookieTimeout time.Duration // how long a cookie is good for; whole seconds, DefaultCookieTimeout
	MaxConcurrent int           // handshakes at once, DefaultMaxConcurrent
	Cookie        CookieMode
}

// CookieMode is when callers have to show that they receive what is sent to
// their address, before any public-key work is done for them.
type CookieMode string

const (
	CookieAuto CookieMode = "auto" // the default: when many handshakes are under way
	CookieOn   CookieMode = "on"
	CookieOff  CookieMode = "off"
)

// ResumptionConfig is about reconnecting after a control connection was lost:
// without signatures, under keys that a ticket of the last session names.
type ResumptionConfig struct {
	Enabled        bool          // true by default
	TicketLifetime time.Duration // since the last signed handshake; whole seconds, DefaultTicketLifetime
}

// LinkConfig is one peer gateway and the traffic that goes to it.
type LinkConfig struct {
	Name     string
	Peer     handshake.Fingerprint // of the peer's identity, unique among the links; zero if only its name is known
	PeerName string                // by certificate or authorised key, unique among the links; with Peer both must be right
	Endpoint netip.AddrPort        // the zero value: this side only listens
	Knock    string                // path of what the peer's gateway.knock holds; empty for none
	Routes   []netip.Prefix        // masked; no other link has an equal one
	Services []ServiceConfig       // nil: all traffic to Routes is protected
	Other    OtherTraffic          // traffic to Routes that no service names
	Mode     handshake.Mode        // required of this peer; the gateway's
	Suite    handshake.Suite       // the only one for this peer, whose key is for Suite.Sig; the gateway's
	Phase    Phase
}

// ServiceConfig names ports whose traffic a link protects.
type ServiceConfig struct {
	Name  string // unique in its link
	Ports []PortRange
}

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// String writes the range as the configuration does: 5555 or 5555-5560.
func (r PortRange) String() string {
	if r.First == r.Last {
		return strconv.Itoa(int(r.First))
	}
	return strconv.Itoa(int(r.First)) + "-" + strconv.Itoa(int(r.Last))
}

// IO is how the gateway exchanges packets with one of its interfaces.
type IO string

const (
	IOAuto       IO = "auto"       // the default: super-frames where the interface is a virtual one
	IOXDP        IO = "xdp"        // AF_XDP
	IOSuperframe IO = "superframe" // packet sockets, offloads left on
)

// AttachMode is how the XDP programs are attached.
type AttachMode string

const (
	AttachAuto    AttachMode = "auto" // the default: native where the driver has it, else generic
	AttachNative  AttachMode = "native"
	AttachGeneric AttachMode = "generic"
)

// ZeroCopyMode is whether the NIC works in our memory without a copy.
type ZeroCopyMode string

const (
	ZeroCopyAuto ZeroCopyMode = "auto" // the default: where the driver has it
	ZeroCopyOn   ZeroCopyMode = "on"   // the gateway does not start without it
	ZeroCopyOff  ZeroCopyMode = "off"
)

// PinMode is whether each worker keeps to one CPU.
type PinMode string

const (
	PinAuto PinMode = "auto" // the default: where there are more CPUs than workers
	PinOn   PinMode = "on"   // the gateway does not start with fewer CPUs than workers
	PinOff  PinMode = "off"
)

// RSSMode is whether the outside's driver is told to spread records over its
// queues by their ports.
type RSSMode string

const (
	RSSAuto RSSMode = "auto" // the default: with several queues, where the driver can
	RSSOff  RSSMode = "off"  // it is left as it is
)

// OtherTraffic is what happens to packets that go to a link's routes but belong
// to none of its services.
type OtherTraffic string

const (
	OtherPass OtherTraffic = "pass" // the default: the kernel forwards it in the clear
	OtherDrop OtherTraffic = "drop"
)

// Phase is how far a link is rolled out.
type Phase string

// PhaseEnforce, the default, protects all of the link's traffic and lets none
// of it pass in the clear.
const PhaseEnforce Phase = "enforce"

// What applies where the file says nothing.
const (
	DefaultPort        = 5580
	DefaultMaxMessages = 1 << 32
	DefaultMaxBytes    = 1 << 40
	DefaultMaxAge      = 600 * time.Second

	DefaultCookieTimeout  = 60 * time.Second
	DefaultMaxConcurrent  = 10_000
	DefaultTicketLifetime = 24 * time.Hour

	DefaultSocket = "/run/qzmq/gateway.sock"
)

const (
	mostCookieTimeout  = 24 * time.Hour
	mostConcurrent     = 1_000_000
	mostTicketLifetime = 7 * 24 * time.Hour
)

// What a rotation may be put off to. A stream has 256 epochs of at most 2^27
// records and 2^34 blocks of 16 bytes; half of that leaves room for the session
// that takes over to come up late.
const (
	mostMessages = 256 << 27 / 2
	mostBytes    = 256 << 34 * 16 / 2
	mostAge      = 24 * time.Hour
)

const (
	_ = uint64(mostMessages - DefaultMaxMessages)
	_ = uint64(mostBytes - DefaultMaxBytes)
	_ = uint64(mostAge - DefaultMaxAge)
)

package qzmq

import (
	"time"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

// settings are a socket's options, by their names in option.go.
type settings struct {
	sndHWM, rcvHWM     int // messages for each peer; 0 is no limit
	sndBytes, rcvBytes int // bytes for each peer, besides; negative for what is usual
	subBytes           int // of a peer's subscriptions; 0 is no limit
	maxMessage         int64

	linger, rcvTimeout, sndTimeout            time.Duration // negative is for ever
	reconnect, reconnectMax                   time.Duration
	handshake                                 time.Duration
	heartbeat, heartbeatTimeout, heartbeatTTL time.Duration

	routingID []byte
	peer      Fingerprint
	role      Role

	drops                            bool // what there is no room for, unless xpubNodrop; the socket's kind
	conflate, immediate, probeRouter bool
	routerMandatory, routerHandover  bool
	reqRelaxed, reqCorrelate         bool
	xpubVerbose, xpubVerboser        bool
	xpubManual, xpubNodrop           bool
	xsubVerbose, invertMatching      bool
	xpubWelcome                      []byte
}

// defaults are libzmq's where it has any, but for three: limits in bytes, since a
// thousand large messages, or subscriptions without end, are more than a machine may
// have; reconnecting ever more
// slowly; and linger, which is the Transport's.
func (o *Options) defaults() settings {
	s := settings{
		sndHWM: 1000, rcvHWM: 1000, sndBytes: -1, rcvBytes: -1, subBytes: 64 << 20,
		maxMessage: zmtp.DefaultMaxMessage,
		linger:     o.Timeouts.Linger, rcvTimeout: -1, sndTimeout: -1,
		reconnect: 100 * time.Millisecond, reconnectMax: 2 * time.Second,
		handshake: o.Timeouts.Handshake, heartbeat: o.Timeouts.Heartbeat, heartbeatTimeout: -1,
		peer: o.Peer, role: o.Role,
	}
	if s.handshake == 0 {
		s.handshake = 30 * time.Second
	}
	return s
}

// Usual limits in bytes. Who waits for room had better wait soon: what stands in a queue
// has left the processor's caches by the time that it is taken. Who drops may have to
// take many messages at once.
const (
	waitingBytes  = 2 << 20
	droppingBytes = 16 << 20
)

// ofBytes is a limit where it was set, and the usual one where it was not.
func (s *settings) ofBytes(set int) int {
	switch {
	case set >= 0:
		return set
	case s.drops && !s.xpubNodrop:
		return droppingBytes
	}
	return waitingBytes
}

func (s *settings) sendLimits() limits {
	return limitsOf(s.sndHWM, s.ofBytes(s.sndBytes), s.conflate)
}

func (s *settings) receiveLimits() limits {
	return limitsOf(s.rcvHWM, s.ofBytes(s.rcvBytes), s.conflate)
}

// limitsOf leaves who asks for no limit of messages without one of bytes.
func limitsOf(messages, bytes int, conflate bool) limits {
	if messages == 0 {
		bytes = 0
	}
	return limits{messages: messages, bytes: bytes, conflate: conflate}
}

// both are the limits of a queue that two sockets of a process have together.
func (l limits) both(other limits) limits {
	sum := limits{conflate: l.conflate || other.conflate}
	if l.messages > 0 && other.messages > 0 {
		sum.messages = l.messages + other.messages
	}
	if l.bytes > 0 && other.bytes > 0 {
		sum.bytes = l.bytes + other.bytes
	}
	return sum
}

package qzmq

import (
	"sync/atomic"
	"time"
)

// Stats are the figures of a Transport, of all its sockets together since it was made.
// Under InsecurePlaintext, and inproc, nothing is encrypted and nothing counted here
// but bytes.
type Stats struct {
	HandshakesCompleted uint64
	HandshakesResumed   uint64 // of those, with a ticket
	HandshakesFailed    uint64
	AuthFailures        uint64 // of those, because of who somebody is
	MessagesEncrypted   uint64
	MessagesDecrypted   uint64
	BytesSent           uint64 // of messages and their frames
	BytesReceived       uint64
	KeyRotations        uint64
	EarlyMessages       uint64 // taken with the first flight of a reconnection
	ReplayAttempts      uint64 // records that were not the next one of their sender
}

// counters are Stats that move. They are written once a batch.
type counters struct {
	completed, resumed, failed, auth  atomic.Uint64
	encrypted, decrypted, sent, heard atomic.Uint64
	rotations, replays, early         atomic.Uint64
}

func (c *counters) read() *Stats {
	return &Stats{
		HandshakesCompleted: c.completed.Load(), HandshakesResumed: c.resumed.Load(), HandshakesFailed: c.failed.Load(), AuthFailures: c.auth.Load(),
		MessagesEncrypted: c.encrypted.Load(), MessagesDecrypted: c.decrypted.Load(), BytesSent: c.sent.Load(), BytesReceived: c.heard.Load(),
		KeyRotations: c.rotations.Load(), ReplayAttempts: c.replays.Load(), EarlyMessages: c.early.Load(),
	}
}

// SocketMetrics are the figures of one socket.
type SocketMetrics struct {
	MessagesSent     uint64 // that Send has taken
	MessagesReceived uint64 // that Recv has given
	BytesSent        uint64 // of their parts
	BytesReceived    uint64
	MessagesDropped  uint64 // for peers without room, or that are not there
	PeersCut         uint64 // that had subscribed to more than qzmq.subbytes
	EventsDropped    uint64 // that a monitor did not take in time
	Errors           uint64 // calls that have failed, other than by waiting in vain
	KeyUpdates       uint64 // sessions that were replaced
	// AverageLatency is from a request to its reply, of a REQ; zero for other types.
	AverageLatency time.Duration
}

// NewSocketMetrics makes empty metrics.
func NewSocketMetrics() *SocketMetrics { return &SocketMetrics{} }

// metrics are SocketMetrics that move; they belong to the socket's lock.
type metrics struct {
	sent, received, bytesSent, bytesReceived, dropped, cut, errors uint64
	asked                                                          time.Time // when the request under way was sent
	latency                                                        time.Duration
	replies                                                        uint64
}

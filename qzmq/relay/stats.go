package relay

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// Traffic counts what has passed in one direction.
type Traffic struct {
	Frames uint64 // of messages
	Bytes  uint64 // of frames, headers included
}

// PeerStats are the figures of one peer. They stay when its connections are gone.
type PeerStats struct {
	Peer        handshake.Fingerprint
	Connections uint64 // that came up
	Open        int
	Sealed      Traffic // to the peer
	Opened      Traffic // from the peer
}

// Stats are the figures of a relay since it began.
type Stats struct {
	Accepted uint64 // connections
	Open     int    // that are up
	// Handshakes that ended, by how: "ok", the name of an alert, "no_answer" for a
	// peer that stayed silent or was not there, "plain" for a plain program that went
	// wrong, "denied", "unavailable" and "timeout" for what a judge said, "busy".
	Handshakes map[string]uint64
	// HandshakeTime is the sum over those that ended with "ok".
	HandshakeTime time.Duration
	// Rotations of sessions that were up, and those that came to nothing.
	Rotations, RotationsFailed uint64
	// Ended connections, by why: "closed", "truncated", "fault", "denied", "stopped".
	Ended map[string]uint64
	Peers []PeerStats
}

// traffic is Traffic in the making; one goroutine adds.
type traffic struct{ frames, bytes atomic.Uint64 }

func (t *traffic) add(frames, bytes int) {
	t.frames.Add(uint64(frames))
	t.bytes.Add(uint64(bytes))
}

func (t *traffic) read() Traffic { return Traffic{t.frames.Load(), t.bytes.Load()} }

// peer is what a relay keeps of a peer.
type peer struct {
	fingerprint    handshake.Fingerprint
	connections    uint64 // guarded by meter.mu, as open is
	open           int
	sealed, opened traffic
}

// meter is Stats in the making.
type meter struct {
	mu            sync.Mutex
	accepted      uint64
	handshakes    map[string]uint64
	handshakeTime time.Duration
	ended         map[string]uint64
	rotations     [2]uint64 // that have replaced a session, and that have not
	peers         map[handshake.Fingerprint]*peer
}

func newMeter() *meter {
	return &meter{handshakes: map[string]uint64{}, ended: map[string]uint64{}, peers: map[handshake.Fingerprint]*peer{}}
}

func (m *meter) accept() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted++
}

func (m *meter) failed(outcome string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handshakes[outcome]++
}

// came counts a connection that came up, and gives its peer.
func (m *meter) came(f handshake.Fingerprint, took time.Duration) *peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handshakes["ok"]++
	m.handshakeTime += took
	p := m.peers[f]
	if p == nil {
		p = &peer{fingerprint: f}
		m.peers[f] = p
	}
	p.connections++
	p.open++
	return p
}

func (m *meter) rotated(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.rotations[0]++
	} else {
		m.rotations[1]++
	}
}

func (m *meter) gone(p *peer, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended[why]++
	p.open--
}

func (m *meter) read() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Stats{Accepted: m.accepted, HandshakeTime: m.handshakeTime, Handshakes: maps.Clone(m.handshakes), Ended: maps.Clone(m.ended),
		Rotations: m.rotations[0], RotationsFailed: m.rotations[1]}
	for _, p := range m.peers {
		s.Open += p.open
		s.Peers = append(s.Peers, PeerStats{p.fingerprint, p.connections, p.open, p.sealed.read(), p.opened.read()})
	}
	return s
}

// outcome names why there is no session.
func outcome(err error) string {
	var refused *handshake.Error
	var plain *plainError
	switch {
	case errors.Is(err, handshake.ErrAccessDenied):
		return "denied"
	case errors.As(err, &plain):
		return "plain"
	case errors.Is(err, handshake.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &refused):
		return refused.Alert.String()
	}
	return "no_answer"
}

// ending names why a connection that was up is no more.
func ending(err error) string {
	switch {
	case err == nil:
		return "closed"
	case isDenied(err):
		return "denied"
	case errors.Is(err, zmtp.ErrTruncated):
		return "truncated"
	}
	return "fault"
}

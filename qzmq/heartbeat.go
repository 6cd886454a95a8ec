package qzmq

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

// errHeartbeat is how a connection ends whose peer was not heard in time.
var errHeartbeat = errors.New("qzmq: the peer was not heard in time")

// pulse is the heartbeats of a connection, PING and PONG of RFC 37: within the session,
// so nobody else can make them. Whatever is heard is a sign of life.
type pulse struct {
	every, patience time.Duration // of ours; every is 0 for none
	ttl             time.Duration // that we tell the peer
	ring            func()        // wakes the writer
	dead            func()        // must not wait

	last    atomic.Int64 // when something was heard, since began; only while watched
	watched atomic.Bool
	began   time.Time

	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	pinged  time.Time     // when the next PING was due last
	theirs  time.Duration // within which the peer wants to be heard
	ping    bool          // to be written
	pongs   [][]byte      // contexts to be written
	stopped bool
}

// mostPongs bounds what a peer makes us answer while it reads nothing.
const mostPongs = 16

// ttlUnit is that of PING's first field.
const ttlUnit = 100 * time.Millisecond

// begin is called before the connection starts.
func (h *pulse) begin(set *settings, ring, dead func()) {
	h.every, h.patience, h.ttl = set.heartbeat, set.heartbeatTimeout, set.heartbeatTTL
	if h.patience < 0 {
		h.patience = h.every
	}
	h.ring, h.dead, h.began = ring, dead, time.Now()
	if h.every > 0 {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.watched.Store(true)
		h.timer = time.AfterFunc(h.every, h.beat)
	}
}

// heard is called by the reader. It looks at the clock only if that matters.
func (h *pulse) heard() {
	if h.watched.Load() {
		h.last.Store(int64(time.Since(h.began)))
	}
}

// beat is the timer's: it sends a PING, or finds that the peer is dead.
func (h *pulse) beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	silent := time.Since(h.began) - time.Duration(h.last.Load())
	if h.every > 0 && silent > h.every+h.patience || h.theirs > 0 && silent > h.theirs {
		h.stopped = true
		h.dead()
		return
	}
	next := time.Duration(1 << 62)
	if h.every > 0 {
		if time.Since(h.pinged) >= h.every {
			h.pinged, h.ping = time.Now(), true
			h.ring()
		}
		next = min(h.every-time.Since(h.pinged), h.every+h.patience-silent)
	}
	if h.theirs > 0 {
		next = min(next, h.theirs-silent)
	}
	h.timer.Reset(max(next, time.Millisecond))
}

// command takes a heartbeat of the peer.
func (h *pulse) command(name string, data []byte) {
	if name != "PING" {
		return
	}
	context, ok := zmtp.Pong(data)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pongs) < mostPongs {
		h.pongs = append(h.pongs, context)
	}
	ttl := time.Duration(binary.BigEndian.Uint16(data)) * ttlUnit
	if ttl != h.theirs && !h.stopped {
		h.theirs = ttl
		if ttl > 0 && h.watched.CompareAndSwap(false, true) {
			h.last.Store(int64(time.Since(h.began)))
		}
		if h.timer == nil {
			h.timer = time.AfterFunc(max(ttl, time.Millisecond), h.beat)
		} else {
			h.timer.Reset(time.Millisecond)
		}
	}
	h.ring()
}

// write is called by the writer: it writes what is due.
func (h *pulse) write(w wire) error {
	h.mu.Lock()
	ping, pongs := h.ping, h.pongs
	h.ping, h.pongs = false, nil
	h.mu.Unlock()
	for _, context := range pongs {
		if err := w.WriteCommand("PONG", context); err != nil {
			return err
		}
	}
	if !ping {
		return nil
	}
	return w.WriteCommand("PING", binary.BigEndian.AppendUint16(nil, uint16(min(h.ttl/ttlUnit, 1<<16-1))))
}

func (h *pulse) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
}

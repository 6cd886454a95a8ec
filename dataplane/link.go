package dataplane

import (
	"sync/atomic"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// Link is one peer gateway and what lies behind it. Workers read its path and
// compare it by pointer; the rest belongs to the engine, under its lock.
type Link struct {
	name string
	path atomic.Pointer[path] // nil: no keys, so nothing may leave

	current   *Path // what path was made from
	currentID uint32
	ports     []uint16                    // UDP source ports, by stream
	lastPort  uint16                      // the highest so far
	sealers   map[uint32][]*record.Sealer // by session
	openers   map[uint32][]*record.Opener // by session, nil where there is no stream
	past      LinkUsage                   // of sessions that are gone
}

func newLink(name string) *Link {
	return &Link{name: name, sealers: map[uint32][]*record.Sealer{}, openers: map[uint32][]*record.Opener{}}
}

// route gives every stream a source port that has none.
func (l *Link) route(streams int) {
	for len(l.ports) < streams {
		l.ports = append(l.ports, l.freshPort())
	}
}

// freshPort is a source port that the link has not used for long.
func (l *Link) freshPort() uint16 {
	if l.lastPort++; l.lastPort < firstSourcePort { // the first, or all were used
		l.lastPort = firstSourcePort
	}
	return l.lastPort
}

// Traffic counts records and the bytes of their payload.
type Traffic struct{ Records, Bytes uint64 }

// LinkUsage is what a link has carried.
type LinkUsage struct {
	Sealed, Opened Traffic
	Forged         uint64
	// Session is what the sealers of the present session have sealed together.
	Session Traffic
	// Rotate asks for new keys, before the present ones are exhausted.
	Rotate bool
}

func (l *Link) usage() LinkUsage {
	u := l.past
	for id := range l.sealers {
		l.addSealed(&u, id)
	}
	for id := range l.openers {
		l.addOpened(&u, id)
	}
	return u
}

func (l *Link) addSealed(u *LinkUsage, id uint32) {
	for _, s := range l.sealers[id] {
		k := s.Usage()
		u.Sealed.Records += k.Records
		u.Sealed.Bytes += k.Bytes
		if id == l.currentID {
			u.Session.Records += k.Records
			u.Session.Bytes += k.Bytes
			u.Rotate = u.Rotate || k.Rotate
		}
	}
}

func (l *Link) addOpened(u *LinkUsage, id uint32) {
	for _, o := range l.openers[id] {
		if o == nil {
			continue
		}
		k := o.Usage()
		u.Opened.Records += k.Records
		u.Opened.Bytes += k.Bytes
		u.Forged += k.Forged
		u.Rotate = u.Rotate || k.Rotate && id == l.currentID
	}
}

func (l *Link) prepare(now time.Time) {
	for _, sealers := range l.sealers {
		for _, s := range sealers {
			s.Prepare()
		}
	}
	for _, openers := range l.openers {
		for _, o := range openers {
			if o != nil {
				o.Prepare(now)
			}
		}
	}
}

// stop takes the path away; the sessions and their counts remain.
func (l *Link) stop() {
	l.current, l.currentID = nil, 0
	l.path.Store(nil)
}

// remove forgets a session but for what it counted.
func (l *Link) remove(id uint32) {
	if id == l.currentID {
		l.stop()
	}
	l.addSealed(&l.past, id)
	l.addOpened(&l.past, id)
	delete(l.sealers, id)
	delete(l.openers, id)
}

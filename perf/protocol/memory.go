package main

import (
	"crypto/sha256"
	"runtime"

	"github.com/qzmq/gateway/perf/sheet"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// memoryRows gives what one end of a link keeps while it is up. Buffers, sockets
// and goroutines of a connection belong to who runs it and are not in it.
func memoryRows(s *sheet.Sheet, e effort) (round, error) {
	p, err := newPair(handshake.DefaultSuite())
	if err != nil {
		return nil, err
	}
	size := s.Row(sheet.Memory, "memory of a session: its secrets, a TCP connection's records, one data stream each way", "bytes", sheet.Below(100e3, 16e3))
	objects := s.Plain(sheet.Memory, "memory of a session, objects on the heap", "objects")
	return func() error {
		ends := make([]end, e.sessions)
		w := newStopwatch()
		before := liveHeap()
		for i := range ends {
			x, err := p.handshake(w)
			if err != nil {
				return err
			}
			x.sessions[initiator].Close() // the other end is another machine
			ends[i] = newEnd(x.sessions[responder], uint32(i))
		}
		after := liveHeap()
		size.Add(float64(after.HeapAlloc-before.HeapAlloc) / float64(len(ends)))
		objects.Add(float64(after.HeapObjects-before.HeapObjects) / float64(len(ends)))
		runtime.KeepAlive(ends)
		return nil
	}, nil
}

// end is what a gateway holds of a link that is up.
type end struct {
	session      *handshake.Session
	streamSealer *record.StreamSealer
	streamOpener *record.StreamOpener
	sealer       *record.Sealer
	opener       *record.Opener
}

func newEnd(s *handshake.Session, id uint32) end {
	const stream = 0
	setup := sha256.Sum256([]byte{byte(id), byte(id >> 8)}) // stands for the hash of a link's set-up
	e := end{session: s}
	e.streamSealer, e.streamOpener = s.Records()
	e.sealer, e.opener = s.DataSealer(setup, id, stream), s.DataOpener(setup, id, stream)
	return e
}

// liveHeap collects twice: what a first run only makes free, the second takes away.
func liveHeap() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

package zmtp

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/qzmq/gateway/qzmq/zmtp/raw"
)

// Pool is memory for the moments in which connections have something to read: one
// that is idle holds none. A process has one for all its connections.
type Pool struct {
	hidden
	rooms, small, records, single sync.Pool

	large atomic.Int32 // loans of two records that are out
}

// loan is memory that sealed connections read into.
type loan struct{ buf []byte }

// mostLarge is how many connections may have room for two records at once. Those that
// run are fewer; the others wait for a peer that does not read, and may be many.
const mostLarge = 16

// room gives a room that is the caller's until release.
func (p *Pool) room() *Room {
	if r, ok := p.rooms.Get().(*Room); ok {
		return r
	}
	return newRoom(maxPiece)
}

func (p *Pool) smallRoom() *Room {
	if r, ok := p.small.Get().(*Room); ok {
		return r
	}
	return newRoom(smallRoom)
}

func (p *Pool) release(r *Room) {
	if len(r.space(0)) < maxPiece {
		p.small.Put(r)
	} else {
		p.rooms.Put(r)
	}
}

// record gives memory for records as they arrive, until takeRecord.
func (p *Pool) record() *loan {
	from, size := &p.records, largeBuf
	if p.large.Add(1) > mostLarge {
		p.large.Add(-1)
		from, size = &p.single, smallBuf
	}
	if l, ok := from.Get().(*loan); ok {
		return l
	}
	return &loan{make([]byte, size)}
}

func (p *Pool) takeRecord(l *loan) {
	if len(l.buf) == smallBuf {
		p.single.Put(l)
		return
	}
	p.large.Add(-1)
	p.records.Put(l)
}

// lender is memory to read into, taken when there is something to read.
type lender interface {
	lend() []byte
	takeBack()
}

// source reads a connection. Where the kernel can be asked it takes memory only
// when bytes are there.
type source struct {
	nc   net.Conn
	raw  syscall.RawConn // nil where there is none
	try  func(fd uintptr) bool
	into lender
	wait bool
	n    int
	err  error
}

func newSource(nc net.Conn) *source {
	s := &source{nc: nc, raw: raw.Conn(nc)}
	s.try = s.tryRead
	return s
}

// read reads at least one byte, or has taken the memory back and gives an error, or
// nothing unless it is to wait.
func (s *source) read(into lender, wait bool) (int, error) {
	if s.raw == nil {
		if !wait {
			return 0, nil // nobody can be asked
		}
		n, err := s.nc.Read(into.lend())
		if n > 0 {
			return n, nil // an error comes again
		}
		into.takeBack()
		return 0, err
	}
	s.into, s.wait, s.n, s.err = into, wait, 0, nil
	if err := s.raw.Read(s.try); err != nil {
		return 0, err
	}
	return s.n, s.err
}

// tryRead is false when there is nothing to read yet.
func (s *source) tryRead(fd uintptr) bool {
	b := s.into.lend()
	for {
		n, err := raw.Read(fd, b)
		switch {
		case n > 0:
			s.n = n
			return true
		case err == syscall.EINTR:
			continue
		case err == nil:
			err = io.EOF
		}
		s.into.takeBack()
		if err == syscall.EAGAIN {
			return !s.wait
		}
		s.err = err
		return true
	}
}

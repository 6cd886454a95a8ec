package zmtp

import (
	"bytes"
	"io"
	"net"
)

// inbuf holds bytes that have arrived and were not consumed yet. It grows only
// as bytes arrive: a peer that announces much and sends little costs little.
type inbuf struct {
	buf   []byte
	r, w  int  // what is unread is buf[r:w]
	more  bool // the last read filled the buffer: there is probably more to come
	eager int  // up to this size reads that fill the buffer make it grow; 0 for strangers
	keep  keep

	source *source // what is read; nil for what fill is given
	pool   *Pool   // where memory is from while bytes are there; nil for memory of our own
	lent   *loan   // by pool: all of buf
}

const (
	firstBuf = 512                 // enough for the commands of an idle control channel
	largeBuf = 2*MaxRecord + 4<<10 // two records and the start of the next
	smallBuf = MaxRecord + 4<<10   // one, likewise
)

func (b *inbuf) unread() []byte { return b.buf[b.r:b.w] }

func (b *inbuf) consume(n int) { b.r += n }

// fill reads until n bytes are unread, and takes more if they come along. Bytes
// lent from the buffer before are gone after it. An error leaves what has
// arrived in place, so that the caller may try again.
func (b *inbuf) fill(src io.Reader, n int) error {
	for b.w-b.r < n {
		b.makeRoom(n)
		got, err := b.read(src)
		b.w += got
		b.more = b.w == len(b.buf) && b.w-b.r > n
		if err != nil && b.w-b.r < n {
			return err
		}
	}
	return nil
}

func (b *inbuf) read(src io.Reader) (int, error) {
	if b.source == nil {
		return src.Read(b.buf[b.w:])
	}
	return b.source.read(b, true)
}

// from has an inbuf read a connection in its own way. With a pool it holds memory only
// while there is something in it.
func (b *inbuf) from(nc net.Conn, pool *Pool) {
	if b.source == nil {
		if s := newSource(nc); s.raw != nil {
			b.source = s
		}
	}
	if b.source == nil || pool == nil || b.pool != nil {
		return // nobody can be asked whether something is there, or need be
	}
	b.buf = bytes.Clone(b.unread())
	b.r, b.w, b.more, b.pool = 0, len(b.buf), false, pool
}

// lend and takeBack make b a lender.
func (b *inbuf) lend() []byte {
	if b.pool != nil && b.lent == nil {
		b.lent = b.pool.record()
		b.w = copy(b.lent.buf, b.unread())
		b.buf, b.r = b.lent.buf, 0
	}
	return b.buf[b.w:]
}

func (b *inbuf) takeBack() {
	if b.r == b.w {
		b.giveBack()
	}
}

// giveBack returns what was lent, with whatever is in it.
func (b *inbuf) giveBack() {
	if b.lent != nil {
		b.pool.takeRecord(b.lent)
		b.lent, b.buf, b.r, b.w, b.more = nil, nil, 0, 0, false
	}
}

// makeRoom leaves at least one byte free behind the unread ones, of which there
// will be n. The buffer grows only when what has arrived has filled it, up to n
// or eager, and one that has not been needed for a while is given back.
func (b *inbuf) makeRoom(n int) {
	unread := b.w - b.r
	switch {
	case unread == 0:
		if b.pool == nil && b.keep.over(len(b.buf), max(n, b.w)) {
			b.buf, b.more = make([]byte, firstBuf), false
		}
		b.r, b.w = 0, 0
	case b.r+n > len(b.buf):
		copy(b.buf, b.unread())
		b.r, b.w = 0, unread
	}
	if b.pool != nil {
		return // a record and more has room
	}
	if b.w == len(b.buf) || b.more && len(b.buf) < b.eager {
		grown := make([]byte, max(firstBuf, min(2*len(b.buf), max(n, b.eager))))
		b.w = copy(grown, b.unread())
		b.buf, b.r, b.more = grown, 0, false
	}
}

// hasCommand says whether a command frame has come whole, or what is wrong with
// one, so that command does not read.
func (b *inbuf) hasCommand() bool {
	h, n, err := ParseHeader(b.unread())
	return err != nil || n > 0 && h.Size <= uint64(len(b.unread())-n)
}

// command reads one command frame with a body of at most limit bytes and
// consumes it. name and data are lent until the next fill. A size over the
// limit is refused before a byte of the body is awaited.
func (b *inbuf) command(src io.Reader, limit int) (name, data []byte, err error) {
	h, n, err := ParseHeader(b.unread())
	for n == 0 && err == nil {
		if err := b.fill(src, len(b.unread())+1); err != nil {
			return nil, nil, readError(err)
		}
		h, n, err = ParseHeader(b.unread())
	}
	switch {
	case err != nil:
		return nil, nil, err
	case h.Flags != Command:
		return nil, nil, ErrUnexpected
	case h.Size > uint64(limit):
		return nil, nil, ErrTooLarge
	}
	whole := n + int(h.Size)
	if err := b.fill(src, whole); err != nil {
		return nil, nil, readError(err)
	}
	body := b.unread()[n:whole]
	b.consume(whole)
	return ParseCommand(body)
}

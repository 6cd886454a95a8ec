package zmtp

import "io"

// inbuf holds bytes that have arrived and were not consumed yet. It grows only
// as bytes arrive: a peer that announces much and sends little costs little.
type inbuf struct {
	buf  []byte
	r, w int // what is unread is buf[r:w]
}

const (
	firstBuf = 512      // enough for the commands of an idle control channel
	keepBuf  = 16 << 10 // a larger buffer is given back once it is empty
)

func (b *inbuf) unread() []byte { return b.buf[b.r:b.w] }

func (b *inbuf) consume(n int) { b.r += n }

// fill reads until n bytes are unread, and takes more if they come along. Bytes
// lent from the buffer before are gone after it. An error leaves what has
// arrived in place, so that the caller may try again.
func (b *inbuf) fill(src io.Reader, n int) error {
	for b.w-b.r < n {
		b.makeRoom(n)
		got, err := src.Read(b.buf[b.w:])
		b.w += got
		if err != nil && b.w-b.r < n {
			return err
		}
	}
	return nil
}

// makeRoom leaves at least one byte free behind the unread ones.
func (b *inbuf) makeRoom(n int) {
	switch unread := b.w - b.r; {
	case unread == 0 && len(b.buf) > keepBuf && n <= keepBuf:
		*b = inbuf{buf: make([]byte, firstBuf)}
	case unread == 0 && b.buf != nil:
		b.r, b.w = 0, 0
	case b.r+n <= len(b.buf) || b.r == 0 && b.w < len(b.buf):
	case b.r > 0:
		copy(b.buf, b.unread())
		b.r, b.w = 0, unread
	default:
		grown := make([]byte, max(firstBuf, min(2*len(b.buf), n)))
		copy(grown, b.buf)
		b.buf = grown
	}
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

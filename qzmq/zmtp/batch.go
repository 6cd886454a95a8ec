package zmtp

import (
	"github.com/qzmq/gateway/qzmq/record"
)

// recordHead is the length in bytes of what stands before the ciphertext of a
// record when the size of its frame takes eight bytes.
const recordHead = maxHeaderLen + 1 + len(recordName)

// batch is the records of one write in the making. Plaintext is laid down where
// its ciphertext will stand, so that sealing moves nothing:
//
//	room for a head | plaintext | room for a tag | room for a head | ...
type batch struct {
	buf    []byte
	starts []int // of plaintexts; the last record is open, and has no room for its tag yet
	ends   []int // of the plaintexts that are complete
	sealed int   // so many records are
	from   int   // where in buf the bytes to send start
	last   bool  // nothing may follow in the open record
	keep   keep
}

func (b *batch) empty() bool { return len(b.starts) == 0 }

// fits says whether n more bytes of frame leave the batch within limit, or are
// its first.
func (b *batch) fits(n, limit int) bool {
	return b.empty() || len(b.buf)+recordHead+n+record.TagLen <= limit
}

// begin makes the open record one that has room for n bytes.
func (b *batch) begin(n, padTo int) {
	if len(b.starts) > len(b.ends) {
		if !b.last && len(b.buf)+n-b.starts[len(b.starts)-1] <= MaxRecord {
			return
		}
		b.end(padTo)
	}
	b.buf = append(b.buf, make([]byte, recordHead)...)
	b.starts = append(b.starts, len(b.buf))
	b.last = false
}

// end completes the open record: it is padded to a multiple of padTo, unless
// that is 0, but never beyond a record's size.
func (b *batch) end(padTo int) {
	if len(b.starts) == len(b.ends) {
		return
	}
	n := len(b.buf) - b.starts[len(b.starts)-1]
	if padTo > 0 && n%padTo != 0 {
		if pad := min(padTo-n%padTo, MaxRecord-n); pad > 0 {
			b.buf = append(b.buf, padMark)
			b.buf = append(b.buf, make([]byte, pad-1)...)
		}
	}
	b.ends = append(b.ends, len(b.buf))
	b.buf = append(b.buf, make([]byte, record.TagLen)...)
}

// frame adds a frame, or a piece that cut and rest in flags say it is.
func (b *batch) frame(flags Flags, total int, body []byte, padTo int) {
	b.begin(pieceLen(flags, len(body)), padTo)
	b.buf = appendPiece(b.buf, flags, len(body), total)
	b.buf = append(b.buf, body...)
	b.last = flags&cut != 0
}

// command adds a command. Nothing follows in its record if it is the last.
func (b *batch) command(name string, data []byte, last bool, padTo int) {
	b.begin(frameLen(1+len(name)+len(data)), padTo)
	b.buf = AppendCommand(b.buf, name, data)
	b.last = last
}

// volume is what the complete records of the batch hold.
func (b *batch) volume() (records, bytes int) {
	for i, end := range b.ends {
		bytes += end - b.starts[i]
	}
	return len(b.ends), bytes
}

// seal seals what is not sealed yet; all records are complete. The first may
// have a short head, which stands at the end of its room.
func (b *batch) seal(s *record.StreamSealer) error {
	for ; b.sealed < len(b.starts); b.sealed++ {
		start, end := b.starts[b.sealed], b.ends[b.sealed]
		if _, err := s.Seal(b.buf[start:start], b.buf[start:end]); err != nil {
			return err
		}
		b.head(start, end)
	}
	return nil
}

// head writes what stands before the record of the plaintext from start to end.
func (b *batch) head(start, end int) {
	size := 1 + len(recordName) + end - start + record.TagLen
	head := b.buf[start-recordHead : start-recordHead : start]
	if b.sealed == 0 && size <= maxShort {
		b.from = maxHeaderLen - 2
		head = AppendHeader(head[b.from:b.from], Command, size)
	} else {
		head = appendLongHeader(head, Command, size)
	}
	head = append(head, byte(len(recordName)))
	_ = append(head, recordName...)
}

// sealAway seals plaintext that stands elsewhere, as a record behind all others, which
// it seals before.
func (b *batch) sealAway(s *record.StreamSealer, plaintext []byte) error {
	b.end(0)
	if err := b.seal(s); err != nil {
		return err
	}
	b.buf = append(b.buf, make([]byte, recordHead)...)
	start, end := len(b.buf), len(b.buf)+len(plaintext)
	buf, err := s.Seal(b.buf, plaintext)
	if err != nil {
		return err
	}
	b.buf = buf
	b.starts, b.ends = append(b.starts, start), append(b.ends, end)
	b.head(start, end)
	b.sealed++
	return nil
}

// bytes is what to send.
func (b *batch) bytes() []byte { return b.buf[b.from:] }

// reset makes the batch empty, and gives a large buffer back that has not been
// needed for a while.
func (b *batch) reset() {
	if b.keep.over(cap(b.buf), len(b.buf)) {
		b.buf = nil
	}
	b.buf, b.starts, b.ends = b.buf[:0], b.starts[:0], b.ends[:0]
	b.sealed, b.from, b.last = 0, 0, false
}

// pieceLen is the length of a piece with a body of size bytes.
func pieceLen(flags Flags, size int) int {
	if flags&(cut|rest) == cut {
		return frameLen(size) + totalLen
	}
	return frameLen(size)
}

// keep decides when a buffer larger than an idle connection needs is given back:
// after it has not been needed several times in a row, so that large and small
// in turn do not allocate.
type keep struct{ unneeded int }

const (
	keepBuf   = 16 << 10 // a buffer of this size is kept for ever
	keepTimes = 16
)

// over reports, after a use that took used bytes of a buffer of size bytes, that
// the buffer is to be given back.
func (k *keep) over(size, used int) bool {
	if size <= keepBuf || used > keepBuf {
		k.unneeded = 0
		return false
	}
	k.unneeded++
	if k.unneeded < keepTimes {
		return false
	}
	k.unneeded = 0
	return true
}

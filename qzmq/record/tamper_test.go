package record_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// verdictOfBit is what the opener says when one bit of a record is wrong: the
// fields of the header each have their own refusal, everything else is the
// tag's, and so are epochs whose keys lie ready.
func verdictOfBit(bit int) record.Verdict {
	switch at := bit / 8; {
	case at == 0, at >= 2 && at < 8: // type, stream, session
		return record.Malformed
	case at == 1 && bit%8 >= 2:
		return record.WrongEpoch
	}
	return record.Forged
}

func TestEveryBitFlipped(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		s, o := pair(a, 1)
		first, second := seal(t, s, []byte("first")), seal(t, s, []byte("the second record"))
		mustOpen(t, o, first, []byte("first"))
		forged := uint64(0)
		for bit := range len(second) * 8 {
			bad := bytes.Clone(second)
			bad[bit/8] ^= 1 << (bit % 8)
			want := verdictOfBit(bit)
			if bit == 15*8 { // the number's last bit: it becomes 0, which was seen
				want = record.Replayed
			}
			if want == record.Forged {
				forged++
			}
			mustRefuse(t, o, bad, want)
		}
		mustOpen(t, o, second, []byte("the second record"))
		mustRefuse(t, o, second, record.Replayed)
		o.Acquire(1)
		o.Release()
		if u := o.Usage(); u.Forged != forged || u.Records != 2 {
			t.Errorf("%d forged and %d opened counted, want %d and 2", u.Forged, u.Records, forged)
		}
	})
}

// A record that does not open leaves none of its plaintext behind: dst is
// memory of the port that would send it in the clear.
func TestNoPlaintextAfterFailure(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		for _, size := range []int{1, 15, 16, 64, 129, 1420, 3000} {
			s, o := pair(a, 1)
			plain := bytes.Repeat([]byte("secret payload, "), size/16+1)[:size]
			sealed := seal(t, s, plain)
			sealed[len(sealed)-1] ^= 1
			dst := make([]byte, size+8)
			if n, v := o.Open(dst, sealed); n != 0 || v != record.Forged {
				t.Fatalf("%d bytes: %d, verdict %d", size, n, v)
			}
			for i := 0; i+4 <= size; i++ {
				if bytes.Equal(dst[i:i+4], plain[i:i+4]) {
					t.Fatalf("%d bytes: plaintext remains at %d", size, i)
				}
			}
		}
	})
}

func TestTruncatedAtEveryLength(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		s, o := pair(a, 1)
		sealed := seal(t, s, bytes.Repeat([]byte{0xee}, 200))
		for n := range sealed {
			want := record.Forged
			if n < record.Overhead {
				want = record.Malformed
			}
			mustRefuse(t, o, sealed[:n], want)
		}
		mustRefuse(t, o, append(bytes.Clone(sealed), 0), record.Forged)
		mustOpen(t, o, sealed, bytes.Repeat([]byte{0xee}, 200))
	})
}

func TestWrongPlace(t *testing.T) {
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		sealer := func() *record.Sealer { return record.NewSealer(keys(a, 1), testSession, testStream) }
		for _, c := range []struct {
			name   string
			opener *record.Opener
			want   record.Verdict
		}{
			{"session", record.NewOpener(keys(a, 1), testSession+1, testStream), record.Malformed},
			{"stream", record.NewOpener(keys(a, 1), testSession, testStream+1), record.Malformed},
			{"key", record.NewOpener(keys(a, 2), testSession, testStream), record.Forged},
		} {
			sealed := seal(t, sealer(), []byte("payload"))
			if _, v := open(c.opener, sealed); v != c.want {
				t.Errorf("%s: verdict %d, want %d", c.name, v, c.want)
			}
		}
		// A header rewritten to fit another stream's opener does not open either,
		// even where both streams were given the same secret.
		sealed := seal(t, sealer(), []byte("payload"))
		sealed[3]++
		mustRefuse(t, record.NewOpener(keys(a, 1), testSession, testStream+1), sealed, record.Forged)
	})
}

func TestForgedEpochMovesNothing(t *testing.T) {
	s, o := pair(record.AES256GCM, 1)
	sealed := seal(t, s, []byte("payload"))
	for epoch := 1; epoch < 256; epoch++ {
		bad := bytes.Clone(sealed)
		bad[1] = byte(epoch)
		want := record.WrongEpoch
		if epoch <= 3 {
			want = record.Forged // the key is there, and it is not this record's
		}
		mustRefuse(t, o, bad, want)
		o.Prepare(time.Now())
	}
	mustOpen(t, o, sealed, []byte("payload"))
}

// Every record of a long run is refused when it comes again, however many came
// after it, and one that was held back opens once.
func TestReplayAtEveryOffset(t *testing.T) {
	const total, window = 20000, 16320
	s, o := pair(record.AES256GCM, 1)
	sealed := make([][]byte, total)
	for i := range sealed {
		sealed[i] = seal(t, s, message(i))
	}
	late := func(i int) bool { return i%1000 == 7 }
	for i, r := range sealed {
		if !late(i) {
			mustOpen(t, o, r, message(i))
		}
	}
	for i, r := range sealed {
		if late(i) && i >= total-window {
			mustOpen(t, o, r, message(i))
		}
		mustRefuse(t, o, r, record.Replayed)
	}
}

func TestForgedFarAheadMovesNothing(t *testing.T) {
	s, o := pair(record.AES256GCM, 1)
	genuine := make([][]byte, 100)
	for i := range genuine {
		genuine[i] = seal(t, s, message(i))
	}
	for _, seq := range []uint64{100, 8192, 16320, 16321, 1 << 20, 1 << 63, ^uint64(0) - 1} {
		bad := append(header(0x10, 0, testStream, testSession, seq), genuine[50][16:]...)
		mustRefuse(t, o, bad, record.Forged)
	}
	last := append(header(0x10, 0, testStream, testSession, ^uint64(0)), genuine[50][16:]...)
	mustRefuse(t, o, last, record.Replayed)
	for i, r := range genuine {
		mustOpen(t, o, r, message(i))
	}
}

// Authentic records near 2^64 open, and the last number, which the window could
// not pass, does not.
func TestHighestNumbers(t *testing.T) {
	c, iv := cipherOf(t, record.AES256GCM, 1)
	_, o := pair(record.AES256GCM, 1)
	sealed := func(seq uint64) []byte {
		h := header(0x10, 0, testStream, testSession, seq)
		return c.Seal(h, nonce(iv, testStream, seq), []byte("high"), h)
	}
	mustRefuse(t, o, sealed(^uint64(0)), record.Replayed)
	mustOpen(t, o, sealed(^uint64(0)-1), []byte("high"))
	mustRefuse(t, o, sealed(^uint64(0)-1), record.Replayed)
	mustOpen(t, o, sealed(^uint64(0)-2), []byte("high"))
	mustOpen(t, o, sealed(^uint64(0)-16320), []byte("high"))
	mustRefuse(t, o, sealed(^uint64(0)-16321), record.Replayed)
	mustRefuse(t, o, sealed(0), record.Replayed)
	mustRefuse(t, o, sealed(^uint64(0)), record.Replayed)
}

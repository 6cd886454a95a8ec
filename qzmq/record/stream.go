package record

import "errors"

// ErrExhausted reports a key at its limit: the session has to be replaced.
var ErrExhausted = errors.New("record: the key has reached its limit")

// tcp is what both directions on TCP share: an implicit, strict counter and the
// header that is authenticated but not sent.
type tcp struct {
	half
	header  Header
	records uint64
	blocks  uint64
	nonce   [nonceLen]byte
	aad     [HeaderLen]byte
}

func newTCP(k *Keys) tcp { return tcp{half: k.consume(), header: Header{Stream: tcpStream}} }

// next prepares nonce and associated data for a record of n plaintext bytes.
func (t *tcp) next(n int) error {
	b := blocks(n)
	if t.records >= t.limits.MaxRecords || t.blocks+b > t.limits.MaxBlocks {
		return ErrExhausted
	}
	t.header.put(t.aad[:], typeStream)
	putNonce(&t.nonce, &t.iv, t.header.Stream, t.header.Seq)
	t.header.Seq++
	t.records++
	t.blocks += b
	return nil
}

func (t *tcp) worn() bool {
	return t.records >= t.limits.RotateRecords || t.blocks >= t.limits.RotateBlocks
}

// StreamSealer seals the records of one direction of a TCP connection. It
// belongs to one goroutine at a time.
type StreamSealer struct{ tcp }

// NewStreamSealer consumes k.
func NewStreamSealer(k *Keys) *StreamSealer { return &StreamSealer{newTCP(k)} }

// Seal appends the record of plaintext to dst: its ciphertext and tag, TagLen
// bytes more than plaintext. The only error is ErrExhausted.
func (s *StreamSealer) Seal(dst, plaintext []byte) ([]byte, error) {
	if err := s.next(len(plaintext)); err != nil {
		return nil, err
	}
	return s.aead.Seal(dst, s.nonce[:], plaintext, s.aad[:]), nil
}

// Rotate says whether the key should be replaced now.
func (s *StreamSealer) Rotate() bool { return s.worn() }

// StreamOpener opens the records of one direction of a TCP connection, in
// order. One failure ends it: on TCP a wrong record means a broken or attacked
// connection, and nothing after it can be trusted to be in place.
type StreamOpener struct {
	tcp
	failed bool
}

// NewStreamOpener consumes k.
func NewStreamOpener(k *Keys) *StreamOpener { return &StreamOpener{tcp: newTCP(k)} }

// Open appends the plaintext of the next record to dst. Errors are ErrBadRecord
// and ErrExhausted; after ErrBadRecord every call returns it.
func (o *StreamOpener) Open(dst, sealed []byte) ([]byte, error) {
	if o.failed || len(sealed) < TagLen {
		o.failed = true
		return nil, ErrBadRecord
	}
	if err := o.next(len(sealed) - TagLen); err != nil {
		return nil, err
	}
	out, err := o.aead.Open(dst, o.nonce[:], sealed, o.aad[:])
	if err != nil {
		o.failed = true
		return nil, ErrBadRecord
	}
	return out, nil
}

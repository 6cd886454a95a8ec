package record

import "errors"

// ErrExhausted reports a key at its limit: the session has to be replaced.
var ErrExhausted = errors.New("record: the key has reached its limit")

// ErrUpdate reports a key update that has no place: too soon after the last one,
// or when the epoch byte has come to its end.
var ErrUpdate = errors.New("record: no key update is due")

// minUpdate is how many records lie between two key updates of one direction, at
// least. Each costs its receiver several derivations, and a peer that sends no
// data could otherwise make us do nothing else.
const minUpdate = 1024

// tcp is what both directions on TCP share: an implicit, strict counter and the
// header that is authenticated but not sent. The counter goes on through all
// epochs.
type tcp struct {
	half
	chain   *chain
	header  Header
	records uint64 // under the present key
	blocks  uint64 // under the present key
	nonce   [nonceLen]byte
	aad     [HeaderLen]byte
}

func newTCP(k *Keys) tcp {
	first, chain := k.start()
	return tcp{half: first, chain: chain, header: Header{Stream: tcpStream}}
}

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

// update takes the next epoch's key. The one before it, and what it was made
// from, are gone.
func (t *tcp) update() error {
	if t.records < minUpdate || t.header.Epoch == lastEpoch {
		return ErrUpdate
	}
	t.chain.mu.Lock()
	defer t.chain.mu.Unlock()
	old := t.half
	t.half = t.chain.advance()
	old.wipe()
	t.header.Epoch++
	t.records, t.blocks = 0, 0
	return nil
}

// Epoch is that of the present key.
func (t *tcp) Epoch() uint8 { return t.header.Epoch }

// Rotate says whether the session should be replaced now: the last epochs have
// begun, or the key was not replaced when it should have been. It also is true
// in the moment in which an update is due.
func (t *tcp) Rotate() bool {
	return t.header.Epoch >= rotateEpoch ||
		t.records >= t.limits.RotateRecords || t.blocks >= t.limits.RotateBlocks
}

// Lower makes the present key and those after it stop or change earlier than
// they must; no limit is ever raised.
func (t *tcp) Lower(l Limits) {
	t.limits = t.limits.lower(l)
	t.chain.mu.Lock()
	defer t.chain.mu.Unlock()
	t.chain.limits = t.limits
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

// Due says whether the next key should be taken: seal the record that tells the
// peer, then call Update.
func (s *StreamSealer) Due() bool {
	most := s.limits.RotateRecords
	if s.header.Epoch == 0 {
		most = min(most, s.limits.FirstRecords)
	}
	return s.records >= minUpdate && s.header.Epoch < lastEpoch &&
		(s.records >= most || s.blocks >= s.limits.RotateBlocks)
}

// Update takes the next key, for the records after this one. The only error is
// ErrUpdate: it was not Due, and nothing has changed.
func (s *StreamSealer) Update() error { return s.update() }

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

// Update takes the next key, as the record just opened has said that the peer
// does. The only error is ErrUpdate, which is a fault of the peer: nothing has
// changed, and the connection is to be closed.
func (o *StreamOpener) Update() error { return o.update() }

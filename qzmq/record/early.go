package record

import "encoding/binary"

// Early data is one message under a key of its own, sealed before the handshake
// has agreed anything else. In its nonce it counts as record 0 of a stream that
// nothing else can have.
const earlyStream = 0xffffffff

// SealEarly seals the early data of a handshake, the only message ever sealed
// under these keys.
func (k *Keys) SealEarly(aad, plaintext []byte) []byte {
	h := k.consume()
	defer h.wipe()
	n := h.earlyNonce()
	return h.aead.Seal(nil, n[:], plaintext, aad)
}

// OpenEarly opens what SealEarly sealed. The only error is ErrBadRecord.
func (k *Keys) OpenEarly(aad, sealed []byte) ([]byte, error) {
	h := k.consume()
	defer h.wipe()
	n := h.earlyNonce()
	plaintext, err := h.aead.Open(nil, n[:], sealed, aad)
	if err != nil {
		return nil, ErrBadRecord
	}
	return plaintext, nil
}

// earlyNonce is iv XOR (stream u32 | seq u64).
func (h *half) earlyNonce() [nonceLen]byte {
	n := h.iv
	binary.BigEndian.PutUint32(n[:], binary.BigEndian.Uint32(n[:])^earlyStream)
	return n
}

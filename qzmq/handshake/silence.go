package handshake

import (
	"crypto/hmac"
	"crypto/sha256"
)

// silenceMAC ends a ClientHello (2.3): it shows that the sender knows whom it
// calls, so that a responder is silent to scanners and does no public-key work
// for them. message is everything before the MAC; hashing it first means that a
// responder with several names pays one short HMAC for each. A knock is a secret
// of the listener's, or nil.
func silenceMAC(responder Fingerprint, knock []byte, message []byte) []byte {
	name := append([]byte(labelSilence), responder[:]...)
	var key [sha256.Size]byte
	if knock == nil {
		key = sha256.Sum256(name)
	} else {
		m := hmac.New(sha256.New, knock)
		m.Write(name)
		m.Sum(key[:0])
	}
	digest := sha256.Sum256(message)
	m := hmac.New(sha256.New, key[:])
	m.Write(digest[:])
	return m.Sum(nil)
}

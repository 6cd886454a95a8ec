package handshake

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/qzmq/gateway/qzmq/record"
)

// Early data (2.5) travels with a ClientHello that offers a ticket, before the
// responder has answered. It is message 0x06, right behind the ClientHello:
//
//	header 4 | sealed { messages, zeros to a multiple of 256 } + tag 16
//
// and a message is
//
//	frames u8, at least 1 | each frame: length u16, bytes
//
// The first frame is the topic, whole. Early data is not forward secret against
// who holds the PSK. It arrives once, but not to a responder that starts anew in
// between (tickets_used.go), and an attacker who cuts the connection behind it makes
// an application that tries again say the same twice. So it is only for topics that the operator calls safe: messages that do no
// harm when they come twice or late.
//
// Either the responder takes it, or the session gives it back, once, to be sent
// as anything else is.

// MaxEarlyData is the length in bytes of all early messages of a handshake, with
// three bytes more for the first frame of each and two for every other.
const MaxEarlyData = 16 << 10

const maxTopic = 255

// Errors of early data.
var (
	ErrUnsafeTopic  error = &fault{"an early message is not of a safe topic", AlertHandshakeFailure}
	ErrEarlyTooMuch       = fmt.Errorf("handshake: early messages have more than %d bytes", MaxEarlyData)
	ErrEarlyUsed          = errors.New("handshake: early data belongs to one handshake, which has it")
)

// EarlyMessage is the frames of a message. The first one is its topic.
type EarlyMessage [][]byte

// SafeTopics is what may be said early. Both sides have their own, and a topic has
// to be in both. It does not change, and any number of goroutines may use it.
type SafeTopics struct {
	hidden
	set map[string]struct{}
}

// NewSafeTopics makes the set; a topic has 1 to 255 bytes. A topic stands for
// itself and not for what begins with it: a prefix would let in what nobody had in
// mind.
func NewSafeTopics(topics ...string) (*SafeTopics, error) {
	s := &SafeTopics{set: make(map[string]struct{})}
	for _, t := range topics {
		if t == "" || len(t) > maxTopic {
			return nil, fmt.Errorf("handshake: a safe topic has 1 to %d bytes", maxTopic)
		}
		s.set[t] = struct{}{}
	}
	return s, nil
}

// has is false for every topic when there is no set.
func (s *SafeTopics) has(m EarlyMessage) bool {
	if s == nil || len(m) == 0 {
		return false
	}
	_, ok := s.set[string(m[0])]
	return ok
}

// EarlyData is what an initiator wants to say early: Config.Early takes nothing
// else, and Add takes nothing unsafe. It belongs to one goroutine, and from
// NewInitiator on to the machine.
type EarlyData struct {
	hidden
	safe     *SafeTopics
	messages []EarlyMessage
	encoded  []byte
	used     atomic.Bool
}

// Early makes empty early data for these topics.
func (s *SafeTopics) Early() *EarlyData { return &EarlyData{safe: s} }

// Add appends a message, which it copies. Errors are ErrUnsafeTopic, ErrEarlyTooMuch,
// which leaves what was added before, and ErrEarlyUsed.
func (e *EarlyData) Add(m EarlyMessage) error {
	switch {
	case e.used.Load():
		return ErrEarlyUsed
	case !e.safe.has(m):
		return ErrUnsafeTopic
	case len(m) > 255:
		return ErrEarlyTooMuch
	}
	b := append(e.encoded[:len(e.encoded):len(e.encoded)], byte(len(m)))
	own := make(EarlyMessage, 0, len(m))
	for _, frame := range m {
		if len(b)+2+len(frame) > MaxEarlyData {
			return ErrEarlyTooMuch
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(frame)))
		b = append(b, frame...)
		own = append(own, bytes.Clone(frame))
	}
	e.encoded, e.messages = b, append(e.messages, own)
	return nil
}

// claim takes e for one machine.
func (e *EarlyData) claim() error {
	if e != nil && !e.used.CompareAndSwap(false, true) {
		return ErrEarlyUsed
	}
	return nil
}

// empty says that there is nothing to say.
func (e *EarlyData) empty() bool { return e == nil || len(e.messages) == 0 }

// parseEarly reads what Add has written and pad padded. The messages are lent.
func parseEarly(plaintext []byte) ([]EarlyMessage, error) {
	var list []EarlyMessage
	c := cursor{rest: plaintext}
	for len(c.rest) > 0 && c.rest[0] != 0 {
		var m EarlyMessage
		for range c.u8() {
			m = append(m, c.take(int(c.u16())))
		}
		list = append(list, m)
	}
	if c.bad || len(list) == 0 || !isPadding(c.rest, len(plaintext)) {
		return nil, ErrMalformed
	}
	return list, nil
}

// earlySecret is the key of early data: of the PSK and the whole ClientHello.
func earlySecret(h record.Hash, psk, prologue, clientHello []byte) []byte {
	early := newSchedule(h, psk)
	defer early.wipe()
	return early.derive(labelEarly, digestOf(h, prologue[:len(prologue)-greetingLen], clientHello))
}

// sealEarly writes the message that follows the first ClientHello.
func (i *Initiator) sealEarly() {
	s := i.offered.suite
	secret := earlySecret(s.Hash, i.offered.psk, i.prologue(), i.hello)
	defer clear(secret)
	i.config.keyLog(i.random).early(secret)
	plaintext := pad(bytes.Clone(i.config.Early.encoded))
	header := appendHeader(nil, typeEarlyData, len(plaintext)+record.TagLen)
	i.early = append(header, record.NewKeys(s.AEAD, s.Hash, secret).SealEarly(header, plaintext)...)
}

// EarlyData gives, after Start, the message to send right behind the ClientHello,
// and nil when there is none: no Config.Early, or no ticket to send it under.
func (i *Initiator) EarlyData() []byte { return bytes.Clone(i.early) }

// RejectedEarly gives the messages of Config.Early that the responder has not taken
// as early data, once. They are to be sent as ordinary messages, before others.
func (s *Session) RejectedEarly() []EarlyMessage {
	m := s.rejected
	s.rejected = nil
	return m
}

// earlyData takes the message that follows a ClientHello with early_data: it is
// read if that was accepted, dropped unread if not, and the last to come.
func (r *Responder) earlyData(msg []byte) *Error {
	p := r.pending
	if alert := peerAlert(msg); alert != nil {
		return untold(alert)
	}
	sealed, err := parseSealed(msg, typeEarlyData)
	if err != nil {
		return inClear(err)
	}
	if p.early == nil {
		return nil
	}
	keys := record.NewKeys(p.suite.AEAD, p.suite.Hash, p.early)
	clear(p.early)
	p.early = nil
	plaintext, err := keys.OpenEarly(msg[:HeaderLen], sealed)
	if err != nil {
		return inClear(ErrOpen)
	}
	messages, err := parseEarly(plaintext)
	if err != nil {
		return inClear(err)
	}
	for _, m := range messages {
		if !r.config.SafeTopics.has(m) {
			return inClear(ErrUnsafeTopic)
		}
	}
	r.early = messages
	return nil
}

// Early gives what the initiator has said early, once: after the Handle that has
// taken it, which is before anybody knows whether the handshake will end well. Each
// message is genuine, of an authorised peer and of a safe topic, and is given by
// one responder only.
func (r *Responder) Early() []EarlyMessage {
	m := r.early
	r.early = nil
	return m
}

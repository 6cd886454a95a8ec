package handshake

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
)

// A key log is for looking into one's own traffic with a packet dissector. It gives
// away all of it, so nothing is written unless [Config.KeyLog] asks for it. The format
// is that of NSS, which tools know from TLS (2.12): for each secret a line of
//
//	LABEL identifier secret
//
// with the last two in hex. The identifier is the random of the ClientHello that the
// secret goes back to; for a stream of UDP records the bytes of their headers that
// name it follow: stream and session. Keys come from a secret as they always do (2.4).
const (
	logEarly         = "QZMQ_INITIATOR_EARLY_SECRET"
	logInitiatorHS   = "QZMQ_INITIATOR_HANDSHAKE_SECRET"
	logResponderHS   = "QZMQ_RESPONDER_HANDSHAKE_SECRET"
	logInitiatorApp  = "QZMQ_INITIATOR_TRAFFIC_SECRET_0"
	logResponderApp  = "QZMQ_RESPONDER_TRAFFIC_SECRET_0"
	logInitiatorData = "QZMQ_INITIATOR_DATA_SECRET_0"
	logResponderData = "QZMQ_RESPONDER_DATA_SECRET_0"
)

// keyLog writes the secrets of one handshake and its session. The zero value, which
// is what everybody has who did not ask, writes nothing.
type keyLog struct {
	hidden
	to     io.Writer
	random []byte // of the ClientHello
}

func (c *Config) keyLog(random []byte) keyLog {
	if c.KeyLog == nil {
		return keyLog{}
	}
	return keyLog{to: c.KeyLog, random: bytes.Clone(random)} // the message is lent
}

// write logs one secret. What the writer says is not looked at: a full disk must not
// cost the connection.
func (l keyLog) write(label string, identifier, secret []byte) {
	if l.to == nil {
		return
	}
	line := append(make([]byte, 0, len(label)+2*(len(identifier)+len(secret))+3), label...)
	line = hex.AppendEncode(append(line, ' '), identifier)
	line = hex.AppendEncode(append(line, ' '), secret)
	l.to.Write(append(line, '\n'))
	clear(line)
}

func (l keyLog) early(secret []byte) { l.write(logEarly, l.random, secret) }

func (l keyLog) handshake(t *trafficSecrets) {
	l.write(logInitiatorHS, l.random, t.initiator)
	l.write(logResponderHS, l.random, t.responder)
}

func (l keyLog) application(t *trafficSecrets) {
	l.write(logInitiatorApp, l.random, t.initiator)
	l.write(logResponderApp, l.random, t.responder)
}

// data logs the secret of a stream whose records name this session.
func (l keyLog) data(k dataKey, session uint32, secret []byte) {
	label := logInitiatorData
	if k.direction == roleResponder {
		label = logResponderData
	}
	identifier := binary.BigEndian.AppendUint16(l.random[:len(l.random):len(l.random)], k.stream)
	l.write(label, binary.BigEndian.AppendUint32(identifier, session), secret)
}

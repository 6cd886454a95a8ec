package zmtp

// Commands that a peer sends while messages flow, RFC 37. All pass through a relay
// as they are, but for subscriptions: a peer of ZMTP 3.0 knows them as messages
// only.
const (
	subscribeName = "SUBSCRIBE"
	cancelName    = "CANCEL"
	pingName      = "PING"
	pongName      = "PONG"

	maxPingContext = 16
	pingTTLLen     = 2
)

// The first byte of a subscription in the form of ZMTP 3.0.
const (
	cancelMark    = 0
	subscribeMark = 1
)

// ParseSubscription reads a subscription in either form: the command SUBSCRIBE or
// CANCEL of ZMTP 3.1, or the message of ZMTP 3.0, which only SUB and XSUB sockets
// send. ok is false for any other frame, and for a piece of one.
func ParseSubscription(f Frame) (topic []byte, subscribe, ok bool) {
	if f.Flags&More != 0 || len(f.Body) != f.Size {
		return nil, false, false
	}
	if f.Flags&Command == 0 {
		if len(f.Body) == 0 || f.Body[0] > subscribeMark {
			return nil, false, false
		}
		return f.Body[1:], f.Body[0] == subscribeMark, true
	}
	name, topic, err := ParseCommand(f.Body)
	if err != nil {
		return nil, false, false
	}
	switch string(name) {
	case subscribeName:
		return topic, true, true
	case cancelName:
		return topic, false, true
	}
	return nil, false, false
}

// AppendSubscription appends a subscription as a peer of this minor version of
// ZMTP 3 knows it: a message for 0, a command from 1 on.
func AppendSubscription(dst []byte, minor uint8, topic []byte, subscribe bool) []byte {
	if minor > 0 {
		name := cancelName
		if subscribe {
			name = subscribeName
		}
		return AppendCommand(dst, name, topic)
	}
	return append(appendSubscriptionHead(dst, len(topic), subscribe), topic...)
}

// asMessage turns the command of a subscription into the message of ZMTP 3.0, in
// the memory of its frame, where it needs less room. It gives nil for any other
// command.
func asMessage(frame, body []byte) []byte {
	topic, subscribe, ok := ParseSubscription(Frame{Flags: Command, Size: len(body), Body: body})
	if !ok {
		return nil
	}
	var head [maxHeaderLen + 1]byte
	h := appendSubscriptionHead(head[:0], len(topic), subscribe)
	start := len(frame) - len(topic) - len(h)
	copy(frame[start:], h)
	return frame[start:]
}

// appendSubscriptionHead appends what stands before a topic of n bytes in a message.
func appendSubscriptionHead(dst []byte, n int, subscribe bool) []byte {
	mark := byte(cancelMark)
	if subscribe {
		mark = subscribeMark
	}
	return append(AppendHeader(dst, 0, 1+n), mark)
}

// Pong gives the body of the answer to a PING: its context, of at most 16 bytes.
// ok is false for what is no PING.
func Pong(ping []byte) (context []byte, ok bool) {
	if len(ping) < pingTTLLen || len(ping) > pingTTLLen+maxPingContext {
		return nil, false
	}
	return ping[pingTTLLen:], true
}

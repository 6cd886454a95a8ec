package zmtp

// checkTraffic holds a command that comes from a plain connection, or goes to one,
// to its place: what belongs to handshakes would be taken for one by a careless
// peer, and what belongs to a session would end up inside it.
func checkTraffic(body []byte) error {
	name, _, err := ParseCommand(body)
	if err != nil {
		return err
	}
	switch string(name) {
	case handshakeName, alertName, updateName, switchName, renewName, // the session's own
		readyName, errorName, "HELLO", "WELCOME", "INITIATE": // NULL, PLAIN and CURVE
		return ErrUnexpected
	}
	return nil
}

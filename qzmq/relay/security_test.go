package relay

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// What libzmq tests of CURVE, PLAIN, NULL and ZAP, asked of a relay, and what it does
// not. After each attack a well-behaved client is served as before.

// greetingOf is a greeting with any mechanism and role.
func greetingOf(major byte, mechanism string, asServer byte) []byte {
	g := make([]byte, zmtp.GreetingLen)
	copy(g, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f")
	g[10], g[11] = major, 1
	copy(g[12:32], mechanism)
	g[32] = asServer
	return g
}

func command(name, body string) string { return string(zmtp.AppendCommand(nil, name, []byte(body))) }

const readyBody = "\x0bSocket-Type\x00\x00\x00\x06DEALER"

// Whoever does not call the far relay by its name gets not one byte, and delivers
// nothing.
func TestStrangersGetSilence(t *testing.T) {
	s := newSite(t, nil)
	qzmq := string(greetingOf(3, "QZMQ1", 0))
	for name, b := range map[string]string{
		"NULL":                          string(greetingOf(3, "NULL", 0)) + command("READY", readyBody) + "\x00\x08injected",
		"PLAIN":                         string(greetingOf(3, "PLAIN", 0)) + command("HELLO", "\x05admin\x05admin"),
		"CURVE":                         string(greetingOf(3, "CURVE", 0)) + command("HELLO", "\x01\x00"+strings.Repeat("\x00", 192)),
		"a later version":               string(greetingOf(3, "QZMQ2", 0)),
		"ZMTP 2":                        "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x05\x00\x00\x00\x08injected",
		"a message of ZMTP 1":           "\x01\x00\x09\x00injected",
		"HTTP":                          "GET / HTTP/1.1\r\n\r\n",
		"the responder's part":          string(greetingOf(3, "QZMQ1", 1)),
		"a message for a ClientHello":   qzmq + "\x00\x08injected",
		"READY for a ClientHello":       qzmq + command("READY", readyBody),
		"an empty ClientHello":          qzmq + command("HANDSHAKE", ""),
		"a ClientHello of wrong length": qzmq + command("HANDSHAKE", "\x01\x00\x05\x00"+strings.Repeat("\x00", 1000)),
		"a ClientHello for nobody":      qzmq + command("HANDSHAKE", "\x01\x00\x04\x00"+strings.Repeat("\x00", 1024)),
		"another name of the command":   qzmq + command("HELLO", "\x01\x00\x04\x00"+strings.Repeat("\x00", 1024)),
		"a record before the handshake": qzmq + command("MESSAGE", strings.Repeat("\x00", 100)),
		"a command of 2^62":             qzmq + "\x06\x40\x00\x00\x00\x00\x00\x00\x00",
	} {
		if answer := says(t, s.far.Endpoint(), []byte(b)); len(answer) > 0 {
			t.Errorf("%s is answered %q", name, answer)
		}
		s.healthy()
	}
	if got := s.delivered(); len(got) > 0 {
		t.Errorf("delivered were %q", got)
	}
}

// A plain program in front of a near relay that does not speak NULL is refused.
func TestPlainSideMismatch(t *testing.T) {
	s := newSite(t, nil)
	null := string(greetingOf(3, "NULL", 0))
	long := string(binary.BigEndian.AppendUint64([]byte{2}, 1<<63-1))
	for _, b := range map[string]string{
		"PLAIN":             string(greetingOf(3, "PLAIN", 0)) + command("HELLO", "\x05admin\x05admin"),
		"CURVE":             string(greetingOf(3, "CURVE", 0)),
		"QZMQ1":             string(greetingOf(3, "QZMQ1", 0)),
		"ZMTP 1":            "\x01\x00\x09\x00injected",
		"no READY":          null + "\x00\x08injected",
		"a READY of 16 KiB": null + string(binary.BigEndian.AppendUint64([]byte{6}, 16<<10+7)),
		"2^63-1 bytes":      null + command("READY", readyBody) + long,
		"MORE without end":  null + command("READY", readyBody) + strings.Repeat("\x01\x00", maxParts+2),
		"a session's ALERT": null + command("READY", readyBody) + command("ALERT", "\x00"),
		"READY twice":       null + command("READY", readyBody) + command("READY", readyBody+"\x07User-Id\x00\x00\x00\x04root"),
		"flags of a record": null + command("READY", readyBody) + "\x08\x01x",
	} {
		says(t, s.near.Endpoint(), []byte(b))
		s.healthy()
	}
	if got := s.delivered(); len(got) > 0 {
		t.Errorf("delivered were %q", got)
	}
}

// Who may not in is told so and no more, and the operator is told why.
func TestUnknownKey(t *testing.T) {
	s := newSite(t, nil)
	stranger := newIdentity(t)
	for range 3 {
		_, err := s.initiate(stranger, nil, nil)
		var told *handshake.PeerAlert
		if !errors.As(err, &told) || !told.Sealed || told.Code != handshake.AlertAccessDenied {
			t.Errorf("a stranger hears %v", err)
		}
	}
	_, err := s.initiate(s.nearID, nil, func(c *handshake.Config) { c.Peer = stranger.Fingerprint() })
	if !errors.Is(err, zmtp.ErrTruncated) {
		t.Errorf("who calls another hears %v", err)
	}
	for name, change := range map[string]func(*handshake.Config){
		"another purpose": func(c *handshake.Config) { c.Purpose = handshake.PurposeLink },
		"another service": func(c *handshake.Config) { c.Service = "other" },
	} {
		_, err := s.initiate(s.nearID, nil, change)
		var told *handshake.PeerAlert
		if !errors.As(err, &told) || told.Code != handshake.AlertWrongPurpose {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.healthy()
	s.far.counts(t, "denied", 3) // who is refused hears of it before it is counted
	s.far.counts(t, "wrong_purpose", 2)
	if n := s.far.Stats().Handshakes; n["denied"] != 3 || n["wrong_purpose"] != 2 {
		t.Errorf("counted were %v", n)
	}
	if n := strings.Count(s.log.String(), "not authorised"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, s.log.String())
	}
}

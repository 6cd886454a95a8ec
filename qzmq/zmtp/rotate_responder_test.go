package zmtp

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

func TestRotationWithAHostileInitiator(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	for _, c := range []struct {
		name string
		act  func(p puppet)
		want outcome // with no refusal, of the session alone
	}{
		{"tampered ClientKey", func(p puppet) {
			m, answer := p.toServerHello()
			key, _ := handle(p.t, m, answer)
			p.say(handshakeName, flip(key))
			p.hears(handshakeName)
		}, outcome{refused: true, err: handshake.ErrOpen}},
		{"alert for ClientKey", func(p puppet) {
			p.toServerHello()
			p.say(handshakeName, forgedAlert)
		}, outcome{refused: true, err: ErrRefused}},
		{"ClientHello twice", func(p puppet) {
			_, hello := p.initiator()
			p.say(handshakeName, hello)
			p.hears(handshakeName)
			p.say(handshakeName, hello)
			p.hears(handshakeName)
		}, outcome{refused: true, err: handshake.ErrUnexpectedMessage}},
		{"nothing for ClientKey", func(p puppet) {
			p.toServerHello()
			p.say(handshakeName, nil)
			p.hears(handshakeName)
		}, outcome{refused: true, err: handshake.ErrMalformed}},
		{"for another suite", func(p puppet) {
			s := handshake.DefaultSuite()
			s.AEAD = 2
			p.c.config.Suites = []handshake.Suite{s}
			_, hello := p.initiator()
			p.c.config.Suites = nil
			p.say(handshakeName, hello)
			p.hears(handshakeName)
		}, outcome{refused: true, err: handshake.ErrNoCommonSuite}},
		{"tampered ClientHello", func(p puppet) {
			_, hello := p.initiator()
			p.say(handshakeName, flip(hello))
			p.hears(alertName)
		}, outcome{err: ErrUnexpected}},
		{"a flood of rotations", func(p puppet) {
			p.toServerHello()
			p.say(handshakeName, forgedAlert)
			_, hello := p.initiator()
			p.say(handshakeName, hello)
			p.hears(alertName)
		}, outcome{err: ErrUnexpected}},
		{"SWITCH out of nothing", func(p puppet) {
			p.say(switchName, nil)
			p.hears(alertName)
		}, outcome{err: ErrUnexpected}},
		{"SWITCH before ClientKey", func(p puppet) {
			p.toServerHello()
			p.say(switchName, nil)
			p.hears(alertName)
		}, outcome{err: ErrUnexpected}},
		{"RENEW of the initiator's", func(p puppet) {
			p.say(renewName, nil)
			p.hears(alertName)
		}, outcome{err: ErrUnexpected}},
		{"a message in the place of SWITCH", func(p puppet) {
			m, answer := p.toServerHello()
			key, _ := handle(p.t, m, answer)
			p.say(handshakeName, key)
			_, session := handle(p.t, m, p.hears(handshakeName))
			_, p.c.opener = session.Records()
			p.say(handshakeName, key)
			p.hears(alertName)
		}, outcome{err: ErrUnexpected}},
		{"new keys before SWITCH", func(p puppet) {
			m, answer := p.toServerHello()
			key, _ := handle(p.t, m, answer)
			p.say(handshakeName, key)
			_, session := handle(p.t, m, p.hears(handshakeName))
			p.c.sealer, p.c.opener = session.Records()
			p.say("NEW", nil)
			p.hears(alertName)
		}, outcome{err: record.ErrBadRecord}},
		{"old keys after SWITCH", func(p puppet) {
			m, answer := p.toServerHello()
			key, _ := handle(p.t, m, answer)
			p.say(handshakeName, key)
			_, session := handle(p.t, m, p.hears(handshakeName))
			_, p.c.opener = session.Records()
			p.say(switchName, nil)
			p.say("OLD", nil)
			p.hears(alertName)
		}, outcome{err: record.ErrBadRecord}},
		{"SWITCH twice", func(p puppet) {
			m, answer := p.toServerHello()
			key, _ := handle(p.t, m, answer)
			p.say(handshakeName, key)
			_, session := handle(p.t, m, p.hears(handshakeName))
			p.say(switchName, nil)
			p.c.sealer, p.c.opener = session.Records()
			p.say(switchName, nil)
			p.hears(alertName)
		}, outcome{err: ErrUnexpected}},
		{"a frame behind SWITCH", func(p puppet) {
			sealed(append(AppendCommand(nil, switchName, nil), 0, 0)...)(p.c)
			p.hears(alertName)
		}, outcome{err: ErrPadding}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ca, cb := sessionsOver(t, tcpPipe)
			told := tellBoth(t, Options{}, cb)
			ended := make(chan error, 1)
			go func() { _, err := readAll(cb); ended <- err }()
			c.act(puppet{t, ca})
			if c.want.refused {
				c.want.check(t, cb, ca, told, ended)
				return
			}
			ca.nc.Close()
			if err := <-ended; !errors.Is(err, c.want.err) {
				t.Errorf("the session ends with %v", err)
			}
		})
	}
}

// Who was revoked meanwhile is refused, sealed, and the session goes on until
// its owner ends it; so with a policy that has changed, or an identity.
func TestRotationIsJudgedAnew(t *testing.T) {
	denied := func(handshake.Fingerprint) bool { return false }
	for _, c := range []struct {
		name   string
		change func(ca, cb *Conn)
		alert  handshake.Alert
		err    error
	}{
		{"revoked", func(_, cb *Conn) { cb.config.Authorize = denied }, handshake.AlertAccessDenied, handshake.ErrAccessDenied},
		{"other door", func(_, cb *Conn) { cb.config.Service = "other" }, handshake.AlertWrongPurpose, handshake.ErrWrongService},
		{"initiator's new key", func(ca, _ *Conn) { ca.config.Identity = site(t) }, handshake.AlertNone, nil},
		{"initiator's new peer", func(ca, _ *Conn) { ca.config.Peer = site(t).Fingerprint() }, handshake.AlertNone, nil},
	} {
		ca, cb := sessionsOver(t, tcpPipe)
		told := tellBoth(t, Options{}, cb)
		go readAll(ca)
		ended := make(chan error, 1)
		go func() { _, err := readAll(cb); ended <- err }()
		before := ca.Session()
		c.change(ca, cb)
		err := ca.Rotate(context.Background())
		var alert *handshake.PeerAlert
		switch {
		case !errors.Is(err, ErrRefused) || ca.Session() != before:
			t.Errorf("%s: %v", c.name, err)
		case c.err == nil && !errors.Is(err, handshake.ErrIdentityChanged):
			t.Errorf("%s: %v", c.name, err)
		case c.err != nil && (!errors.As(err, &alert) || alert.Code != c.alert || !alert.Sealed):
			t.Errorf("%s: %v", c.name, err)
		}
		if c.err != nil {
			if err := <-told; !errors.Is(err, c.err) || !errors.Is(err, ErrRefused) {
				t.Errorf("%s: the responder says %v", c.name, err)
			}
		}
		if err := ca.WriteCommand("STILL", nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		ca.Close()
		if err := <-ended; err == nil || strings.Contains(err.Error(), "superseded") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

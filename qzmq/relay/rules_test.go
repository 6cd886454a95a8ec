package relay

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// subscriber is metadata of a SUB, or of what else is said.
func metadataOf(kind, identity string) zmtp.Metadata {
	m := zmtp.Metadata{{Name: "Socket-Type", Value: []byte(kind)}}
	if identity != "" {
		m = m.With("Identity", []byte(identity))
	}
	return m
}

func TestRulesAdmit(t *testing.T) {
	rules := &Rules{SocketTypes: []string{"SUB", "DEALER"}, Identities: []string{"desk-1"}}
	for _, tc := range []struct {
		rules *Rules
		said  zmtp.Metadata
		in    bool
	}{
		{nil, metadataOf("PAIR", "anybody"), true},
		{&Rules{}, metadataOf("PAIR", "anybody"), true},
		{rules, metadataOf("SUB", ""), true},
		{rules, metadataOf("DEALER", "desk-1"), true},
		{rules, metadataOf("DEALER", "desk-2"), false},
		{rules, metadataOf("XSUB", ""), false},
		{rules, nil, false},
		{&Rules{SocketTypes: []string{}}, metadataOf("SUB", ""), false},
	} {
		err := tc.rules.admit(tc.said)
		if (err == nil) != tc.in || err != nil && !errors.Is(err, handshake.ErrAccessDenied) {
			t.Errorf("%+v, %v: %v", tc.rules, tc.said, err)
		}
	}
}

// Subscriptions in both forms, alone and among others, however runs are cut.
func TestRulesTopics(t *testing.T) {
	rules := &Rules{Topics: []string{"eu.", "us.tech"}}
	message := func(topic string, subscribe bool) []byte {
		return zmtp.AppendSubscription(nil, 0, []byte(topic), subscribe)
	}
	long := bytes.Repeat([]byte("x"), 300)
	for _, tc := range []struct {
		name string
		runs [][]byte
		ok   bool
	}{
		{"one", [][]byte{message("eu.banks", true)}, true},
		{"the beginning alone", [][]byte{message("us.", true)}, false},
		{"everything", [][]byte{message("", true)}, false},
		{"another", [][]byte{message("asia", true)}, false},
		{"a withdrawal of another", [][]byte{message("asia", false)}, true},
		{"the second", [][]byte{append(message("eu.", true), message("asia", true)...)}, false},
		{"in the next run", [][]byte{message("eu.", true), message("asia", true)}, false},
		{"a message that is none", [][]byte{[]byte("\x00\x02\x02x"), []byte("\x00\x00")}, true},
		{"a later part is none", [][]byte{[]byte("\x01\x02\x02x\x00\x05\x01asia")}, true},
		{"a later part in the next run", [][]byte{[]byte("\x01\x02\x02x"), []byte("\x00\x05\x01asia")}, true},
		{"a frame that goes on", [][]byte{append([]byte{2, 0, 0, 0, 0, 0, 1, 0, 0}, long...)}, false},
	} {
		s := rules.watch(metadataOf("SUB", ""))
		var err error
		for _, b := range tc.runs {
			if err == nil {
				err = s.allow(&zmtp.Run{Wire: b})
			}
		}
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, errTopic) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	for topic, ok := range map[string]bool{"eu.banks": true, "asia": false} {
		wire := zmtp.AppendSubscription(nil, 1, []byte(topic), true)
		if err := rules.watch(metadataOf("XSUB", "")).allow(&zmtp.Run{Wire: wire, Command: wire[2:]}); (err == nil) != ok {
			t.Errorf("the command for %q: %v", topic, err)
		}
	}
	if rules.watch(metadataOf("DEALER", "")) != nil || (&Rules{}).watch(metadataOf("SUB", "")) != nil {
		t.Error("what cannot subscribe is watched, or what may everything")
	}
}

// Rules end to end: who asks for what it may not is refused, or cut.
func TestRules(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.RulesOf = func(handshake.Fingerprint, *handshake.Certificate) *Rules {
			return &Rules{SocketTypes: []string{"PAIR", "SUB"}, Identities: []string{"desk-1"}, Topics: []string{"eu."}}
		}
	})
	as := func(m zmtp.Metadata) (*zmtp.Conn, error) {
		return s.initiate(s.nearID, nil, func(c *handshake.Config) { c.Metadata = m.Append(nil) })
	}
	for _, m := range []zmtp.Metadata{metadataOf("DEALER", ""), metadataOf("PAIR", "desk-2")} {
		_, err := as(m)
		var told *handshake.PeerAlert
		if !errors.As(err, &told) || told.Code != handshake.AlertAccessDenied {
			t.Errorf("%v: %v", m, err)
		}
	}
	conn, err := as(metadataOf("SUB", "desk-1"))
	if err != nil {
		t.Fatal(err)
	}
	conn.WriteCommand("SUBSCRIBE", []byte("eu.banks"))
	if m, err := conn.ReadMessage(); err != nil || string(m.Parts[0]) != "\x01eu.banks" {
		t.Errorf("the program has %q, %v", m, err)
	}
	conn.WriteMessage([]byte("\x01asia"))
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	var told *zmtp.ClosedError
	if _, err := conn.ReadMessage(); !errors.As(err, &told) || told.Alert != handshake.AlertAccessDenied {
		t.Errorf("who subscribes to another hears %v", err)
	}
	if got := s.delivered(); len(got) != 1 {
		t.Errorf("delivered were %q", got)
	}
	for end := time.Now().Add(5 * time.Second); s.far.Stats().Ended["denied"] != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("counted were %v", s.far.Stats().Ended)
		}
	}
	s.healthy()
}

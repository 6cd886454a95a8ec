package qzmq

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestSocketOptions(t *testing.T) {
	a, _ := sites(t, true, nil)
	if err := a.SetOption("sndhwm", 7); err != nil {
		t.Error(err)
	}
	s := open(t, a, DEALER)
	for _, test := range []struct {
		key        string
		value, get any
	}{
		{"rcvhwm", 5, 5}, {"linger", 100, 100 * time.Millisecond}, {"linger", -1, time.Duration(-1)}, {"linger", time.Minute, time.Minute},
		{"identity", "me", "me"}, {"routing_id", []byte("you"), "you"}, {"immediate", 1, true}, {"conflate", false, false},
		{"maxmsgsize", -1, int64(-1)}, {"heartbeat_ttl", 1000, time.Second}, {"qzmq.peer", Fingerprint{1}, Fingerprint{1}},
	} {
		if err := s.SetOption(test.key, test.value); err != nil {
			t.Errorf("%s: %v", test.key, err)
		}
		if got, err := s.GetOption(test.key); err != nil || got != test.get {
			t.Errorf("%s is %v, %v, want %v", test.key, got, err, test.get)
		}
	}
	if got, _ := s.GetOption("sndhwm"); got != 7 {
		t.Errorf("the transport's option is %v at the socket", got)
	}
	for key, value := range map[string]any{
		"unknown": 1, "rcvhwm": -1, "sndhwm": "many", "linger": "long", "immediate": 2, "heartbeat_ttl": 10_000_000,
		"identity": strings.Repeat("x", 256), "routing_id": "\x00x", "qzmq.peer": "qz1nobody", "qzmq.role": 1, "handshake_ivl": -1, "type": PUSH,
	} {
		if err := s.SetOption(key, value); !errors.Is(err, ErrInvalidOptions) {
			t.Errorf("%s = %v: %v", key, value, err)
		}
	}
	if _, err := s.GetOption("unknown"); !errors.Is(err, ErrInvalidOptions) {
		t.Errorf("%v", err)
	}
	if err := s.Subscribe("x"); !errors.Is(err, ErrNotSupported) {
		t.Errorf("%v", err)
	}
	if got, _ := s.GetOption("type"); got != DEALER || DEALER.String() != "DEALER" || SocketType(50).String() != "UNKNOWN" {
		t.Errorf("type %v", got)
	}
	if n, _ := a.GetOption("socket_count"); n != 1 {
		t.Errorf("%v sockets", n)
	}
}

// Limits in bytes are what suits the socket's kind until they are set, and what was set after.
func TestUsualBytes(t *testing.T) {
	a, _ := sites(t, true, nil)
	reads := func(s Socket, key string, want int) {
		t.Helper()
		if got, err := s.GetOption(key); err != nil || got != want {
			t.Errorf("%s is %v, %v, want %d", key, got, err, want)
		}
	}
	for kind, want := range map[SocketType]int{
		PUSH: waitingBytes, PULL: waitingBytes, SUB: waitingBytes, REQ: waitingBytes, DEALER: waitingBytes, PAIR: waitingBytes,
		PUB: droppingBytes, XPUB: droppingBytes, XSUB: droppingBytes, ROUTER: droppingBytes, REP: droppingBytes,
	} {
		s := open(t, a, kind)
		reads(s, "qzmq.sndbytes", want)
		reads(s, "qzmq.rcvbytes", want)
		if err := s.SetOption("qzmq.sndbytes", 12345); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
		reads(s, "qzmq.sndbytes", 12345)
		reads(s, "qzmq.rcvbytes", want)
	}
	reads(open(t, a, PUB, "xpub_nodrop", true), "qzmq.sndbytes", waitingBytes)
	reads(open(t, a, PUB, "xpub_nodrop", true, "qzmq.sndbytes", 0), "qzmq.sndbytes", 0)
}

func TestEvents(t *testing.T) {
	a, _ := sites(t, true, nil)
	pull, push := open(t, a, PULL), open(t, a, PUSH, "sndhwm", 1)
	pull.SetOption("rcvhwm", 1)
	is := func(s Socket, want int) {
		t.Helper()
		if got, _ := s.GetOption("events"); got != want {
			t.Errorf("events %v, want %d", got, want)
		}
	}
	is(push, 0)
	is(pull, 0)
	connect(t, push, bind(t, pull, "inproc://events"))
	is(push, PollOut)
	send(t, push, "1")
	is(pull, PollIn)
	is(pull, PollIn)
	send(t, push, "2")
	is(push, 0)
	expect(t, pull, "1")
	expect(t, pull, "2")
	is(pull, 0)
	is(push, PollOut)
}

func TestUnbindAndDisconnect(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *transport, url string) {
		pull, push := open(t, b, PULL), open(t, a, PUSH, "sndtimeo", 50)
		url = bind(t, pull, url)
		connect(t, push, url)
		send(t, push, "1")
		expect(t, pull, "1")
		if err := push.Disconnect(url); err != nil {
			t.Fatal(err)
		}
		if err := push.Send(nil); !errors.Is(err, ErrTimeout) {
			t.Errorf("after Disconnect: %v", err)
		}
		connect(t, push, url)
		send(t, push, "2")
		expect(t, pull, "2")
		if err := pull.Unbind(url); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(pull.Unbind(url), push.Disconnect("tcp://127.0.0.1:1")); !errors.Is(err, ErrInvalidOptions) {
			t.Errorf("%v", err)
		}
		bind(t, pull, url) // the address is free again
	})
}

func TestLatencyAndLog(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil)) // which has a lock of its own
	a, b := sites(t, false, func(o *Options) { o.Log = logger })
	rep, req := open(t, b, REP), open(t, a, REQ)
	connect(t, req, bind(t, rep, tcp))
	send(t, req, "x")
	expect(t, rep, "x")
	send(t, rep, "yy")
	expect(t, req, "yy")
	m := req.GetMetrics()
	if m.AverageLatency <= 0 || m.MessagesSent != 1 || m.MessagesReceived != 1 || m.BytesSent != 1 || m.BytesReceived != 2 {
		t.Errorf("%+v", m)
	}
	a.Close()
	b.Close()
	if !strings.Contains(log.String(), "connected") {
		t.Errorf("the log has %q", log.String())
	}
}

package qzmq

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
)

func TestProxy(t *testing.T) {
	a, b := sites(t, false, nil)
	front, back := open(t, b, ROUTER, "rcvtimeo", -1), open(t, b, DEALER, "rcvtimeo", -1)
	control, pilot := open(t, b, REP, "rcvtimeo", -1), open(t, b, REQ)
	capture, taken := open(t, b, PUB), open(t, b, SUB)
	taken.Subscribe("")
	connect(t, taken, bind(t, capture, "inproc://capture"))
	subscribed(t, capture, 1)
	connect(t, pilot, bind(t, control, "inproc://control"))
	frontURL, backURL := bind(t, front, tcp), bind(t, back, tcp)
	done := make(chan error, 1)
	go func() { done <- ProxySteerable(context.Background(), front, back, capture, control) }()
	req, rep := open(t, a, REQ), open(t, a, REP)
	connect(t, req, frontURL)
	connect(t, rep, backURL)
	for range 3 {
		send(t, req, "question")
		expect(t, rep, "question")
		send(t, rep, "answer")
		expect(t, req, "answer")
	}
	for range 3 {
		if m := recv(t, taken); !strings.HasSuffix(m, "||question") {
			t.Errorf("captured %q", m)
		}
		if m := recv(t, taken); !strings.HasSuffix(m, "||answer") {
			t.Errorf("captured %q", m)
		}
	}
	steer := func(command string) [][]byte {
		send(t, pilot, command)
		m, err := pilot.RecvMultipart()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	stats := steer("STATISTICS")
	if len(stats) != 8 || binary.LittleEndian.Uint64(stats[0]) != 3 || binary.LittleEndian.Uint64(stats[2]) != 3 || binary.LittleEndian.Uint64(stats[1]) != 3*(5+8) {
		t.Errorf("%v", stats)
	}
	steer("PAUSE")
	send(t, req, "later")
	silent(t, rep)
	steer("RESUME")
	expect(t, rep, "later")
	steer("TERMINATE")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestProxySubscriptions(t *testing.T) {
	a, b := sites(t, false, nil)
	xsub, xpub := open(t, b, XSUB, "rcvtimeo", -1), open(t, b, XPUB, "rcvtimeo", -1)
	xsubURL, xpubURL := bind(t, xsub, tcp), bind(t, xpub, tcp)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Proxy(ctx, xsub, xpub, nil) }()
	pub, sub := open(t, a, PUB), open(t, a, SUB)
	connect(t, pub, xsubURL)
	sub.Subscribe("x")
	connect(t, sub, xpubURL)
	subscribed(t, pub, 1)
	send(t, pub, "y")
	send(t, pub, "x", "1")
	expect(t, sub, "x|1")
	sub.Close()
	subscribed(t, pub, 0)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

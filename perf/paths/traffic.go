package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/qzmq/gateway/perf/lab"
)

// run is one measurement: how much crossed in which time, and who worked for it.
type run struct {
	amount      float64 // bytes of bulk, packets, or messages
	seconds     float64
	retransmits float64
	used        lab.Account
}

func (r run) rate() float64 { return r.amount / r.seconds }

// cost is CPU seconds of everything per amount.
func (r run) cost() float64 { return r.used.All.Seconds() / r.amount }

var errNothing = errors.New("nothing arrived")

// bulk is TCP at full speed from host A to host B.
func bulk(l *lab.Lab, flows int, seconds float64) (r run, err error) {
	server, err := l.Start("host-b", nil, "iperf3", "--server", "--one-off", "--forceflush")
	if err != nil {
		return r, err
	}
	defer server.End()
	if err := server.Says("listening", 5*time.Second); err != nil {
		return r, err
	}
	var report struct {
		End struct {
			Received struct{ Bytes, Seconds float64 } `json:"sum_received"`
			Sent     struct{ Retransmits float64 }    `json:"sum_sent"`
		}
	}
	r.used, err = l.Watch(func() error {
		out, err := l.Run("host-a", "iperf3", "--client", lab.HostB, "--time", fmt.Sprint(max(1, int(seconds))),
			"--parallel", fmt.Sprint(flows), "--json", "--connect-timeout", "3000")
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(out), &report)
	})
	if err != nil {
		return r, err
	}
	r.amount, r.seconds, r.retransmits = report.End.Received.Bytes, report.End.Received.Seconds, report.End.Sent.Retransmits
	return r.arrived()
}

// flood is UDP with 64 bytes of payload, sent as fast as host A can. What counts is
// what host B gets.
func flood(l *lab.Lab, seconds float64) (r run, err error) {
	program, err := l.Workshop().C("udp")
	if err != nil {
		return r, err
	}
	receiver, err := l.Start("host-b", nil, program, "receive", "7001", fmt.Sprint(seconds+3))
	if err != nil {
		return r, err
	}
	defer receiver.End()
	if err := receiver.Says("listening", 5*time.Second); err != nil {
		return r, err
	}
	r.used, err = l.Watch(func() error {
		_, err := l.Run("host-a", program, "send", lab.HostB, "7001", fmt.Sprint(seconds), "64")
		return err
	})
	if err != nil {
		return r, err
	}
	out, err := receiver.Result(10 * time.Second)
	if err != nil {
		return r, err
	}
	return r.read(out)
}

// messages are of 64 bytes on 64 TCP connections, each answered before the next.
func messages(l *lab.Lab, seconds float64) (r run, err error) {
	program, err := l.Workshop().C("pingpong")
	if err != nil {
		return r, err
	}
	echo, err := l.Start("host-b", nil, program, "echo", "7002")
	if err != nil {
		return r, err
	}
	defer echo.End()
	if err := echo.Says("listening", 5*time.Second); err != nil {
		return r, err
	}
	var out string
	r.used, err = l.Watch(func() (err error) {
		out, err = l.Run("host-a", program, "ask", lab.HostB, "7002", "64", fmt.Sprint(seconds), "64")
		return err
	})
	if err != nil {
		return r, err
	}
	return r.read(out)
}

// read takes in what our own programs print: an amount and the seconds it took.
func (r run) read(out string) (run, error) {
	if _, err := fmt.Sscan(out, &r.amount, &r.seconds); err != nil {
		return r, fmt.Errorf("a program prints %q: %w", out, err)
	}
	return r.arrived()
}

func (r run) arrived() (run, error) {
	if r.amount <= 0 || r.seconds <= 0 {
		return r, errNothing
	}
	return r, nil
}

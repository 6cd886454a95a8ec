package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/qzmq/gateway/perf/ends"
	"github.com/qzmq/gateway/qzmq"
)

// programName makes this program one end of a measurement, behind the directory where
// the keys of both ends are.
const programName = "qzmq-program"

func beProgram(args []string) int {
	if err := play(args); err != nil {
		fmt.Fprintln(os.Stderr, programName+":", err)
		return 1
	}
	return 0
}

func play(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: DIR PART ARGUMENTS")
	}
	l := library{dir: args[0]}
	switch args = args[1:]; {
	case len(args) == 2 && args[0] == "router":
		return router(l, args[1])
	case len(args) == 4 && args[0] == "fleet":
		return fleet(l, args[1]+":"+args[2], args[3])
	}
	return ends.Play(args, l, os.Stdin, os.Stdout)
}

// Key files: the binding end's and the connecting end's.
const (
	boundKey     = "bound.key"
	connectedKey = "connected.key"
)

func writeKeys(dir string) error {
	for _, name := range []string{boundKey, connectedKey} {
		id, err := qzmq.GenerateIdentity()
		if err != nil {
			return err
		}
		if err := qzmq.SaveIdentity(filepath.Join(dir, name), id); err != nil {
			return err
		}
	}
	return nil
}

// library is package qzmq, each end with a key of its own and pinned to the other's.
type library struct{ dir string }

func (l library) keys() (bound, connected *qzmq.Identity, err error) {
	bound, err1 := qzmq.LoadIdentity(filepath.Join(l.dir, boundKey))
	connected, err2 := qzmq.LoadIdentity(filepath.Join(l.dir, connectedKey))
	return bound, connected, errors.Join(err1, err2)
}

func (l library) Bind(kind, address string, queue int) (ends.Socket, error) {
	bound, connected, err := l.keys()
	if err != nil {
		return nil, err
	}
	o := qzmq.DefaultOptions()
	o.Identity, o.Allow = bound, []qzmq.Fingerprint{connected.Fingerprint()}
	s, err := open(o, kind, queue)
	if err != nil {
		return nil, err
	}
	return s, s.Bind("tcp://" + address)
}

func (l library) Connect(kind, address string, queue int) (ends.Socket, error) {
	bound, connected, err := l.keys()
	if err != nil {
		return nil, err
	}
	o := qzmq.DefaultOptions()
	o.Identity, o.Peer = connected, bound.Fingerprint()
	s, err := open(o, kind, queue)
	if err != nil {
		return nil, err
	}
	return s, s.Connect("tcp://" + address)
}

// patience is that of perf/traffic/zmq.c.
const patience = 10 * time.Second

func open(o qzmq.Options, kind string, queue int) (qzmq.Socket, error) {
	kinds := map[string]qzmq.SocketType{
		"PUSH": qzmq.PUSH, "PULL": qzmq.PULL, "REQ": qzmq.REQ, "REP": qzmq.REP,
		"PUB": qzmq.PUB, ends.Patient: qzmq.PUB, "SUB": qzmq.SUB, "ROUTER": qzmq.ROUTER,
	}
	k, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("no socket of kind %s", kind)
	}
	t, err := qzmq.New(o)
	if err != nil {
		return nil, err
	}
	s, err := t.NewSocket(k)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{"sndhwm": queue, "rcvhwm": queue, "sndtimeo": patience, "rcvtimeo": patience, "linger": patience} {
		err = errors.Join(err, s.SetOption(name, value))
	}
	switch kind {
	case "SUB":
		err = errors.Join(err, s.Subscribe(""))
	case ends.Patient:
		err = errors.Join(err, s.SetOption("xpub_nodrop", true))
	}
	return s, err
}

// router answers what comes, until its input ends, and prints what memory the first
// message "measure" has found a client to take, in bytes, and how many there were.
func router(l library, port string) error {
	bound, _, err := l.keys()
	if err != nil {
		return err
	}
	o := qzmq.DefaultOptions()
	o.Identity = bound
	o.Authorize = func(context.Context, qzmq.Peer) error { return nil } // every client has a key of its own
	s, err := open(o, "ROUTER", 1000)
	if err != nil {
		return err
	}
	if err := errors.Join(s.SetOption("rcvtimeo", -1), s.Bind("tcp://127.0.0.1:"+port)); err != nil {
		return err
	}
	before, err := resident()
	if err != nil {
		return err
	}
	fmt.Println("listening")
	over, stop := context.WithCancel(context.Background())
	go func() {
		var all [64]byte
		for {
			if _, err := os.Stdin.Read(all[:]); err != nil {
				stop()
				return
			}
		}
	}()
	clients, each := map[string]struct{}{}, 0.0
	for m, err := range s.Messages(over) {
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		clients[string(m.Parts[0])] = struct{}{}
		if string(m.Parts[len(m.Parts)-1]) == measureNow {
			time.Sleep(settle)
			now, err := resident()
			if err != nil {
				return err
			}
			each = (now - before) / float64(len(clients))
		}
		if err := s.SendMultipart(m.Parts); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	fmt.Println(each, len(clients))
	return s.Close()
}

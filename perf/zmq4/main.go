// Command zmq4 is perf/traffic/zmq.c with the sockets of github.com/go-zeromq/zmq4 in
// clear: what a Go program without cgo had before.
//
// It is a module of its own: nobody maintains the library, and one packet from anybody
// ends a program that listens with it, so the product shall not even name it in its go.mod.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/qzmq/gateway/perf/ends"
)

func main() {
	if err := ends.Play(os.Args[1:], library{}, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "zmq4:", err)
		os.Exit(1)
	}
}

type library struct{}

func (library) Bind(kind, address string, queue int) (ends.Socket, error) {
	s, err := open(kind, queue)
	if err != nil {
		return nil, err
	}
	return socket{s}, s.Listen("tcp://" + address)
}

func (library) Connect(kind, address string, queue int) (ends.Socket, error) {
	s, err := open(kind, queue)
	if err != nil {
		return nil, err
	}
	return socket{s}, s.Dial("tcp://" + address)
}

// open makes a socket. Only PUB has a queue that can be bounded: the others write into
// the connection and read ten messages ahead.
func open(kind string, queue int) (zmq4.Socket, error) {
	makers := map[string]func(context.Context, ...zmq4.Option) zmq4.Socket{
		"PUSH": zmq4.NewPush, "PULL": zmq4.NewPull, "REQ": zmq4.NewReq, "REP": zmq4.NewRep, "PUB": zmq4.NewPub, ends.Patient: zmq4.NewPub, "SUB": zmq4.NewSub,
	}
	if makers[kind] == nil {
		return nil, fmt.Errorf("no socket of kind %s", kind)
	}
	s := makers[kind](context.Background(), zmq4.WithTimeout(10*time.Second))
	switch kind {
	case "PUB", ends.Patient:
		return s, s.SetOption(zmq4.OptionHWM, queue)
	case "SUB":
		return s, s.SetOption(zmq4.OptionSubscribe, "")
	}
	return s, nil
}

type socket struct{ zmq4.Socket }

// Send hands the library a copy where it keeps the memory that it is given.
func (s socket) Send(message []byte) error {
	if s.Type() == zmq4.Pub {
		message = append([]byte{}, message...)
	}
	return s.Socket.Send(zmq4.NewMsg(message))
}

func (s socket) Recv() ([]byte, error) {
	m, err := s.Socket.Recv()
	if err != nil {
		return nil, err
	}
	return m.Bytes(), nil
}

// Close leaves out that the publisher was first, which is no error of anybody's.
func (s socket) Close() error {
	if err := s.Socket.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

package qzmq

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

// endpoint is where a socket binds or connects:
//
//	tcp://HOST:PORT   HOST may be *, PORT * or 0, where it binds
//	ipc://PATH        @NAME is a name of the abstract namespace
//	inproc://NAME     a socket of the same Transport
//
// qzmq+tcp:// and qzmq+ipc:// mean the same and say that it is not plaintext.
type endpoint struct {
	network string // tcp, unix or inproc
	address string // as package net has it
	sealed  bool   // the URL says so
}

// maxPath is what Linux has room for in the address of a unix socket.
const maxPath = 107

func parseEndpoint(s string) (endpoint, error) {
	wrong := func(format string, args ...any) (endpoint, error) {
		return endpoint{}, fmt.Errorf("%w: endpoint %q: %w", ErrInvalidOptions, s, fmt.Errorf(format, args...))
	}
	rest, sealed := strings.CutPrefix(s, "qzmq+")
	scheme, address, ok := strings.Cut(rest, "://")
	switch {
	case !ok || address == "":
		return wrong("is no URL such as tcp://127.0.0.1:5555")
	case scheme == "inproc" && !sealed:
		return endpoint{network: "inproc", address: address}, nil
	case scheme == "ipc":
		if address == "@" || len(address) > maxPath || strings.ContainsRune(address, 0) {
			return wrong("the path of a socket has 1 to %d bytes", maxPath)
		}
		return endpoint{"unix", address, sealed}, nil
	case scheme != "tcp":
		return wrong("the scheme is none of tcp, ipc and inproc")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return wrong("%w", err)
	}
	if host == "*" {
		host = ""
	} else if host == "" {
		return wrong("there is no host")
	}
	if port == "*" {
		port = "0"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return wrong("there is no port number")
	}
	return endpoint{"tcp", net.JoinHostPort(host, port), sealed}, nil
}

// String gives the URL.
func (e endpoint) String() string {
	scheme := e.network
	if e.network == "unix" {
		scheme = "ipc"
	}
	url := scheme + "://" + e.address
	if e.sealed {
		url = "qzmq+" + url
	}
	return url
}

func (e endpoint) listen(ctx context.Context) (net.Listener, error) {
	l, err := zmtp.Listen(ctx, e.network, e.address)
	if err != nil {
		return nil, fmt.Errorf("qzmq: bind %v: %w", e, err)
	}
	return l, nil
}

// bound is the endpoint that others connect to, when the kernel has chosen the port.
func (e endpoint) bound(l net.Listener) endpoint {
	if e.network == "tcp" {
		e.address = l.Addr().String()
	}
	return e
}

func (e endpoint) dial(ctx context.Context) (net.Conn, error) {
	return zmtp.Dial(ctx, e.network, e.address)
}

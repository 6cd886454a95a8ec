package relay

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/qzmq/gateway/qzmq/zmtp"
)

// Endpoint is where a relay listens or connects, as a URL:
//
//	tcp://HOST:PORT  qzmq+tcp://HOST:PORT   HOST may be * where a relay listens
//	ipc://PATH       qzmq+ipc://PATH        @NAME is a name of the abstract namespace
//
// The file of a socket gets the mode that the umask leaves; who may write to it may
// connect. A name of the abstract namespace is open to all processes of the network namespace.
type Endpoint struct {
	Sealed  bool   // QZMQ1, otherwise plain ZMTP
	Network string // tcp or unix
	Address string // as package net has it
}

const sealedPrefix = "qzmq+"

// ParseEndpoint reads a URL.
func ParseEndpoint(s string) (Endpoint, error) {
	rest, sealed := strings.CutPrefix(s, sealedPrefix)
	scheme, address, ok := strings.Cut(rest, "://")
	e := Endpoint{Sealed: sealed, Address: address}
	switch {
	case !ok:
		return Endpoint{}, fmt.Errorf("%q is no URL such as tcp://127.0.0.1:5555", s)
	case scheme == "ipc":
		e.Network = "unix"
		if address == "" || address == "@" || len(address) > maxPath || strings.ContainsRune(address, 0) {
			return Endpoint{}, fmt.Errorf("%q: the path of a socket has 1 to %d bytes", s, maxPath)
		}
		return e, nil
	case scheme != "tcp":
		return Endpoint{}, fmt.Errorf("%q is neither tcp:// nor ipc://, nor one of them after %s", s, sealedPrefix)
	}
	e.Network = "tcp"
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return Endpoint{}, fmt.Errorf("%q: %w", s, err)
	}
	if host == "*" {
		host = ""
	} else if host == "" {
		return Endpoint{}, fmt.Errorf("%q has no host", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Endpoint{}, fmt.Errorf("%q has no port number", s)
	}
	e.Address = net.JoinHostPort(host, port)
	return e, nil
}

// maxPath is what Linux has room for in the address of a unix socket.
const maxPath = 107

// String gives the URL.
func (e Endpoint) String() string {
	url, address := "tcp://", e.Address
	if e.Network == "unix" {
		url = "ipc://"
	} else if port, everywhere := strings.CutPrefix(address, ":"); everywhere {
		address = "*:" + port
	}
	if e.Sealed {
		url = sealedPrefix + url
	}
	return url + address
}

func (e Endpoint) listen(ctx context.Context) (net.Listener, error) {
	l, err := zmtp.Listen(ctx, e.Network, e.Address)
	if err != nil {
		return nil, fmt.Errorf("listen at %v: %w", e, err)
	}
	return l, nil
}

func (e Endpoint) dial(ctx context.Context) (net.Conn, error) {
	ctx, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	return zmtp.Dial(ctx, e.Network, e.Address)
}

const dialTimeout = 5 * time.Second

package zmtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// keepAlive finds out within half a minute about a peer that is gone without a word,
// also where heartbeats are off.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// Listen listens at an address of TCP or, for network unix, at a path, whose socket it
// takes over from a process that is no more.
func Listen(ctx context.Context, network, address string) (net.Listener, error) {
	if network == "unix" {
		if err := removeStale(address); err != nil {
			return nil, err
		}
	}
	c := net.ListenConfig{KeepAliveConfig: keepAlive()}
	l, err := c.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return listener{l}, nil
}

// listener gives connections that Dial could have given.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err == nil {
		unpace(nc)
	}
	return nc, err
}

// Dial calls such an address.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive()}
	nc, err := d.DialContext(ctx, network, address)
	if err == nil {
		unpace(nc)
	}
	return nc, err
}

// removeStale removes the unix socket that a process has left which is no more, so that
// its place can be bound again; @NAME, in the abstract namespace, leaves none. One that
// is in use stays, and so does any other file.
func removeStale(path string) error {
	if strings.HasPrefix(path, "@") {
		return nil
	}
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is there already and is no socket", path)
	}
	nc, err := net.Dial("unix", path)
	if err == nil {
		nc.Close()
		return fmt.Errorf("%s: %w", path, syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenSocket makes a unix socket that its owner alone can use, and the directory
// that it is in. One that a gateway has left behind is replaced; one that is
// listened on, and anything else, is not. Closing the listener removes it.
func listenSocket(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	listener, err := listenPrivately(path)
	if !errors.Is(err, unix.EADDRINUSE) {
		return listener, err
	}
	if info, err := os.Lstat(path); err != nil {
		return nil, err
	} else if info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s is there and is not a socket", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return nil, fmt.Errorf("another program listens on %s", path)
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return listenPrivately(path)
}

// listenPrivately has the mode right from the first moment: the kernel takes it
// from the socket when it makes the file.
func listenPrivately(path string) (net.Listener, error) {
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failure error
		if err := c.Control(func(fd uintptr) { failure = unix.Fchmod(int(fd), 0o600) }); err != nil {
			return err
		}
		return failure
	}}
	return private.Listen(context.Background(), "unix", path)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/qzmq/gateway/controlplane"
	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// programName makes this program one end of a session under QZMQ1, with the arguments
// and the figures of pull and push in perf/traffic/zmq.c, behind the directory where
// push.key and pull.key are.
const programName = "qzmq-program"

func beProgram(args []string) int {
	var err error
	switch {
	case len(args) == 3 && args[1] == "pull":
		err = pull(args[0], args[2])
	case len(args) == 6 && args[1] == "push":
		err = push(args[0], net.JoinHostPort(args[2], args[3]), args[4], args[5])
	default:
		err = errors.New("usage: DIR pull PORT | DIR push ADDRESS PORT SIZE SECONDS")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, programName+":", err)
		return 1
	}
	return 0
}

func keys(dir string) (push, pull *handshake.Identity, err error) {
	push, err1 := controlplane.ReadIdentity(filepath.Join(dir, "push.key"))
	pull, err2 := controlplane.ReadIdentity(filepath.Join(dir, "pull.key"))
	return push, pull, errors.Join(err1, err2)
}

func push(dir, at, size, seconds string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	lasts, err := time.ParseDuration(seconds + "s")
	if err != nil {
		return err
	}
	own, peer, err := keys(dir)
	if err != nil {
		return err
	}
	nc, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	c, err := zmtp.Initiate(context.Background(), nc, handshake.Config{Identity: own, Purpose: handshake.PurposeZMTP, Peer: peer.Fingerprint()})
	if err != nil {
		return err
	}
	body := make([]byte, n)
	// The clock is looked at as often as libzmq's program does.
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		if err := c.QueueMessage(body); err != nil {
			return err
		}
	}
	if err := c.WriteMessage(nil); err != nil {
		return err
	}
	return c.Close()
}

func pull(dir, port string) error {
	peer, own, err := keys(dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	nc, err := l.Accept()
	if err != nil {
		return err
	}
	c, err := zmtp.Respond(context.Background(), nc, handshake.Config{Identity: own, Purpose: handshake.PurposeZMTP,
		Authorize: func(f handshake.Fingerprint) bool { return f == peer.Fingerprint() }})
	if err != nil {
		return err
	}
	messages, first := 0, time.Time{}
	for {
		m, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if len(m.Parts[0]) == 0 {
			break
		}
		if messages++; messages == 1 {
			first = time.Now()
		}
	}
	fmt.Printf("%d %.6f\n", messages, time.Since(first).Seconds())
	c.Close() // the other side may have closed already
	return nil
}

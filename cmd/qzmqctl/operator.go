package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/qzmq/gateway/controlplane"
)

// operator asks a running gateway over its socket.
type operator struct {
	path string
	http http.Client
}

// socketFlag defines --socket, which wins over the environment, as that does over
// the default.
func socketFlag(f *flag.FlagSet) *string {
	return f.String("socket", cmp.Or(os.Getenv("QZMQ_GATEWAY_ADMIN_SOCKET"), controlplane.DefaultSocket), "")
}

// operand reads the one word of a command and the flags before or behind it.
func operand(name string, args []string, define func(*flag.FlagSet)) (word string, err error) {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	define(f)
	if err := f.Parse(args); err != nil || f.NArg() == 0 {
		return "", errUsage
	}
	word = f.Arg(0)
	if err := f.Parse(f.Args()[1:]); err != nil || f.NArg() > 0 {
		return "", errUsage
	}
	return word, nil
}

func newOperator(path string) *operator {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &operator{path, http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial}}}
}

// status asks for everything: as it came, and decoded.
func (o *operator) status() ([]byte, *controlplane.Status, error) {
	body, err := o.do(http.MethodGet, "/status")
	if err != nil {
		return nil, nil, err
	}
	s := new(controlplane.Status)
	if err := json.Unmarshal(body, s); err != nil {
		return nil, nil, fmt.Errorf("what the gateway at %s says is not understood: %w", o.path, err)
	}
	return body, s, nil
}

// do makes a request; an answer other than success is an error with the
// gateway's own words.
func (o *operator) do(method, path string) ([]byte, error) {
	request, err := http.NewRequest(method, "http://gateway"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := o.http.Do(request)
	if err != nil {
		var why *url.Error // which names a request, and that says little
		if errors.As(err, &why) {
			err = why.Err
		}
		return nil, fmt.Errorf("ask the gateway at %s: %w", o.path, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway at %s: %w", o.path, err)
	}
	if answer.StatusCode/100 != 2 {
		return nil, errors.New(string(bytes.TrimSpace(body)))
	}
	return body, nil
}

// rotatePatience is how long a new session may take: a handshake, or the peer's.
const rotatePatience = 10 * time.Second

// rotate has a link's session replaced and waits for the new one.
func rotate(args []string) (out output, err error) {
	var socket *string
	name, err := operand("rotate", args, func(f *flag.FlagSet) { socket = socketFlag(f) })
	if err != nil {
		return out, err
	}
	o := newOperator(*socket)
	before, err := o.session(name)
	if err != nil {
		return out, err
	}
	if _, err := o.do(http.MethodPost, "/rotate/"+url.PathEscape(name)); err != nil {
		return out, fmt.Errorf("rotate %s: %w", name, err)
	}
	for end := time.Now().Add(rotatePatience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now, err := o.session(name)
		if err != nil {
			return out, err
		}
		if now != "" && now != before {
			out.result = fmt.Sprintf("%s: session %s has taken over from %s\n", name, now, before)
			return out, nil
		}
	}
	return out, fmt.Errorf("rotate %s: no new session within %v; the gateway's log says why, and the old one goes on", name, rotatePatience)
}

// session is the id of the one that seals for a link, empty for none.
func (o *operator) session(name string) (string, error) {
	_, s, err := o.status()
	if err != nil {
		return "", err
	}
	for _, l := range s.Links {
		switch {
		case l.Name == name && l.Session != nil:
			return l.Session.ID, nil
		case l.Name == name:
			return "", nil
		}
	}
	return "", fmt.Errorf("there is no link %q", name)
}

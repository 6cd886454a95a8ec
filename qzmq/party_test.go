package qzmq_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq"
)

// party is one side of a pattern: a socket of ours, or of another library.
type party interface {
	bind(at string) (bound string)
	dial(at string)
	subscribe(topics ...string)
	// offer sends, and says whether that was possible in time.
	offer(parts ...string) bool
	// take receives, nil for nothing in time.
	take(within time.Duration) []string
	close()
	kind() qzmq.SocketType
}

// ours is a socket of this library.
type ours struct{ *sock }

func (o ours) bind(at string) string {
	o.sock.bind(at)
	return o.at()
}

func (o ours) offer(parts ...string) bool { return o.SendMultipart(bytesOf(parts)) == nil }

func (o ours) take(within time.Duration) (parts []string) {
	o.set("rcvtimeo", within)
	m, err := o.RecvMultipart()
	if err != nil {
		return nil
	}
	for _, p := range m {
		parts = append(parts, string(p))
	}
	return parts
}

func (o ours) kind() qzmq.SocketType {
	kind, err := o.GetOption("type")
	if err != nil {
		o.t.Fatal(err)
	}
	return kind.(qzmq.SocketType)
}

// libzmq is a process with sockets of libzmq: testdata/libzmq_peer.py.
type libzmq struct {
	kill    func()
	in      io.Writer
	out     *bufio.Reader
	said    bytes.Buffer // on standard error; read when it has ended
	sockets int
}

func startLibzmq(t testing.TB) *libzmq {
	t.Helper()
	l := new(libzmq)
	cmd := exec.Command("/usr/bin/python3", "testdata/libzmq_peer.py")
	cmd.Stderr = &l.said
	out, err := cmd.StdoutPipe()
	if err == nil {
		l.in, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	l.out = bufio.NewReaderSize(out, 1<<20)
	l.kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(func() {
		l.kill()
		if t.Failed() {
			t.Logf("libzmq's process said: %s", &l.said)
		}
	})
	return l
}

type answer struct {
	At     string
	Parts  []string
	Failed string
}

func (l *libzmq) tell(t testing.TB, command map[string]any) (a answer) {
	t.Helper()
	b, err := json.Marshal(command)
	if err == nil {
		_, err = l.in.Write(append(b, '\n'))
	}
	var line []byte
	if err == nil {
		line, err = l.out.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		t.Fatalf("libzmq's process, told to %v: %v", command["do"], err)
	}
	return a
}

// theirs is a socket of libzmq.
type theirs struct {
	l *libzmq
	t testing.TB
	n int
	k qzmq.SocketType
}

func (s theirs) kind() qzmq.SocketType { return s.k }

func (l *libzmq) open(t testing.TB, kind qzmq.SocketType, name string) party {
	t.Helper()
	options := map[string]any{}
	if name != "" {
		options["ROUTING_ID"] = hex.EncodeToString([]byte(name))
	}
	if kind == qzmq.ROUTER {
		options["ROUTER_MANDATORY"] = 1
	}
	return l.openWith(t, kind, options)
}

// heartbeats makes open of sockets that send PING, with times in milliseconds.
func (l *libzmq) heartbeats(interval, timeout int) func(testing.TB, qzmq.SocketType, string) party {
	return func(t testing.TB, kind qzmq.SocketType, _ string) party {
		t.Helper()
		return l.openWith(t, kind, map[string]any{"HEARTBEAT_IVL": interval, "HEARTBEAT_TIMEOUT": timeout})
	}
}

func (l *libzmq) openWith(t testing.TB, kind qzmq.SocketType, options map[string]any) party {
	t.Helper()
	l.sockets++
	l.tell(t, map[string]any{"do": "open", "socket": l.sockets, "kind": kind.String(), "options": options})
	return theirs{l, t, l.sockets, kind}
}

func (s theirs) must(command map[string]any) answer {
	s.t.Helper()
	command["socket"] = s.n
	a := s.l.tell(s.t, command)
	if a.Failed != "" {
		s.t.Fatalf("libzmq, told to %v: %s", command["do"], a.Failed)
	}
	return a
}

func (s theirs) bind(at string) string { return s.must(map[string]any{"do": "bind", "at": at}).At }
func (s theirs) dial(at string)        { s.must(map[string]any{"do": "connect", "at": at}) }
func (s theirs) close()                { s.must(map[string]any{"do": "close"}) }

func (s theirs) subscribe(topics ...string) {
	for _, topic := range topics {
		s.must(map[string]any{"do": "subscribe", "topic": hex.EncodeToString([]byte(topic))})
	}
}

func (s theirs) offer(parts ...string) bool {
	inHex := []string{}
	for _, p := range parts {
		inHex = append(inHex, hex.EncodeToString([]byte(p)))
	}
	return s.l.tell(s.t, map[string]any{"do": "send", "socket": s.n, "parts": inHex}).Failed == ""
}

func (s theirs) take(within time.Duration) (parts []string) {
	a := s.l.tell(s.t, map[string]any{"do": "recv", "socket": s.n, "within": within.Milliseconds()})
	for _, p := range a.Parts {
		b, err := hex.DecodeString(p)
		if err != nil {
			s.t.Fatal(err)
		}
		parts = append(parts, string(b))
	}
	return parts
}

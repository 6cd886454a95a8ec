package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qzmq/gateway/controlplane"
)

func fixed(t *testing.T) ([]byte, *controlplane.Status) {
	t.Helper()
	b, err := os.ReadFile("testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	s := new(controlplane.Status)
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(s); err != nil {
		t.Fatal(err)
	}
	return b, s
}

// TestShape: the file has every key of a status, none that it has not, and so says
// whether one was renamed, which would break whoever reads them.
func TestShape(t *testing.T) {
	b, s := fixed(t)
	again, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var want, got bytes.Buffer
	if err := json.Compact(&want, b); err != nil {
		t.Fatal(err)
	}
	if got.Write(again); got.String() != want.String() {
		t.Errorf("got  %s\nwant %s", &got, &want)
	}
}

// gateway stands for one that runs: it answers like the given handler.
func gateway(t *testing.T, h http.Handler) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return socket
}

func TestShow(t *testing.T) {
	b, _ := fixed(t)
	socket := gateway(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.URL.Path != "/status" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Write(b)
	}))
	for part, want := range map[string]string{
		"links": `
LINK    STATE  SESSION   AGE   EPOCH  ROTATIONS  SEALED RECORDS  BYTES    OPENED RECORDS  BYTES     FORGED  MODE     SUITE                                     ADDRESS         PEER
site-b  up     00ab12cd  1m1s  2      7          1500            2.10 MB  900             45.68 kB  3       hybrid   x25519+mlkem768/mldsa44/aes256gcm/sha256  192.0.2.2:5580  qz1b
site-c  down   -         -     -      0          0               0 B      0               0 B       0       pq-only  -                                         -               site-c
site-c: dial: connection refused
`,
		"sessions": `
SESSION   LINK    STATE     CONTROL  AGE   EPOCH  ADDRESS         WIRE MTU  INNER MTU  SHARES  DIALLED  RESUMED  SUITE
00ab12cc  site-b  retiring  no       2.3d  3      192.0.2.2:5580  1500      1440       no      no       yes      x25519+mlkem768/mldsa44/aes256gcm/sha256
`,
		"queues": `
QUEUE  OUT RECORDS  BYTES      SHARED  IN RECORDS  BYTES     SHARED  DROPPED  ARRIVING (LINK/STREAM)  LEAVING (LINK/STREAM:PORT)
0      1000         1.40 MB    12      900         45.68 kB  34      5        site-b/0 site-b/1       site-b/0:61000
1      500          700.00 kB  0       0           0 B       0       0        -                       site-b/1:61002
`,
		"drops": `
WHERE            REASON             PACKETS
queue 0          forged             5
program outside  unknown_session    4
socket inside 0  receive_ring_full  6
`,
		"relays": `
RELAY  LISTEN             CONNECT              ACCEPTED  OPEN  ROTATIONS
md     qzmq+tcp://*:5556  tcp://10.1.0.9:5556  12        3     1

RELAY  OPEN  CONNECTIONS  SEALED FRAMES  BYTES    OPENED FRAMES  BYTES  NAME    PEER
md     3     10           1000           2.10 MB  5              100 B  trader  qz1b

RELAY  OF A       RESULT     CONNECTIONS
md     handshake  denied     2
md     handshake  ok         10
md     end        closed     6
md     end        truncated  1
`,
		"features": `
FEATURE        IN FORCE
version        v1.2.3
go             go1.26.8
kernel         6.18.44
cpus           2, amd64
cpu features   aes avx2
aead provider  standard
aead fault     a self-test has failed
workers        2
worker cpus    1 3
udp checksums  no
share records  yes

PORT     IO CONFIGURED  IN FORCE    MEMORY  BECAUSE
inside   xdp            xdp         copy    configured
outside  auto           superframe  -       virtual driver veth

SOCKET  KIND    INTERFACE  QUEUE  ATTACHED  ZERO COPY  NEED WAKEUP  HUGE PAGES  MULTI BUFFER  BUSY POLL  RING ENTRIES  CHUNK   LARGEST FRAME  SEND BUDGET
inside  af_xdp  eth1       0      native    no         yes          no          yes           50 us      4096          4096 B  3840 B         256
`,
	} {
		code, stdout, stderr := ctl("show", part, "--socket", socket)
		if code != 0 || "\n"+stdout != want || stderr != "" {
			t.Errorf("show %s: %d, %q\n%s\nwant%s", part, code, stderr, stdout, want)
		}
		code, stdout, stderr = ctl("show", "--socket", socket, "--json", part)
		var parsed any
		if err := json.Unmarshal([]byte(stdout), &parsed); code != 0 || err != nil || parsed == nil || stderr != "" {
			t.Errorf("show %s --json: %d, %v, %q\n%s", part, code, err, stderr, stdout)
		}
	}
}

// TestShowNew: what this program does not know yet is passed on all the same.
func TestShowNew(t *testing.T) {
	socket := gateway(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"links":[{"name":"b","colour":"blue"}],"weather":1}`))
	}))
	t.Setenv("QZMQ_GATEWAY_ADMIN_SOCKET", socket)
	if code, stdout, stderr := ctl("show", "links", "--json"); code != 0 || !strings.Contains(stdout, `"colour": "blue"`) {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

func TestNobodyAnswers(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for _, args := range [][]string{{"show", "links"}, {"top"}, {"rotate", "site-b"}} {
		code, stdout, stderr := ctl(append(args, "--socket", none)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, none) || !strings.Contains(stderr, "no such file") {
			t.Errorf("%v: %d, %q, %q", args, code, stdout, stderr)
		}
	}
	broken := gateway(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("hello")) }))
	if code, _, stderr := ctl("show", "links", "--socket", broken); code != 1 || !strings.Contains(stderr, "is not understood") {
		t.Errorf("no JSON: %d, %q", code, stderr)
	}
}

func TestThroughput(t *testing.T) {
	_, before := fixed(t)
	_, now := fixed(t)
	now.UptimeSeconds += 2
	q := &now.Queues[0]
	q.Out.Records, q.Out.Bytes, q.SharedOut, q.Dropped = q.Out.Records+200, q.Out.Bytes+2_500_000, q.SharedOut+100, q.Dropped+4
	now.Queues[1].In.Records += 50
	now.Queues[1].In.Bytes += 500
	const want = `site-a  up 1h2m7s  links 1 of 2 up
QUEUE  OUT RECORDS/S  PACKETS/S  BITS        IN RECORDS/S  PACKETS/S  BITS       DROPPED/S
0      100            150        10.00 Mb/s  0             0          0 b/s      2
1      0              0          0 b/s       25            25         2.00 kb/s  0
all    100            150        10.00 Mb/s  25            25         2.00 kb/s  2

`
	if got := throughput(before, now); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	// A gateway that was restarted in between has counted from 0.
	now.Started, now.UptimeSeconds = now.Started.Add(time.Hour), 4
	if got := throughput(before, now); !strings.Contains(got, "\n1      125            125        1.40 Mb/s  12            12         1.00 kb/s   0\n") {
		t.Errorf("after a restart:\n%s", got)
	}
}

func TestTop(t *testing.T) {
	b, _ := fixed(t)
	asked := 0
	socket := gateway(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++; w.Write(b) }))
	code, stdout, stderr := ctl("top", "--count", "1", "--socket", socket)
	if code != 0 || stderr != "" || strings.Count(stdout, "QUEUE") != 1 || strings.Contains(stdout, "\x1b") || asked != 2 {
		t.Errorf("%d, %q, asked %d times\n%s", code, stderr, asked, stdout)
	}
}

func TestRotate(t *testing.T) {
	b, _ := fixed(t)
	var rotated atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		if rotated.Load() {
			w.Write(bytes.ReplaceAll(b, []byte("00ab12cd"), []byte("77777777")))
			return
		}
		w.Write(b)
	})
	mux.HandleFunc("POST /rotate/{link}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("link") != "site-b" {
			http.Error(w, "not now", http.StatusConflict)
			return
		}
		rotated.Store(true)
		w.WriteHeader(http.StatusAccepted)
	})
	socket := gateway(t, mux)
	if code, stdout, stderr := ctl("rotate", "site-b", "--socket", socket); code != 0 || stderr != "" || stdout != "site-b: session 77777777 has taken over from 00ab12cd\n" {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	if code, stdout, stderr := ctl("rotate", "site-c", "--socket", socket); code != 1 || stdout != "" || stderr != "rotate site-c: not now\n" {
		t.Errorf("refused: %d, %q, %q", code, stdout, stderr)
	}
	if code, stdout, stderr := ctl("rotate", "site-x", "--socket", socket); code != 1 || stdout != "" || stderr != "there is no link \"site-x\"\n" {
		t.Errorf("unknown: %d, %q, %q", code, stdout, stderr)
	}
}

package qzmq

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// sites makes two transports that know each other, or one plain one twice.
func sites(t testing.TB, plain bool, change func(o *Options)) (a, b *transport) {
	t.Helper()
	if plain {
		return site(t, Options{InsecurePlaintext: true, Timeouts: TimeoutConfig{Linger: time.Second}}), site(t, Options{InsecurePlaintext: true, Timeouts: TimeoutConfig{Linger: time.Second}})
	}
	ida, idb := identity(t), identity(t)
	oa, ob := DefaultOptions(), DefaultOptions()
	oa.Identity, oa.Peer, oa.Allow = ida, idb.Fingerprint(), []Fingerprint{idb.Fingerprint()}
	ob.Identity, ob.Peer, ob.Allow = idb, ida.Fingerprint(), []Fingerprint{ida.Fingerprint()}
	if change != nil {
		change(&oa)
		change(&ob)
	}
	return site(t, oa), site(t, ob)
}

func site(t testing.TB, o Options) *transport {
	t.Helper()
	tr, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr.(*transport)
}

func identity(t testing.TB) *Identity {
	t.Helper()
	id, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func open(t testing.TB, tr *transport, kind SocketType, options ...any) Socket {
	t.Helper()
	s, err := tr.NewSocket(kind)
	if err != nil {
		t.Fatal(err)
	}
	s.SetOption("rcvtimeo", 5*time.Second)
	s.SetOption("sndtimeo", 5*time.Second)
	for i := 0; i < len(options); i += 2 {
		if err := s.SetOption(options[i].(string), options[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func bind(t testing.TB, s Socket, url string) string {
	t.Helper()
	if err := s.Bind(url); err != nil {
		t.Fatal(err)
	}
	last, err := s.GetOption("last_endpoint")
	if err != nil {
		t.Fatal(err)
	}
	return last.(string)
}

func connect(t testing.TB, s Socket, url string) {
	t.Helper()
	if err := s.Connect(url); err != nil {
		t.Fatal(err)
	}
}

func send(t testing.TB, s Socket, parts ...string) {
	t.Helper()
	var m [][]byte
	for _, p := range parts {
		m = append(m, []byte(p))
	}
	if err := s.SendMultipart(m); err != nil {
		t.Fatalf("send %q: %v", parts, err)
	}
}

func recv(t testing.TB, s Socket) string {
	t.Helper()
	m, err := s.RecvMultipart()
	if err != nil {
		t.Fatalf("recv: %v", err)
	}
	var parts []string
	for _, p := range m {
		parts = append(parts, string(p))
	}
	return strings.Join(parts, "|")
}

func expect(t testing.TB, s Socket, want string) {
	t.Helper()
	if got := recv(t, s); got != want {
		t.Fatalf("received %.100q, want %.100q", got, want)
	}
}

// everywhere runs a test over every transport and both mechanisms.
func everywhere(t *testing.T, f func(t *testing.T, a, b *transport, url string)) {
	for _, plain := range []bool{false, true} {
		for _, network := range []string{"tcp", "ipc", "inproc"} {
			name := network + "/QZMQ1"
			if plain {
				name = network + "/NULL"
			}
			t.Run(name, func(t *testing.T) {
				a, b := sites(t, plain, nil)
				url := map[string]string{"tcp": "tcp://127.0.0.1:*", "ipc": "ipc://" + filepath.Join(t.TempDir(), "s"), "inproc": "inproc://here"}[network]
				if network == "inproc" {
					b = a
				}
				f(t, a, b, url)
			})
		}
	}
}

// settled waits until no goroutine is left that was not there before.
func settled(t testing.TB, before int) {
	t.Helper()
	var now int
	for range 100 {
		if now = runtime.NumGoroutine(); now <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Fatalf("%d goroutines are left, %d were there before\n%s", now, before, stacks[:runtime.Stack(stacks, true)])
}

// subscribed waits until a publisher knows so many subscriptions.
func subscribed(t testing.TB, s Socket, n int) {
	t.Helper()
	for range 500 {
		k := s.(*socket)
		k.mu.Lock()
		k.collect()
		got := 0
		for p := range k.pipes {
			got += len(p.topics)
		}
		k.mu.Unlock()
		if got == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("there are not %d subscriptions", n)
}

package controlplane

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// TestFloodOfHalfHandshakes has ten thousand callers from as many addresses as it
// takes, who know the gateway's fingerprint, begin a handshake and leave it. That
// costs bounded memory, and an honest peer gets its link in the meantime: of the
// public-key work of others it waits for one turn at most to end, and for none where
// there are two CPUs. A turn costs some tenths of a millisecond (perf/results), so
// that is held, and how long it waited is printed: a test cannot hold a scheduler to
// its 5 ms. With cookies hardly any of the callers is worth a turn; without,
// every one that finds a place to wait.
func TestFloodOfHalfHandshakes(t *testing.T) {
	for name, cookie := range map[string]CookieMode{"cookies": CookieAuto, "no cookies": CookieOff} {
		t.Run(name, func(t *testing.T) { floodOf(t, 10_000, cookie) })
	}
}

func floodOf(t *testing.T, callers int, cookie CookieMode) {
	a, b := pair(t)
	b.peering.callers.limits.Cookie = cookie
	b.begin(b.linkTo(a, false))
	b.peering.callers.expect(map[netip.Prefix]bool{sourceOf(a.peering.local.Addr()): true})
	pending := func() int {
		b.peering.callers.mu.Lock()
		defer b.peering.callers.mu.Unlock()
		return b.peering.callers.pending
	}
	before := heap()

	// Another process, because both ends of so many connections are more files
	// than one process may have.
	flood := exec.Command(os.Args[0], "-test.run=^TestFloodProcess$")
	flood.Env = append(os.Environ(), floodTarget+"="+b.peering.local.String(),
		floodPeer+"="+b.peering.identity.Fingerprint().String(), fmt.Sprintf("%s=%d", floodCallers, callers))
	stdin, err := flood.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := flood.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	flood.Stderr = os.Stderr
	if err := flood.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); flood.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "all there\n" {
		t.Fatalf("the flood says %q, %v", line, err)
	}

	began := time.Now()
	a.begin(a.linkTo(b, true))
	up(t, a, b)
	took := time.Since(began)
	strangers, known := b.peering.turns.Stats()
	exchange(t, a, b)
	most := pending()
	perCaller := (int64(heap()) - int64(before)) / int64(max(most, 1))

	t.Logf("%d handshakes half done, %d bytes of heap each", most, perCaller)
	t.Logf("strangers took %d turns, %d of them waited for, %v at most; %d found no place to wait",
		strangers.Taken, strangers.Waited, strangers.Longest.Round(time.Microsecond), strangers.Refused)
	t.Logf("the honest link was up after %v; it took %d turns, %d of them waited for, %v at most, with %d of others ahead at most",
		took.Round(time.Millisecond), known.Taken, known.Waited, known.Longest.Round(time.Microsecond), known.MostAhead)
	if cookie == CookieAuto && most < callers/2 {
		t.Errorf("only %d handshakes were there at once", most)
	}
	if cookie == CookieOff && strangers.Waited == 0 {
		t.Error("nobody had to wait, so it shows nothing that the honest peer did not")
	}
	if perCaller > 64<<10 {
		t.Errorf("each costs %d bytes", perCaller)
	}
	if known.Taken < 2 || known.Refused+known.Late != 0 || known.MostAhead > 1 {
		t.Errorf("the honest peer's turns: %+v", known)
	}
	// They last as long as a handshake may, and no longer.
	eventually(t, "the flood has run off", 2*handshakeTime, func() bool { return pending() == 0 })
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

const (
	floodTarget  = "QZMQ_TEST_FLOOD_TARGET"
	floodPeer    = "QZMQ_TEST_FLOOD_PEER"
	floodCallers = "QZMQ_TEST_FLOOD_CALLERS"
)

// TestFloodProcess is the other side of the test above, when that has started it.
func TestFloodProcess(t *testing.T) {
	target := os.Getenv(floodTarget)
	if target == "" {
		return
	}
	peer, err := handshake.ParseFingerprint(os.Getenv(floodPeer))
	if err != nil {
		t.Fatal(err)
	}
	machine, err := handshake.NewInitiator(handshake.Config{Identity: identity(t), Purpose: handshake.PurposeLink, Peer: peer})
	if err != nil {
		t.Fatal(err)
	}
	greeting := zmtp.NewGreeting(zmtp.Mechanism, false)
	hello, err := machine.Start(greeting)
	if err != nil {
		t.Fatal(err)
	}
	first := zmtp.AppendCommand(append([]byte(nil), greeting[:]...), "HANDSHAKE", hello)
	var callers int
	fmt.Sscan(os.Getenv(floodCallers), &callers)
	open := make([]net.Conn, 0, callers)
	for i := range callers {
		source := i / halfOpenPerSource
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(source>>8), byte(source))}}
		c, err := dialer.Dial("tcp", target)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(first); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	fmt.Println("all there")
	bufio.NewReader(os.Stdin).ReadByte() // until the other process has seen enough
	for _, c := range open {
		c.Close()
	}
}

package controlplane

import (
	"io"
	mathrand "math/rand"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// pair is two sites that know each other. smaller has the smaller fingerprint.
func pair(t *testing.T) (smaller, larger *site) {
	a, b := identity(t), identity(t)
	x, y := a.Fingerprint(), b.Fingerprint()
	if slices.Compare(x[:], y[:]) > 0 {
		a, b = b, a
	}
	port := freePort(t)
	smaller, larger = newSite(t, 1, a, port), newSite(t, 2, b, port)
	cable(t, smaller, larger)
	return smaller, larger
}

func up(t *testing.T, a, b *site) {
	t.Helper()
	eventually(t, "the link is up at both ends", 10*time.Second, func() bool {
		return a.link(b).connected() && b.link(a).connected()
	})
}

func TestLinkCarriesPackets(t *testing.T) {
	for _, c := range []struct {
		name            string
		smaller, larger bool
	}{{"the smaller dials", true, false}, {"the larger dials", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			a, b := pair(t)
			a.begin(a.linkTo(b, c.smaller))
			b.begin(b.linkTo(a, c.larger))
			up(t, a, b)
			exchange(t, a, b)
			if a.steer.len() != 1 || b.steer.len() != 1 {
				t.Errorf("the steering tables have %d and %d sessions, want one each", a.steer.len(), b.steer.len())
			}
			b.stop()
			eventually(t, "the goodbye stops sealing", 5*time.Second, func() bool {
				_, up, _ := a.link(b).state()
				return up == 0
			})
			if n := b.steer.len(); n != 0 {
				t.Errorf("%d sessions are left after the end", n)
			}
		})
	}
}

// TestBothDialThousandTimes cuts the control connection on both sides at once,
// has both dial at about the same moment, and so on: one connection is left each
// time, and no packet of the traffic that goes on meanwhile is lost or doubled.
func TestBothDialThousandTimes(t *testing.T) {
	const rounds = 1000
	a, b := pair(t)
	quick := tempo{
		ping: 2 * time.Millisecond, dead: 5 * time.Second, settle: 10 * time.Millisecond, grace: time.Second,
		polite: time.Millisecond, backoff: time.Millisecond, backoffMost: 2 * time.Millisecond,
	}
	a.peering.tempo, b.peering.tempo = quick, quick
	a.begin(a.linkTo(b, true))
	b.begin(b.linkTo(a, true))
	up(t, a, b)
	random := mathrand.New(mathrand.NewSource(1))
	atA, atB := map[uint32]int{}, map[uint32]int{}
	note := func() {
		for _, n := range a.received() {
			atA[n]++
		}
		for _, n := range b.received() {
			atB[n]++
		}
	}
	number, races := 0, 0
	for round := range rounds {
		links := []*link{a.link(b), b.link(a)}
		random.Shuffle(2, func(i, j int) { links[i], links[j] = links[j], links[i] })
		for _, l := range links {
			l.cut()
			time.Sleep(time.Duration(random.Intn(300)) * time.Microsecond)
		}
		most := 0
		eventually(t, "one connection is left", 10*time.Second, func() bool {
			a.send(b, number, 1)
			b.send(a, number, 1)
			number++
			note()
			x, y := a.link(b).aliveChannels(), b.link(a).aliveChannels()
			most = max(most, x, y)
			return x == 1 && y == 1
		})
		if most > 1 {
			races++
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	eventually(t, "every packet arrived", 5*time.Second, func() bool { note(); return len(atA) == number && len(atB) == number })
	for _, got := range []map[uint32]int{atA, atB} {
		for n, times := range got {
			if times != 1 {
				t.Errorf("packet %d arrived %d times", n, times)
			}
		}
	}
	if races < rounds/20 {
		t.Errorf("both connections were there at once in %d rounds only: the test tests little", races)
	}
	t.Logf("%d rounds, %d with two connections at once, %d packets each way", rounds, races, number)
	// A session that lost its channel beside another stays until a new one comes up.
	var asked time.Time
	eventually(t, "old sessions are removed", 20*time.Second, func() bool {
		if time.Since(asked) > 5*time.Second { // the first may find another request waiting
			asked = time.Now()
			a.link(b).askToDial(true)
		}
		return a.steer.len() == 1 && b.steer.len() == 1
	})
}

// TestCutConnectionKeepsData cuts the control connection without a goodbye, as
// anybody on the path can: packets go on, and the connection comes back.
func TestCutConnectionKeepsData(t *testing.T) {
	a, b := pair(t)
	proxy := newProxy(t, b.peering.local.String())
	toB := a.linkTo(b, true)
	toB.Endpoint = proxy.addr
	a.begin(toB)
	b.begin(b.linkTo(a, false))
	up(t, a, b)
	// Records go to where the control connection comes from, which is the
	// proxy; on this cable every address is the other end.
	exchange(t, a, b)
	born := func() time.Duration { _, _, born := a.link(b).state(); return born }
	first := born()
	proxy.refuse(true)
	proxy.cut()
	eventually(t, "the cut is noticed", 5*time.Second, func() bool { return !a.link(b).connected() && !b.link(a).connected() })
	exchange(t, a, b)
	if born() != first {
		t.Error("another session carries the data while there is no control connection")
	}
	proxy.refuse(false)
	up(t, a, b)
	exchange(t, a, b)
	if born() == first {
		t.Error("the new control connection did not replace the session")
	}

	// The first attempt, which was refused, has spent the ticket. This time the
	// network is back at once, and nobody has to sign.
	second := born()
	proxy.cut()
	eventually(t, "another session", 5*time.Second, func() bool { return born() != second })
	up(t, a, b)
	exchange(t, a, b)
	if n, m := a.log.count("resumed=true"), b.log.count("resumed=true"); n != 1 || m != 1 {
		t.Errorf("a lost connection was resumed %d and %d times, want once", n, m)
	}
}

// TestCookies has every caller show a cookie: the link comes up all the same.
func TestCookies(t *testing.T) {
	a, b := pair(t)
	b.peering.callers.limits.Cookie = CookieOn
	a.begin(a.linkTo(b, true))
	b.begin(b.linkTo(a, false))
	up(t, a, b)
	exchange(t, a, b)
}

// TestSessionRotates replaces sessions under two-way traffic, by age and by
// messages, whoever dials: no packet is lost, and old sessions are removed.
func TestSessionRotates(t *testing.T) {
	for _, c := range []struct {
		name            string
		smaller, larger bool
		rotation        RotationConfig
		most            int // sessions at once: those of the grace, or of three greatest ages
	}{
		{"by age, the smaller dials", true, false, RotationConfig{MaxMessages: DefaultMaxMessages, MaxBytes: DefaultMaxBytes, MaxAge: 2 * time.Second}, 6},
		{"by messages, the larger dials", false, true, RotationConfig{MaxMessages: 200, MaxBytes: DefaultMaxBytes, MaxAge: DefaultMaxAge}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := pair(t)
			a.peering.rotation, b.peering.rotation = c.rotation, c.rotation
			a.begin(a.linkTo(b, c.smaller))
			b.begin(b.linkTo(a, c.larger))
			up(t, a, b)
			sessions := map[time.Duration]bool{}
			var atA, atB []uint32
			number := 0
			for end := time.Now().Add(30 * time.Second); len(sessions) < 3 && time.Now().Before(end); number++ {
				a.send(b, number, 1)
				b.send(a, number, 1)
				time.Sleep(2 * time.Millisecond)
				atA, atB = append(atA, a.received()...), append(atB, b.received()...)
				_, _, born := a.link(b).state()
				sessions[born] = true
			}
			eventually(t, "every packet arrived", 5*time.Second, func() bool {
				atA, atB = append(atA, a.received()...), append(atB, b.received()...)
				return len(atA) == number && len(atB) == number
			})
			if a.log.count("resumed=true") > 0 {
				t.Error("a rotation was not signed")
			}
			if len(sessions) < 3 {
				t.Errorf("only %d sessions in %d packets", len(sessions), number)
			}
			eventually(t, "old sessions are removed", 3*usualTempo().grace, func() bool {
				return a.steer.len() <= c.most && b.steer.len() <= c.most
			})
		})
	}
}

// TestOldKeysStop checks that nothing is sealed or opened past three times the
// greatest age, however the link fares.
func TestOldKeysStop(t *testing.T) {
	a, b := pair(t)
	a.peering.rotation.MaxAge, b.peering.rotation.MaxAge = time.Hour, time.Hour
	a.begin(a.linkTo(b, true))
	b.begin(b.linkTo(a, false))
	up(t, a, b)
	a.link(b).check(sinceBoot() + 2*time.Hour)
	exchange(t, a, b)
	b.stop() // so that there is nobody to make a new session with
	a.link(b).check(sinceBoot() + 4*time.Hour)
	if n := a.steer.len(); n != 0 {
		t.Errorf("%d sessions past their age", n)
	}
	if _, _, born := a.link(b).state(); born != 0 {
		t.Error("keys past their age still seal")
	}
}

// TestRefusals checks who gets no link, and that it is said exactly once.
func TestRefusals(t *testing.T) {
	t.Run("the peer has another identity", func(t *testing.T) {
		a, b := pair(t)
		wrong := a.linkTo(b, true)
		wrong.Peer = identity(t).Fingerprint()
		a.begin(wrong)
		b.begin(b.linkTo(a, false))
		eventually(t, "both say why", 5*time.Second, func() bool {
			return a.log.count("gave no answer") > 0 && b.log.count("a caller was refused") > 0
		})
		time.Sleep(time.Second) // several more tries
		if n := a.log.count("gave no answer"); n != 1 {
			t.Errorf("the caller says it %d times", n)
		}
		if n := b.log.count("not made for this identity"); n != 1 {
			t.Errorf("the called says it %d times", n)
		}
	})
	t.Run("the caller is unknown", func(t *testing.T) {
		a, b := pair(t)
		a.begin(a.linkTo(b, true))
		b.begin() // no links at all
		eventually(t, "both say why", 5*time.Second, func() bool {
			return a.log.count("link cannot be made") > 0 && b.log.count("not authorised") > 0
		})
		time.Sleep(time.Second)
		if n, m := a.log.count("link cannot be made"), b.log.count("not authorised"); n != 1 || m != 1 {
			t.Errorf("said %d and %d times", n, m)
		}
		if a.steer.len()+b.steer.len() != 0 {
			t.Error("sessions are left")
		}
	})
}

// TestHalfOpenLimit fills the places for callers who say nothing: the next gets
// none, and a configured peer from another address still gets its link.
func TestHalfOpenLimit(t *testing.T) {
	a, b := pair(t)
	b.begin(b.linkTo(a, false))
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			c.Close()
		}
	}()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	for range halfOpenPerSource {
		c, err := dialer.Dial("tcp", b.peering.local.String())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	eventually(t, "all places are taken", 5*time.Second, func() bool {
		b.peering.callers.mu.Lock()
		defer b.peering.callers.mu.Unlock()
		return b.peering.callers.pending == halfOpenPerSource
	})
	c, err := dialer.Dial("tcp", b.peering.local.String())
	if err != nil {
		t.Fatal(err)
	}
	idle = append(idle, c)
	c.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("one caller too many was kept: %v", err)
	}
	a.begin(a.linkTo(b, true))
	up(t, a, b)
}

func TestOffer(t *testing.T) {
	o := newOffer(0x01020304, 2, 1500, 5580, optionShare)
	b := o.marshal()
	got, err := parseOffer(b)
	if err != nil || got != o {
		t.Fatalf("%+v came back as %+v, %v", o, got, err)
	}
	if again := newOffer(0x01020304, 2, 1500, 5580, optionShare); again.nonce == o.nonce {
		t.Error("two offers have one nonce")
	}
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
	}{
		{"empty", func([]byte) []byte { return nil }},
		{"short", func(b []byte) []byte { return b[:len(b)-1] }},
		{"long", func(b []byte) []byte { return append(b, 0) }},
		{"session 0", func(b []byte) []byte { clear(b[16:20]); return b }},
		{"no stream", func(b []byte) []byte { clear(b[20:22]); return b }},
		{"too many streams", func(b []byte) []byte { b[20] = 0xff; return b }},
		{"tiny MTU", func(b []byte) []byte { b[22], b[23] = 0, 100; return b }},
		{"port 0", func(b []byte) []byte { clear(b[24:26]); return b }},
	} {
		if _, err := parseOffer(c.change(slices.Clone(b))); err == nil {
			t.Errorf("%s: taken", c.name)
		}
	}
	if setupHash(b, b) == setupHash(b, again(b)) {
		t.Error("the set-up hash does not cover the answer")
	}
}

func again(b []byte) []byte { c := slices.Clone(b); c[0] ^= 1; return c }

// proxy is a TCP relay that a test can cut.
type proxy struct {
	addr    netip.AddrPort
	target  string
	mu      sync.Mutex
	conns   []net.Conn
	refused bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().(*net.TCPAddr).AddrPort(), target: target}
	t.Cleanup(func() { l.Close(); p.cut() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			refused := p.refused
			p.mu.Unlock()
			out, err := net.Dial("tcp", p.target)
			if err != nil || refused {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go func() { io.Copy(out, in); out.Close() }()
			go func() { io.Copy(in, out); in.Close() }()
		}
	}()
	return p
}

func (p *proxy) refuse(yes bool) { p.mu.Lock(); p.refused = yes; p.mu.Unlock() }

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

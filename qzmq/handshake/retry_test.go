package handshake

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// testClock is a monotonic clock that a test moves.
type testClock struct{ now time.Duration }

func (c *testClock) read() time.Duration { return c.now }

var testAddr = netip.MustParseAddr("192.0.2.7")

// withCookies makes the responder ask for cookies.
func (p *pair) withCookies() *testClock {
	p.t.Helper()
	cookies, err := NewCookies(time.Minute)
	if err != nil {
		p.t.Fatal(err)
	}
	clock := &testClock{now: 1000 * time.Second}
	p.responderConf.Cookies, p.responderConf.Clock, p.responderConf.PeerAddr = cookies, clock.read, testAddr
	return clock
}

// toRetry goes up to the second ClientHello, which is p.hello then. It gives the
// first one and the Retry.
func (p *pair) toRetry() (first, retry []byte) {
	p.t.Helper()
	p.start()
	first = p.hello
	retry, done, err := p.r.Handle(first)
	if err != nil || done != nil || kind(retry) != typeRetry {
		p.t.Fatalf("ClientHello: message %d, %v", kind(retry), err)
	}
	if p.r.pending != nil {
		p.t.Fatal("the responder keeps something for an initiator without a cookie")
	}
	reply, done, err := p.i.Handle(retry)
	p.hello, _ = p.step("Retry", reply, done, err)
	return first, retry
}

func (p *pair) fromHello() *pair {
	p.t.Helper()
	reply, done, err := p.r.Handle(p.hello)
	p.answer, _ = p.step("ClientHello", reply, done, err)
	reply, done, err = p.i.Handle(p.answer)
	p.key, _ = p.step("ServerHello", reply, done, err)
	reply, done, err = p.r.Handle(p.key)
	p.last, p.rDone = p.step("ClientKey", reply, done, err)
	reply, done, err = p.i.Handle(p.last)
	_, p.iDone = p.step("Finished", reply, done, err)
	return p
}

func TestRetry(t *testing.T) {
	for _, mode := range []Mode{ModeHybrid, ModePQOnly} {
		p := newPair(t)
		p.initiatorConf.Mode = mode
		p.withCookies()
		first, retry := p.toRetry()
		if len(retry) != 73 || len(p.hello) != len(first)+4+37 {
			t.Errorf("Retry has %d bytes, the second ClientHello %d after %d", len(retry), len(p.hello), len(first))
		}
		a, _ := parseClientHello(first)
		b, err := parseClientHello(p.hello)
		if err != nil {
			t.Fatal(err)
		}
		aShare, _ := a.extensions.get(extKeyShare)
		bShare, _ := b.extensions.get(extKeyShare)
		if !bytes.Equal(a.random, b.random) || !bytes.Equal(a.suites, b.suites) || !bytes.Equal(aShare, bShare) {
			t.Error("the second ClientHello has another random, suites or share")
		}
		p.fromHello()
		carries(t, p.iDone, p.rDone)
	}
}

// TestRetryStateless: the responder that takes the cookie is not the one that gave
// it, and neither the port nor the connection matters.
func TestRetryStateless(t *testing.T) {
	p := newPair(t)
	p.withCookies()
	p.toRetry()
	p.r = p.freshResponder()
	p.fromHello()
	carries(t, p.iDone, p.rDone)
}

func TestRetryRefused(t *testing.T) {
	p := newPair(t)
	clock := p.withCookies()
	first, retry := p.toRetry()
	second := p.hello

	// At the initiator: a second Retry, and one that is not for this call.
	reply, done, err := p.i.clone().Handle(retry)
	refused{ErrUnexpectedMessage, AlertHandshakeFailure, false}.check(t, "second Retry", reply, done, err)
	i := p.i.clone()
	i.retried = false
	key := newSilenceKey(testIdentity(t, MLDSA44, 9).Fingerprint(), nil)
	reply, done, err = i.Handle(appendRetry(nil, &key, [cookieLen]byte{}))
	refused{ErrRetry, AlertHandshakeFailure, false}.check(t, "Retry of someone else", reply, done, err)
	flips(retry, func(at int, m []byte) {
		i := p.i.clone()
		i.retried = false
		reply, done, err := i.Handle(m)
		refused{nil, AlertHandshakeFailure, false}.check(t, "Retry", reply, done, err)
		if at >= HeaderLen && !errors.Is(err, ErrRetry) {
			t.Errorf("byte %d: %v", at, err)
		}
	})
	j, err := NewInitiator(p.initiatorConf)
	if err != nil {
		t.Fatal(err)
	}
	reply, done, err = j.Handle(retry)
	refused{ErrOrder, AlertNone, false}.check(t, "Retry before Start", reply, done, err)

	// At the responder: the second ClientHello without a right cookie.
	for name, m := range map[string][]byte{"first again": first} {
		reply, done, err := p.r.clone(t).Handle(m)
		refused{ErrCookie, AlertHandshakeFailure, false}.check(t, name, reply, done, err)
	}
	flips(second, func(_ int, m []byte) {
		reply, done, err := p.r.clone(t).Handle(m)
		refused{nil, AlertNone, true}.check(t, "second ClientHello", reply, done, err)
	})
	h, err := parseClientHello(second)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _ := h.extensions.get(extCookie)
	for at := range cookie { // h is lent from second, and so is the cookie
		cookie[at] ^= 0x10
		reply, done, err := p.r.clone(t).Handle(remac(h, p.initiatorConf.Peer))
		refused{ErrCookie, AlertHandshakeFailure, false}.check(t, "cookie", reply, done, err)
		cookie[at] ^= 0x10
	}
	// Too old, and from the future: asked again, by who does not know the first.
	for _, shift := range []time.Duration{61 * time.Second, 125 * time.Second, 24 * time.Hour, -2 * time.Second} {
		clock.now += shift
		reply, _, err := p.freshResponder().Handle(second)
		if err != nil || kind(reply) != typeRetry {
			t.Errorf("after %v: message %d, %v", shift, kind(reply), err)
		}
		clock.now -= shift
	}
	clock.now += 59 * time.Second
	p.r = p.freshResponder()
	p.fromHello()
}

// TestRecordedHello: a ClientHello, with its cookie, that somebody else sends is
// answered with a Retry and no more.
func TestRecordedHello(t *testing.T) {
	p := newPair(t)
	p.withCookies()
	p.toRetry()
	for _, from := range []string{"192.0.2.8", "2001:db8::1", "::ffff:192.0.2.8"} {
		p.responderConf.PeerAddr = netip.MustParseAddr(from)
		reply, _, err := p.freshResponder().Handle(p.hello)
		if err != nil || kind(reply) != typeRetry {
			t.Errorf("%v: message %d, %v", from, kind(reply), err)
		}
	}
	p.responderConf.PeerAddr = netip.MustParseAddr("::ffff:192.0.2.7") // the same, from a socket that speaks both
	if reply, _, err := p.freshResponder().Handle(p.hello); err != nil || kind(reply) != typeServerHello {
		t.Errorf("the same address as IPv6: %v", err)
	}
}

// TestForgedRetry: the man in the middle knows the fingerprint, so he can make a
// Retry. All he gets is a second ClientHello that offers the same.
func TestForgedRetry(t *testing.T) {
	p := newPair(t).start()
	key := newSilenceKey(p.initiatorConf.Peer, nil)
	reply, done, err := p.i.Handle(appendRetry(nil, &key, [cookieLen]byte{1, 2, 3}))
	second, _ := p.step("forged Retry", reply, done, err)
	// The first one, which he answers with, is not in the initiator's transcript.
	answer, _, err := p.freshResponder().Handle(p.hello)
	if err != nil {
		t.Fatal(err)
	}
	reply, done, err = p.i.clone().Handle(answer)
	refused{ErrOpen, AlertHandshakeFailure, false}.check(t, "answer to the first", reply, done, err)
	p.hello = second
	p.fromHello()
	if p.rDone.Suite() != DefaultSuite() {
		t.Errorf("%v", p.rDone.Suite())
	}
}

// TestCookieDemand: asked for only while it is demanded.
func TestCookieDemand(t *testing.T) {
	p := newPair(t)
	p.withCookies()
	demanded := false
	p.responderConf.CookieDemanded = func() bool { return demanded }
	p.finish()
	demanded = true
	p.toRetry()
	demanded = false
	p.fromHello() // a cookie that nobody asks for any more does no harm
}

func TestCookies(t *testing.T) {
	c, err := NewCookies(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	hello := sha256.Sum256([]byte("hello"))
	for _, at := range []time.Duration{0, time.Second, 59 * time.Second, 60 * time.Second, time.Hour, 1 << 56} {
		cookie := c.issue(at, testAddr, hello)
		for _, age := range []time.Duration{0, time.Millisecond, 59 * time.Second} {
			if !c.check(at+age, testAddr, hello, cookie[:]) {
				t.Errorf("issued at %v, refused %v later", at, age)
			}
		}
		for _, age := range []time.Duration{61 * time.Second, time.Hour} {
			if c.check(at+age, testAddr, hello, cookie[:]) {
				t.Errorf("issued at %v, taken %v later", at, age)
			}
		}
		nowhere := c.issue(at, netip.Addr{}, hello)
		if c.check(at, netip.Addr{}, hello, nowhere[:]) || c.check(at, netip.Addr{}, hello, cookie[:]) || c.check(at, testAddr, sha256.Sum256(nil), cookie[:]) ||
			c.check(at, testAddr, hello, cookie[:36]) || c.check(at, testAddr, hello, nil) {
			t.Errorf("issued at %v: taken for another address or hello", at)
		}
		other, _ := NewCookies(time.Minute)
		if other.check(at, testAddr, hello, cookie[:]) {
			t.Error("two processes have the same key")
		}
	}
	// The key itself is new in every period.
	a, b := c.issue(59*time.Second, testAddr, hello), c.issue(60*time.Second, testAddr, hello)
	if a[0] == b[0] {
		t.Error("the key's id does not change with the period")
	}
	for _, timeout := range []time.Duration{0, -1, time.Millisecond, 25 * time.Hour} {
		if _, err := NewCookies(timeout); err == nil {
			t.Errorf("a timeout of %v is taken", timeout)
		}
	}
}

// TestShortMAC holds our HMAC against the standard library's.
func TestShortMAC(t *testing.T) {
	var key [sha256.Size]byte
	for n := range maxShortMAC + 1 {
		message := make([]byte, n)
		rand.Read(key[:])
		rand.Read(message)
		m := hmac.New(sha256.New, key[:])
		m.Write(message)
		if got := shortMAC(&key, message); !bytes.Equal(got[:], m.Sum(nil)) {
			t.Errorf("%d bytes: %x", n, got)
		}
	}
	panics(t, "a long message", func() { shortMAC(&key, make([]byte, maxShortMAC+1)) })
}

package handshake

import (
	"bytes"
	"testing"
	"time"
)

func (p *pair) door() *Door {
	p.t.Helper()
	d, err := NewDoor(p.responderConf)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// TestDoor: what the door says of a message is what a machine then does with it.
func TestDoor(t *testing.T) {
	p := newPair(t)
	p.withCookies()
	demanded := true
	p.responderConf.CookieDemanded = func() bool { return demanded }
	first, _ := p.toRetry()
	d := p.door()
	second := p.hello
	wrong := bytes.Clone(second)
	wrong[len(wrong)-1] ^= 1
	for _, c := range []struct {
		name     string
		msg      []byte
		demanded bool
		want     Verdict
	}{
		{"first", first, true, AskRetry},
		{"first, nothing demanded", first, false, Admitted},
		{"with cookie", second, true, Admitted},
		{"with cookie, nothing demanded", second, false, Admitted},
		{"wrong MAC", wrong, true, Silent},
		{"wrong MAC, nothing demanded", wrong, false, Silent},
		{"cut", first[:len(first)-1], true, Silent},
		{"nothing", nil, true, Silent},
		{"an alert", clearAlert(AlertHandshakeFailure), true, Silent},
	} {
		demanded = c.demanded
		if got := d.Admit(c.msg, testAddr); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		r := d.Responder(testAddr, time.Time{})
		r.Greetings(p.rSees[0], p.rSees[1])
		reply, _, err := r.Handle(c.msg)
		switch c.want {
		case Silent:
			refused{nil, AlertNone, true}.check(t, c.name, reply, nil, err)
		case AskRetry:
			if retry := d.Retry(nil, c.msg, testAddr); err != nil || !bytes.Equal(retry, reply) || kind(retry) != typeRetry {
				t.Errorf("%s: the door says %x, the machine message %d, %v", c.name, retry, kind(reply), err)
			}
		case Admitted:
			if err != nil || kind(reply) != typeServerHello {
				t.Errorf("%s: message %d, %v", c.name, kind(reply), err)
			}
		}
		if c.want == Silent && len(d.Retry(nil, c.msg, testAddr)) != 0 {
			t.Errorf("%s: a Retry", c.name)
		}
	}
	flips(second, func(at int, m []byte) {
		if v := d.Admit(m, testAddr); v != Silent {
			t.Errorf("byte %d changed: %v", at, v)
		}
	})
}

// TestDoorAllocates: a stranger costs no memory, whatever he gets.
func TestDoorAllocates(t *testing.T) {
	p := newPair(t)
	p.withCookies()
	first, _ := p.toRetry()
	p.responderConf.MoreIdentities = []*Identity{testIdentity(t, MLDSA44, 20), testIdentity(t, MLDSA44, 21)}
	d := p.door()
	wrong := bytes.Clone(first)
	wrong[len(wrong)-1] ^= 1
	retry := make([]byte, 0, MaxRetry)
	for _, c := range []struct {
		name string
		f    func() bool
	}{
		{"wrong MAC", func() bool { return d.Admit(wrong, testAddr) == Silent }},
		{"no ClientHello", func() bool { return d.Admit(first[:100], testAddr) == Silent }},
		{"no cookie", func() bool { return d.Admit(first, testAddr) == AskRetry }},
		{"cookie", func() bool { return d.Admit(p.hello, testAddr) == Admitted }},
		{"Retry", func() bool { return len(d.Retry(retry, first, testAddr)) == MaxRetry }},
	} {
		if n := testing.AllocsPerRun(100, func() {
			if !c.f() {
				t.Fatalf("%s: another verdict", c.name)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// TestNames: the MAC tells which of a responder's identities was called, and that
// one answers, with a suite that it can sign.
func TestNames(t *testing.T) {
	p := newPair(t)
	list := []*Identity{p.responderConf.Identity}
	algs := []Signature{MLDSA65, MLDSA87, Ed25519MLDSA44, Ed25519MLDSA65, MLDSA44, MLDSA65, MLDSA87}
	for n, alg := range algs {
		list = append(list, testIdentity(t, alg, byte(30+n)))
	}
	for alg := MLDSA44; alg.Valid(); alg++ {
		p.responderConf.Suites = append(p.responderConf.Suites, Suite{X25519MLKEM768, alg, 1, 1})
	}
	p.responderConf.MoreIdentities = list[1:]
	p.initiatorConf.Suites = p.responderConf.Suites
	for _, id := range list {
		p.initiatorConf.Peer = id.Fingerprint()
		p.finish()
		if p.iDone.Peer() != id.Fingerprint() || p.iDone.Suite().Sig != id.Algorithm() {
			t.Errorf("called %v, reached %v with %v", id.Fingerprint(), p.iDone.Peer(), p.iDone.Suite())
		}
		carries(t, p.iDone, p.rDone)
	}
	// None of them may call us.
	for _, id := range list[1:] {
		p.initiatorConf.Peer = list[0].Fingerprint()
		p.initiatorConf.Identity = id
		p.toClientKey()
		reply, done, err := p.r.Handle(p.key)
		refused{ErrSelf, AlertAccessDenied, false}.check(t, "self by another name", reply, done, err)
	}
}

func TestDoorConfig(t *testing.T) {
	cookies, err := NewCookies(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	clock := new(testClock)
	more := func(n int) (list []*Identity) {
		for b := range n {
			list = append(list, testIdentity(t, MLDSA44, byte(40+b)))
		}
		return list
	}
	for _, c := range []struct {
		name string
		edit func(*Config)
		ok   bool
	}{
		{"eight names", func(c *Config) { c.MoreIdentities = more(7) }, true},
		{"nine names", func(c *Config) { c.MoreIdentities = more(8) }, false},
		{"a name twice", func(c *Config) { c.MoreIdentities = append(more(1), c.Identity) }, false},
		{"a nil name", func(c *Config) { c.MoreIdentities = []*Identity{nil} }, false},
		{"a name without a suite", func(c *Config) { c.MoreIdentities = []*Identity{testIdentity(t, MLDSA65, 3)} }, false},
		{"a classical name", func(c *Config) { c.MoreIdentities = []*Identity{testIdentity(t, Ed25519, 3)} }, false},
		{"cookies", func(c *Config) { c.Cookies, c.Clock = cookies, clock.read }, true},
		{"cookies without a clock", func(c *Config) { c.Cookies = cookies }, false},
		{"demanded without cookies", func(c *Config) { c.CookieDemanded = func() bool { return true } }, false},
	} {
		p := newPair(t)
		c.edit(&p.responderConf)
		if _, err := NewDoor(p.responderConf); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for v, want := range map[Verdict]string{Silent: "silent", AskRetry: "retry", Admitted: "admitted", 9: "verdict_9"} {
		if v.String() != want {
			t.Errorf("%q, want %q", v, want)
		}
	}
}

package controlplane

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// identityFor is a new key for an algorithm.
func identityFor(t *testing.T, alg handshake.Signature) *handshake.Identity {
	t.Helper()
	id, err := handshake.GenerateIdentityFor(alg)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestLinkOfEveryAlgorithm: whatever two gateways' keys are for, as far as the mode
// goes, they make a link, and either may call.
func TestLinkOfEveryAlgorithm(t *testing.T) {
	for _, c := range []struct {
		a, b handshake.Signature
		mode handshake.Mode
	}{
		{handshake.Ed25519MLDSA65, handshake.Ed25519MLDSA65, handshake.ModeHybrid},
		{handshake.MLDSA65, handshake.MLDSA44, handshake.ModeHybrid},
		{handshake.MLDSA87, handshake.Ed25519MLDSA44, handshake.ModePQOnly},
		{handshake.Ed25519, handshake.Ed25519, handshake.ModeClassical},
		{handshake.Ed25519, handshake.MLDSA44, handshake.ModeClassical},
	} {
		for _, dials := range []string{"A", "B"} {
			t.Run(fmt.Sprintf("%v, %v, %v, %s dials", c.mode, c.a, c.b, dials), func(t *testing.T) {
				port := freePort(t)
				a, b := newSite(t, 1, identityFor(t, c.a), port), newSite(t, 2, identityFor(t, c.b), port)
				cable(t, a, b)
				toB, toA := a.linkTo(b, dials == "A"), b.linkTo(a, dials == "B")
				toB.Mode, toA.Mode = c.mode, c.mode
				a.begin(toB)
				b.begin(toA)
				up(t, a, b)
				exchange(t, a, b)
			})
		}
	}
}

// TestCallersKeyIsHeldToItsLink: a gateway with a classical link takes a classical key
// there and there only, though the handshake runs before it is known who calls.
func TestCallersKeyIsHeldToItsLink(t *testing.T) {
	port := freePort(t)
	c := newSite(t, 3, identityFor(t, handshake.MLDSA44), port)
	a, b := newSite(t, 1, identityFor(t, handshake.Ed25519), port), newSite(t, 2, identityFor(t, handshake.Ed25519), port)
	cable(t, a, c)
	toA, toB := c.linkTo(a, false), c.linkTo(b, false)
	toA.Mode = handshake.ModeClassical
	// So pinned, B's key does not go with the mode of its link. A configuration whose
	// suite names the peer's real algorithm is refused before; this one names another.
	toB.Mode, toB.Suite = handshake.ModeHybrid, handshake.DefaultSuite()
	c.begin(toA, toB)
	for _, caller := range []*site{a, b} {
		l := caller.linkTo(c, true)
		l.Mode = handshake.ModeClassical
		caller.begin(l)
	}
	up(t, a, c)
	exchange(t, a, c)
	const reason = "the peer's key is for ed25519, which the link's mode hybrid does not allow"
	eventually(t, "the responder says why", 10*time.Second, func() bool { return c.log.count(reason) > 0 })
	eventually(t, "the caller is told", 10*time.Second, func() bool { return b.log.count("insufficient_security") > 0 })
	if c.link(b).connected() || b.link(c).connected() {
		t.Error("the link is up all the same")
	}
	if !c.link(a).connected() {
		t.Error("the classical link has gone down")
	}
}

// TestModeDecidesOnKeys: which keys a gateway starts with, by its mode.
func TestModeDecidesOnKeys(t *testing.T) {
	dir := t.TempDir()
	for alg := handshake.Ed25519; alg.Valid(); alg++ {
		key := filepath.Join(dir, alg.String())
		if _, err := CreateIdentity(key, alg); err != nil {
			t.Fatal(err)
		}
		for _, mode := range []handshake.Mode{handshake.ModeHybrid, handshake.ModePQOnly, handshake.ModeClassical} {
			text := strings.ReplaceAll(minimal, "/etc/qzmq/a.key", key) + fmt.Sprintf("qzmq: { mode: %v, default_suite: { sig: %v } }\n", mode, alg)
			c, err := Parse("a.yaml", []byte(text), env{}.get)
			if err == nil {
				_, err = c.ReadIdentity()
			}
			if alg == handshake.Ed25519 && mode != handshake.ModeClassical {
				want := fmt.Sprintf(`a.yaml:6: qzmq.default_suite.sig: "ed25519" is not allowed in mode %v`, mode)
				if err == nil || err.Error() != want {
					t.Errorf("%v in mode %v: %v", alg, mode, err)
				}
			} else if err != nil {
				t.Errorf("%v in mode %v: %v", alg, mode, err)
			}
		}
		// The file says the default and the key is another.
		c, err := Parse("a.yaml", []byte(strings.ReplaceAll(minimal, "/etc/qzmq/a.key", key)), env{}.get)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.ReadIdentity(); alg != handshake.MLDSA44 &&
			(err == nil || err.Error() != fmt.Sprintf("a.yaml:1: qzmq.default_suite.sig: is mldsa44, and the key of gateway.identity is for %v", alg)) {
			t.Errorf("%v without a word in the file: %v", alg, err)
		}
	}
}

// TestGatewayWithoutLinks answers nobody, whatever its key is for.
func TestGatewayWithoutLinks(t *testing.T) {
	port := freePort(t)
	a, b := newSite(t, 1, identityFor(t, handshake.Ed25519), port), newSite(t, 2, identityFor(t, handshake.Ed25519), port)
	b.begin()
	l := a.linkTo(b, true)
	l.Mode = handshake.ModeClassical
	a.begin(l)
	eventually(t, "the caller is told no more than no", 10*time.Second, func() bool { return a.log.count("access_denied") > 0 })
	eventually(t, "the reason is in the log", 10*time.Second, func() bool { return b.log.count("not authorised") > 0 })
}

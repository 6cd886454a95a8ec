package handshake

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// TestValidity is about seconds: the first and the last count.
func TestValidity(t *testing.T) {
	ca := testAuthority(t, Ed25519, 7)
	c := issueTo(t, ca, testIdentity(t, Ed25519, 1), testGrant("site-b"))
	trusted := []*Authority{ca.Authority()}
	for _, tc := range []struct {
		name string
		now  time.Time
		want error
		soon bool
	}{
		{"before", c.NotBefore.Add(-1), ErrCertificateNotYet, false},
		{"first moment", c.NotBefore, nil, false},
		{"8 days left", c.NotAfter.Add(-8 * 24 * time.Hour), nil, false},
		{"7 days left", c.NotAfter.Add(-WarnBefore), nil, false},
		{"less than 7 days left", c.NotAfter.Add(-WarnBefore + 1), nil, true},
		{"last second", c.NotAfter.Add(time.Second - 1), nil, true},
		{"after", c.NotAfter.Add(time.Second), ErrCertificateExpired, true},
		{"no time at all", time.Time{}, ErrCertificateNotYet, false},
	} {
		if err := c.Check(trusted, tc.now); err != tc.want || c.ExpiresSoon(tc.now) != tc.soon {
			t.Errorf("%s: %v, expires soon: %v", tc.name, err, c.ExpiresSoon(tc.now))
		}
	}
}

func TestRoutesAllowed(t *testing.T) {
	c := issueTo(t, testAuthority(t, Ed25519, 7), testIdentity(t, Ed25519, 1), testGrant("site-b"))
	for route, want := range map[string]bool{
		"10.2.0.0/16": true, "10.2.3.0/24": true, "10.2.255.255/32": true, "fd00:2::/32": true, "fd00:2:3::/48": true,
		"10.2.0.0/15": false, "10.0.0.0/8": false, "10.3.0.0/16": false, "0.0.0.0/0": false, "::/0": false, "fd00:3::/32": false,
		"::ffff:10.2.0.0/112": false,
	} {
		if got := c.Allows(netip.MustParsePrefix(route)); got != want {
			t.Errorf("%s: %v", route, got)
		}
	}
	if c.Allows(netip.Prefix{}) || (&Certificate{}).Allows(netip.MustParsePrefix("10.2.0.0/16")) {
		t.Error("no route is allowed, or no certificate allows one")
	}
}

func TestRoles(t *testing.T) {
	for text, want := range map[string]Roles{
		"link": LinkRoles, "zmtp": ZMTPRoles, "link,zmtp": allRoles, "link-initiator": LinkInitiator,
		"zmtp,link-responder": ZMTPRoles | LinkResponder, "link-initiator,link-responder": LinkRoles,
	} {
		r, err := ParseRoles(text)
		if err != nil || r != want {
			t.Errorf("%q is %v, %v", text, r, err)
		}
		if again, err := ParseRoles(r.String()); err != nil || again != r {
			t.Errorf("%v is written %q and read as %v, %v", want, r, again, err)
		}
	}
	for _, text := range []string{"", "link,", "link, zmtp", "Link", "initiator", "link-", "all"} {
		if _, err := ParseRoles(text); !errors.Is(err, errRoles) {
			t.Errorf("%q: %v", text, err)
		}
	}
	seen := map[Roles]bool{}
	for _, p := range []Purpose{PurposeZMTP, PurposeLink} {
		for _, r := range []role{roleInitiator, roleResponder} {
			seen[roleFor(r, p)] = true
		}
	}
	if len(seen) != 4 || roleFor(roleInitiator, PurposeZMTP) != ZMTPInitiator || roleFor(roleResponder, PurposeZMTP) != ZMTPResponder ||
		roleFor(roleInitiator, PurposeLink) != LinkInitiator || roleFor(roleResponder, PurposeLink) != LinkResponder {
		t.Errorf("roles %v", seen)
	}
}

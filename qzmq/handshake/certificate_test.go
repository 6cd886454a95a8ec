package handshake

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// certNow is the time of these tests.
func certNow() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) }

func testAuthority(t testing.TB, alg Signature, b byte) *AuthorityKey {
	t.Helper()
	return &AuthorityKey{key: testIdentity(t, alg, b)}
}

// testGrant is for both sides of both purposes, from a day before certNow.
func testGrant(name string) Grant {
	return Grant{
		Name: name, Roles: allRoles,
		Routes:    []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("fd00:2::/32")},
		NotBefore: certNow().Add(-24 * time.Hour), NotAfter: certNow().Add(DefaultValidity),
	}
}

func issueTo(t testing.TB, ca *AuthorityKey, id *Identity, g Grant) *Certificate {
	t.Helper()
	q, err := NewRequest(id)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Issue(q, g)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIssue(t *testing.T) {
	for alg := Ed25519; alg.Valid(); alg++ {
		ca, id := testAuthority(t, alg, 7), testIdentity(t, alg, 1)
		g := testGrant("site-b")
		g.Routes = []netip.Prefix{netip.MustParsePrefix("fd00:2::1/32"), netip.MustParsePrefix("10.2.3.4/16"), netip.MustParsePrefix("10.2.0.0/16")}
		g.NotAfter = g.NotAfter.Add(time.Millisecond).In(time.FixedZone("", 3600))
		c := issueTo(t, ca, id, g)
		if err := c.Check([]*Authority{testAuthority(t, MLDSA44, 8).Authority(), ca.Authority()}, certNow()); err != nil {
			t.Fatalf("%v: %v", alg, err)
		}
		want := testGrant("site-b")
		if c.Fingerprint() != id.Fingerprint() || c.Algorithm() != alg || c.IssuerAlgorithm() != alg || c.Issuer != ca.Authority().Fingerprint() ||
			c.Name != want.Name || c.Roles != want.Roles || !slices.Equal(c.Routes, want.Routes) ||
			!c.NotBefore.Equal(want.NotBefore) || !c.NotAfter.Equal(want.NotAfter) || c.Serial == [serialLen]byte{} {
			t.Errorf("%v: %+v", alg, c)
		}
		again, err := ParseCertificate(c.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), c.Marshal()) || again.Check([]*Authority{ca.Authority()}, certNow()) != nil {
			t.Errorf("%v: read back %+v, %v", alg, again, err)
		}
		if other := issueTo(t, ca, id, g); other.Serial == c.Serial {
			t.Errorf("%v: two certificates of one serial", alg)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := testAuthority(t, Ed25519MLDSA44, 7)
	id := testIdentity(t, MLDSA44, 1)
	many := make([]netip.Prefix, MaxRoutes+1)
	for i := range many {
		many[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16)
	}
	for _, c := range []struct {
		name string
		edit func(*Grant)
		want error
	}{
		{"no name", func(g *Grant) { g.Name = "" }, errName},
		{"long name", func(g *Grant) { g.Name = strings.Repeat("a", MaxName+1) }, errName},
		{"upper case", func(g *Grant) { g.Name = "Site" }, errName},
		{"line break", func(g *Grant) { g.Name = "site\nb" }, errName},
		{"no roles", func(g *Grant) { g.Roles = 0 }, errRoles},
		{"unknown role", func(g *Grant) { g.Roles = 16 | LinkRoles }, errRoles},
		{"too many routes", func(g *Grant) { g.Routes = many }, errRoutes},
		{"no prefix", func(g *Grant) { g.Routes = make([]netip.Prefix, 1) }, errRoutes},
		{"IPv4 in IPv6", func(g *Grant) { g.Routes = []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")} }, errRoutes},
		{"ends before it begins", func(g *Grant) { g.NotAfter = g.NotBefore.Add(-time.Second) }, errValidity},
		{"ends as it begins", func(g *Grant) { g.NotAfter = g.NotBefore }, errValidity},
		{"before 1970", func(g *Grant) { g.NotBefore = time.Unix(-1, 0) }, errValidity},
		{"after 9999", func(g *Grant) { g.NotAfter = time.Unix(latest+1, 0) }, errValidity},
	} {
		q, err := NewRequest(id)
		if err != nil {
			t.Fatal(err)
		}
		g := testGrant("site-b")
		c.edit(&g)
		if got, err := ca.Issue(q, g); got != nil || err != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestHalves: nothing that one half of a composite has signed, or can sign, makes
// a request or a certificate.
func TestHalves(t *testing.T) {
	composite := testIdentity(t, Ed25519MLDSA44, 7)
	q, err := NewRequest(composite)
	if err != nil {
		t.Fatal(err)
	}
	lattice, curve := composite.alg.split(composite.public)
	n := MLDSA44.signatureLen()
	for name, half := range map[string]*Request{
		"ML-DSA half":       {MLDSA44, lattice, q.signature[:n]},
		"Ed25519 half":      {Ed25519, curve, q.signature[n:]},
		"one half spoilt":   {q.alg, q.public, flipped(q.signature, 5)},
		"other half spoilt": {q.alg, q.public, flipped(q.signature, n+5)},
		"halves swapped":    {q.alg, q.public, slices.Concat(q.signature[n:], q.signature[:n])},
	} {
		if _, err := ParseRequest(half.Marshal()); err != ErrPossession {
			t.Errorf("a request by the %s: %v", name, err)
		}
	}
	if _, err := ParseRequest(q.Marshal()); err != nil {
		t.Fatal(err)
	}

	// The halves as keys of their own, as an implementation could make them that
	// does not derive its composite's halves apart.
	latticeSeed := testHalfSeed(labelCompositeMLDSA, composite)
	curveSeed := testHalfSeed(labelCompositeEd, composite)
	ca := &AuthorityKey{key: composite}
	id := testIdentity(t, MLDSA44, 1)
	for alg, seed := range map[Signature][seedLen]byte{MLDSA44: latticeSeed, Ed25519: curveSeed} {
		half, err := newIdentity(alg, seed)
		if err != nil {
			t.Fatal(err)
		}
		if !shareHalf(alg, half.public, composite.alg, composite.public) {
			t.Fatalf("%v is no half; the test tests nothing", alg)
		}
		// As a subject of the composite authority.
		hq, err := NewRequest(half)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ca.Issue(hq, testGrant("half")); err != ErrHalfKey {
			t.Errorf("issued to its own %v half: %v", alg, err)
		}
		// As an issuer in the composite's name: under its fingerprint, and under
		// its own with the composite trusted.
		c := issueTo(t, &AuthorityKey{key: half}, id, testGrant("x"))
		if err := c.Check([]*Authority{ca.Authority()}, certNow()); err != ErrUnknownAuthority {
			t.Errorf("issued by the %v half: %v", alg, err)
		}
		c.Issuer = composite.fingerprint
		if c.signature, err = half.sign(signedUnder(labelCertificate, alg, c.digest()), true); err != nil {
			t.Fatal(err)
		}
		if err := c.Check([]*Authority{ca.Authority()}, certNow()); err != ErrCertificateForged {
			t.Errorf("issued by the %v half in the composite's name: %v", alg, err)
		}
	}
	good := issueTo(t, ca, id, testGrant("x"))
	for _, at := range []int{0, n - 1, n, len(good.signature) - 1} {
		c := *good
		c.signature = flipped(good.signature, at)
		if err := c.Check([]*Authority{ca.Authority()}, certNow()); err != ErrCertificateForged {
			t.Errorf("composite signature with byte %d changed: %v", at, err)
		}
	}
	// An authority that certifies itself, and a peer who trusts it.
	self := issueTo(t, testAuthority(t, MLDSA44, 9), id, testGrant("self"))
	own := testIdentity(t, MLDSA44, 9)
	self.alg, self.public = own.alg, own.public
	if self.signature, err = own.sign(signedUnder(labelCertificate, own.alg, self.digest()), true); err != nil {
		t.Fatal(err)
	}
	if err := self.Check([]*Authority{testAuthority(t, MLDSA44, 9).Authority()}, certNow()); err != ErrHalfKey {
		t.Errorf("self-signed by a trusted authority: %v", err)
	}
	if err := self.Check([]*Authority{testAuthority(t, MLDSA44, 8).Authority()}, certNow()); err != ErrUnknownAuthority {
		t.Errorf("self-signed: %v", err)
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// TestEveryByteCounts: a certificate or request with any one byte changed is
// refused, and so is one of any other length.
func TestEveryByteCounts(t *testing.T) {
	ca, id := testAuthority(t, Ed25519, 7), testIdentity(t, Ed25519, 1) // small, and quick to verify
	good := issueTo(t, ca, id, testGrant("site-b")).Marshal()
	holds := func(b []byte) bool {
		c, err := ParseCertificate(b)
		return err == nil && c.Check([]*Authority{ca.Authority()}, certNow()) == nil
	}
	if !holds(good) {
		t.Fatal("the certificate itself does not hold")
	}
	q, err := NewRequest(id)
	if err != nil {
		t.Fatal(err)
	}
	for at := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			if bad[at] ^= 1 << bit; holds(bad) {
				t.Errorf("the certificate holds with bit %d of byte %d changed", bit, at)
			}
		}
		if holds(good[:at]) {
			t.Errorf("the first %d bytes hold", at)
		}
	}
	for at := range q.Marshal() {
		if _, err := ParseRequest(flipped(q.Marshal(), at)); err == nil {
			t.Errorf("the request is taken with byte %d changed", at)
		}
	}
	if holds(append(bytes.Clone(good), 0)) {
		t.Error("the certificate holds with a byte more")
	}
	// A request is no certificate's signature, nor the other way round.
	c, err := ParseCertificate(good)
	if err != nil {
		t.Fatal(err)
	}
	if id.alg.verify(id.public, signedUnder(labelCertificate, q.alg, q.digest()), q.signature) ||
		ca.key.alg.verify(ca.key.public, signedUnder(labelPossession, c.issuerAlg, c.digest()), c.signature) {
		t.Error("a signature passes under another label")
	}
}

// TestOneEncoding: what means the same in another order or form is refused.
func TestOneEncoding(t *testing.T) {
	good := issueTo(t, testAuthority(t, Ed25519, 7), testIdentity(t, Ed25519, 1), testGrant("site-b"))
	for name, edit := range map[string]func(*Certificate){
		"routes not in order": func(c *Certificate) { slices.Reverse(c.Routes) },
		"route twice":         func(c *Certificate) { c.Routes[1] = c.Routes[0] },
		"bits behind a route": func(c *Certificate) { c.Routes[0] = netip.MustParsePrefix("10.2.0.1/16") },
		"IPv4 in IPv6":        func(c *Certificate) { c.Routes[1] = netip.MustParsePrefix("::ffff:10.3.0.0/112") },
		"no roles":            func(c *Certificate) { c.Roles = 0 },
		"role of the future":  func(c *Certificate) { c.Roles |= 16 },
		"no name":             func(c *Certificate) { c.Name = "" },
		"long name":           func(c *Certificate) { c.Name = strings.Repeat("a", 64) },
		"space in the name":   func(c *Certificate) { c.Name = "site b" },
		"never valid":         func(c *Certificate) { c.NotAfter = c.NotBefore },
		"year 10000":          func(c *Certificate) { c.NotAfter = time.Unix(latest+1, 0) },
		"unknown algorithm":   func(c *Certificate) { c.alg = 9 },
		"unknown issuer's":    func(c *Certificate) { c.issuerAlg = 0 },
		"half a key":          func(c *Certificate) { c.alg = Ed25519MLDSA44 },
	} {
		c := *good
		c.Routes = slices.Clone(good.Routes)
		edit(&c)
		if _, err := ParseCertificate(c.Marshal()); err != ErrCertificate {
			t.Errorf("%s: %v", name, err)
		}
	}
	bits33 := bytes.Replace(good.Marshal(), []byte{family4, 16, 10, 2}, []byte{family4, 33, 10, 2}, 1)
	family5 := bytes.Replace(good.Marshal(), []byte{family4, 16, 10, 2}, []byte{5, 16, 10, 2}, 1)
	for _, b := range [][]byte{bits33, family5} {
		if _, err := ParseCertificate(b); bytes.Equal(b, good.Marshal()) || err != ErrCertificate {
			t.Errorf("%x: %v", b, err)
		}
	}
}

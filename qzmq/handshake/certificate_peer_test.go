package handshake

import (
	"bytes"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/record"
)

// certify makes a pair in which each side knows no more of the other than its
// name, and shows a certificate of one authority.
func (p *pair) certify(ca *AuthorityKey) *pair {
	for _, c := range []*Config{&p.initiatorConf, &p.responderConf} {
		c.Authorities, c.Now = []*Authority{ca.Authority()}, certNow()
		c.Peer, c.Authorize = Fingerprint{}, nil
	}
	p.initiatorConf.Certificate = issueTo(p.t, ca, p.initiatorConf.Identity, testGrant("site-a")).Marshal()
	p.responderConf.Certificate = issueTo(p.t, ca, p.responderConf.Identity, testGrant("site-b")).Marshal()
	p.initiatorConf.PeerName = "site-b"
	p.responderConf.AuthorizeCertified = func(c *Certificate) bool {
		p.authorisations++
		return c.Name == "site-a"
	}
	return p
}

// certificateFor is a certificate of authority 7 with an edited grant, in bytes.
func certificateFor(t testing.TB, id *Identity, name string, edit func(*Grant)) []byte {
	g := testGrant(name)
	if edit != nil {
		edit(&g)
	}
	return issueTo(t, testAuthority(t, MLDSA44, 7), id, g).Marshal()
}

func TestCertified(t *testing.T) {
	for _, alg := range []Signature{MLDSA44, MLDSA87, Ed25519MLDSA65} {
		ca := testAuthority(t, alg, 7)
		p := newPair(t).certify(ca).finish()
		for _, s := range []struct {
			session *Session
			peer    *Identity
			name    string
		}{{p.iDone, p.responderConf.Identity, "site-b"}, {p.rDone, p.initiatorConf.Identity, "site-a"}} {
			c := s.session.PeerCertificate()
			if s.session.Peer() != s.peer.Fingerprint() || c == nil || c.Name != s.name || c.Fingerprint() != s.peer.Fingerprint() || c.Issuer != ca.Authority().Fingerprint() {
				t.Errorf("%v: the peer is %v with %+v, want %s", alg, s.session.Peer(), c, s.name)
			}
		}
		sealer, _ := p.iDone.Records()
		_, opener := p.rDone.Records()
		sealed, err := sealer.Seal(nil, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := opener.Open(nil, sealed); err != nil || string(got) != "x" {
			t.Errorf("%v: %q, %v", alg, got, err)
		}
		if p.authorisations != 1 {
			t.Errorf("asked %d times", p.authorisations)
		}
	}
}

// TestCertifiedRefusals are peers that have proved their key and show a
// certificate that does not do, on either side.
func TestCertifiedRefusals(t *testing.T) {
	day := 24 * time.Hour
	other := testAuthority(t, MLDSA44, 8)
	for _, c := range []struct {
		name      string
		grant     func(mine, peers Roles) func(*Grant)
		show      func(id *Identity, name string) []byte
		initiator error // when the initiator shows it
		responder error // when the responder does
	}{
		{"expired", func(_, _ Roles) func(*Grant) {
			return func(g *Grant) { g.NotBefore, g.NotAfter = certNow().Add(-30*day), certNow().Add(-time.Second) }
		}, nil, ErrCertificateExpired, ErrCertificateExpired},
		{"not yet valid", func(_, _ Roles) func(*Grant) {
			return func(g *Grant) { g.NotBefore = certNow().Add(time.Second) }
		}, nil, ErrCertificateNotYet, ErrCertificateNotYet},
		{"wrong role", func(_, peers Roles) func(*Grant) {
			return func(g *Grant) { g.Roles = peers | LinkRoles }
		}, nil, ErrCertificateRole, ErrCertificateRole},
		{"wrong purpose", func(_, _ Roles) func(*Grant) {
			return func(g *Grant) { g.Roles = LinkRoles }
		}, nil, ErrCertificateRole, ErrCertificateRole},
		{"other name", func(_, _ Roles) func(*Grant) {
			return func(g *Grant) { g.Name = "site-c" }
		}, nil, ErrAccessDenied, ErrCertificateName},
		{"other authority", nil, func(id *Identity, name string) []byte {
			return issueTo(t, other, id, testGrant(name)).Marshal()
		}, ErrUnknownAuthority, ErrUnknownAuthority},
		{"self-signed", nil, func(id *Identity, name string) []byte {
			c := issueTo(t, other, id, testGrant(name))
			c.Issuer = id.fingerprint
			var err error
			if c.signature, err = id.sign(signedUnder(labelCertificate, id.alg, c.digest()), true); err != nil {
				t.Fatal(err)
			}
			return c.Marshal()
		}, ErrUnknownAuthority, ErrUnknownAuthority},
		{"signature of another", nil, func(id *Identity, name string) []byte {
			c := issueTo(t, other, id, testGrant(name))
			c.Issuer = testAuthority(t, MLDSA44, 7).Authority().Fingerprint()
			return c.Marshal()
		}, ErrCertificateForged, ErrCertificateForged},
		{"tampered", nil, func(id *Identity, name string) []byte {
			b := certificateFor(t, id, name, nil)
			return flipped(b, 3) // in the serial
		}, ErrCertificateForged, ErrCertificateForged},
		{"none, though only the name is known", nil, func(*Identity, string) []byte { return nil }, ErrAccessDenied, ErrNoCertificate},
	} {
		show := func(id *Identity, name string, mine, peers Roles) []byte {
			if c.show != nil {
				return c.show(id, name)
			}
			return certificateFor(t, id, name, c.grant(mine, peers))
		}
		p := newPair(t).certify(testAuthority(t, MLDSA44, 7))
		p.initiatorConf.Certificate = show(p.initiatorConf.Identity, "site-a", ZMTPInitiator, ZMTPResponder)
		p.toClientKey()
		reply, done, err := p.r.Handle(p.key)
		refused{c.initiator, AlertAccessDenied, false}.check(t, c.name, reply, done, err)
		p.told(c.name, reply, AlertAccessDenied)

		// A false responder answers to any name.
		p = newPair(t).certify(testAuthority(t, MLDSA44, 7))
		p.start()
		h, err := parseClientHello(p.hello)
		if err != nil {
			t.Fatal(err)
		}
		p.responderConf.Certificate = show(p.responderConf.Identity, "site-b", ZMTPResponder, ZMTPInitiator)
		p.i.hello = remac(h, p.responderConf.Identity.fingerprint)
		answer, _, err := p.freshResponder().Handle(p.i.hello)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		reply, done, err = p.i.Handle(answer)
		refused{c.responder, AlertHandshakeFailure, false}.check(t, c.name+" at the initiator", reply, done, err)
	}
}

// TestBorrowedCertificate: another's certificate is no use without his key, and a
// certificate that cannot be read is refused before it is judged.
func TestBorrowedCertificate(t *testing.T) {
	ca := testAuthority(t, MLDSA44, 7)
	p := newPair(t).certify(ca).toServerHello()
	thief := testIdentity(t, MLDSA44, 9)
	certificate, err := ParseCertificate(p.initiatorConf.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	reply, done, err := p.r.clone(t).Handle(p.forgeClientKey(thief.showing(certificate), nil, nil))
	refused{ErrSignature, AlertHandshakeFailure, false}.check(t, "stolen", reply, done, err)
	for name, spoil := range map[string]func(*flight){
		"cut":               func(f *flight) { f.identity = f.identity[:len(f.identity)-1] },
		"longer":            func(f *flight) { f.identity = append(bytes.Clone(f.identity), 0) },
		"as a key":          func(f *flight) { f.form = formKey },
		"another's instead": func(f *flight) { f.identity = certificateFor(t, thief, "site-a", nil) },
	} {
		want := error(ErrCertificate)
		switch name {
		case "as a key":
			want = ErrMalformed
		case "another's instead":
			want = ErrSignature
		}
		own := p.initiatorConf.Identity.showing(certificate)
		reply, done, err := p.r.clone(t).Handle(p.forgeClientKey(own, nil, spoil))
		refused{want, AlertHandshakeFailure, false}.check(t, name, reply, done, err)
	}
	for name, f := range map[string]flight{
		"empty":           {alg: MLDSA44, form: formCertificate},
		"a key":           {alg: MLDSA44, form: formCertificate, identity: thief.public},
		"other algorithm": {alg: MLDSA44, form: formCertificate, identity: certificateFor(t, testIdentity(t, MLDSA65, 3), "site-a", nil)},
	} {
		if _, err := f.key(); err != ErrCertificate {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The same forger with nothing spoilt is let in.
	own := p.initiatorConf.Identity.showing(certificate)
	if _, done, err := p.r.clone(t).Handle(p.forgeClientKey(own, nil, nil)); err != nil || done == nil {
		t.Fatalf("unspoilt: %v", err)
	}
	if p.authorisations != 1 {
		t.Errorf("%d certificates were asked about, want the one that was proved", p.authorisations)
	}
}

// TestOwnKeyCertified: our own key, or a half of it, under another name.
func TestOwnKeyCertified(t *testing.T) {
	ca := testAuthority(t, MLDSA44, 7)
	p := newPair(t).certify(ca).toServerHello()
	self, err := ParseCertificate(certificateFor(t, p.responderConf.Identity, "site-a", nil))
	if err != nil {
		t.Fatal(err)
	}
	reply, done, err := p.r.clone(t).Handle(p.forgeClientKey(p.responderConf.Identity.showing(self), nil, nil))
	refused{ErrSelf, AlertAccessDenied, false}.check(t, "self", reply, done, err)

	composite := testIdentity(t, Ed25519MLDSA44, 2)
	half, err := newIdentity(MLDSA44, testHalfSeed(labelCompositeMLDSA, composite))
	if err != nil {
		t.Fatal(err)
	}
	q := newPair(t)
	q.responderConf.Identity = composite
	suite := Suite{X25519MLKEM768, Ed25519MLDSA44, record.AES256GCM, record.SHA256}
	q.initiatorConf.Suites, q.responderConf.Suites = []Suite{suite}, []Suite{suite}
	q.initiatorConf.Identity = half
	q.certify(ca).toServerHello()
	reply, done, err = q.i.Handle(q.answer)
	refused{ErrHalfKey, AlertHandshakeFailure, false}.check(t, "the whole of our half", reply, done, err)
	q.initiatorConf.Authorities, q.initiatorConf.PeerName, q.initiatorConf.Peer = nil, "", composite.Fingerprint()
	q.toClientKey()
	reply, done, err = q.r.Handle(q.key)
	refused{ErrHalfKey, AlertAccessDenied, false}.check(t, "half of our own key", reply, done, err)
}

// testHalfSeed is the seed of one half of a composite, as newKey derives it.
func testHalfSeed(label string, composite *Identity) [seedLen]byte {
	return [seedLen]byte(record.ExpandLabel(record.SHA256, composite.seed[:], label, nil, seedLen))
}

// TestCertifiedResumption: a resumed session has the peer's certificate, and it is
// judged anew each time; past its end there is neither resumption nor session.
func TestCertifiedResumption(t *testing.T) {
	ca := testAuthority(t, MLDSA44, 7)
	p := newPair(t).certify(ca)
	p.withTickets()
	p.finish()
	p.ends("first", false)
	p.finish()
	p.ends("again", true)
	if i, r := p.iDone.PeerCertificate(), p.rDone.PeerCertificate(); i == nil || r == nil || i.Name != "site-b" || r.Name != "site-a" {
		t.Errorf("certificates %+v and %+v", i, r)
	}
	late := certNow().Add(DefaultValidity + time.Minute)

	p.responderConf.Now = late // the initiator does not know yet
	p.toClientKey()
	if h, err := parseServerHello(p.answer); err != nil || h.psk {
		t.Errorf("resumed with an expired certificate: %v", err)
	}
	reply, done, err := p.r.Handle(p.key)
	refused{ErrCertificateExpired, AlertAccessDenied, false}.check(t, "expired at the responder", reply, done, err)

	p = newPair(t).certify(ca)
	p.withTickets()
	p.finish()
	p.initiatorConf.Now = late
	p.toServerHello()
	if h, err := parseClientHello(p.hello); err != nil {
		t.Fatal(err)
	} else if _, offered := h.extensions.get(extPSK); offered {
		t.Error("a session with an expired certificate was offered")
	}
	reply, done, err = p.i.Handle(p.answer)
	refused{ErrCertificateExpired, AlertHandshakeFailure, false}.check(t, "expired at the initiator", reply, done, err)

	// While it is under way, too.
	p = newPair(t).certify(ca)
	p.withTickets()
	p.finish()
	p.toClientKey()
	p.r.config.Now = late
	reply, done, err = p.r.Handle(p.key)
	refused{ErrCertificateExpired, AlertAccessDenied, false}.check(t, "expired between two messages", reply, done, err)
}

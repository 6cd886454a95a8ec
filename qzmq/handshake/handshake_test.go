package handshake

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// built gives every suite that this build can run.
func built(t testing.TB) []Suite {
	var list []Suite
	for k := X25519; k.Valid(); k++ {
		for s := Ed25519; s.Valid(); s++ {
			for a := record.AEAD(1); a.Valid(); a++ {
				for h := record.Hash(1); h.Valid(); h++ {
					list = append(list, Suite{k, s, a, h})
				}
			}
		}
	}
	if len(list) != 5*6*2*3 {
		t.Fatalf("%d suites are built, not the whole registry", len(list))
	}
	return list
}

// carries proves that two sessions hold the same keys: records go both ways.
func carries(t testing.TB, a, b *Session) {
	t.Helper()
	aSeal, aOpen := a.Records()
	bSeal, bOpen := b.Records()
	for _, d := range []struct {
		seal *record.StreamSealer
		open *record.StreamOpener
	}{{aSeal, bOpen}, {bSeal, aOpen}} {
		for _, text := range []string{"one", "two"} {
			sealed, err := d.seal.Seal(nil, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.open.Open(nil, sealed)
			if err != nil || string(got) != text {
				t.Fatalf("record %q opens as %q, %v", text, got, err)
			}
		}
	}
}

func TestHandshake(t *testing.T) {
	p := newPair(t)
	p.initiatorConf.Service = "orders"
	p.responderConf.Service = "orders"
	p.initiatorConf.Metadata = bytes.Repeat([]byte("i"), MaxMetadata)
	p.responderConf.Metadata = bytes.Repeat([]byte("r"), MaxMetadata)
	p.finish()
	for _, s := range []struct {
		name      string
		session   *Session
		peer      Fingerprint
		metadata  []byte
		initiator bool
	}{
		{"initiator", p.iDone, p.responderConf.Identity.Fingerprint(), p.responderConf.Metadata, true},
		{"responder", p.rDone, p.initiatorConf.Identity.Fingerprint(), p.initiatorConf.Metadata, false},
	} {
		if s.session.Peer() != s.peer || !bytes.Equal(s.session.PeerMetadata(), s.metadata) ||
			s.session.Initiator() != s.initiator || s.session.Suite() != DefaultSuite() {
			t.Errorf("%s: peer %v, %d bytes of metadata, initiator %v, suite %v", s.name, s.session.Peer(),
				len(s.session.PeerMetadata()), s.session.Initiator(), s.session.Suite())
		}
	}
	carries(t, p.iDone, p.rDone)
	if p.authorisations != 1 {
		t.Errorf("Authorize was called %d times", p.authorisations)
	}
}

// TestSizes holds the messages to the table of section 2.3.
func TestSizes(t *testing.T) {
	p := newPair(t).finish()
	for _, m := range []struct {
		name string
		msg  []byte
		want int
	}{
		{"ClientHello", p.hello, 1298},
		{"ServerHello", p.answer, 5018},
		{"ClientKey", p.key, 3860},
		{"Finished", p.last, 276},
	} {
		if len(m.msg) != m.want {
			t.Errorf("%s has %d bytes, want %d", m.name, len(m.msg), m.want)
		}
		if n, ok := MessageLength(m.msg[:HeaderLen]); !ok || n != len(m.msg) {
			t.Errorf("%s: MessageLength gives %d, %v", m.name, n, ok)
		}
	}
}

func TestMessageLength(t *testing.T) {
	for _, c := range []struct {
		header string
		total  int
		ok     bool
	}{
		{"\x01\x00\x0f\xfc", 4096, true},
		{"\x01\x00\x0f\xfd", 0, false},
		{"\x02\x00\x7f\xfc", 32768, true},
		{"\x02\x00\x7f\xfd", 0, false},
		{"\x03\x00\x7f\xfc", 32768, true},
		{"\x03\x00\x7f\xfd", 0, false},
		{"\x04\x00\x0f\xfc", 4096, true},
		{"\x04\x00\x0f\xfd", 0, false},
		{"\x30\x00\x00\x01", 5, true},
		{"\x05\x00\x00\x45", 73, true},
		{"\x05\x00\x00\x46", 0, false},
		{"\x00\x00\x00\x01", 0, false},
		{"\xff\xff\xff\xff", 0, false},
		{"\x01\x00\x00", 0, false},
	} {
		if total, ok := MessageLength([]byte(c.header)); total != c.total || ok != c.ok {
			t.Errorf("%x: %d, %v", c.header, total, ok)
		}
	}
}

// TestEverySuite runs each built suite, with an initiator's key of every algorithm in turn.
func TestEverySuite(t *testing.T) {
	alg := Ed25519
	for _, s := range built(t) {
		p := newPair(t)
		p.responderConf.Identity = testIdentity(t, s.Sig, 2)
		p.initiatorConf.Identity = testIdentity(t, alg, 1)
		p.initiatorConf.Peer = p.responderConf.Identity.Fingerprint()
		p.responderConf.Authorize = func(f Fingerprint) bool { return f == p.initiatorConf.Identity.Fingerprint() }
		p.initiatorConf.Suites, p.responderConf.Suites = []Suite{s}, []Suite{s}
		p.initiatorConf.Mode, p.responderConf.Mode = ModeClassical, ModeClassical
		p.finish()
		if p.iDone.Suite() != s || p.rDone.Suite() != s {
			t.Errorf("%v: sessions run %v and %v", s, p.iDone.Suite(), p.rDone.Suite())
		}
		carries(t, p.iDone, p.rDone)
		if alg++; !alg.Valid() {
			alg = Ed25519
		}
	}
}

// TestSuiteChoice: the initiator's order decides among what the responder allows,
// and what is unknown is skipped.
func TestSuiteChoice(t *testing.T) {
	first := Suite{X25519MLKEM1024, MLDSA44, record.AES256GCM, record.SHA256}
	second := DefaultSuite()
	p := newPair(t)
	p.initiatorConf.Suites = []Suite{first, second}
	p.responderConf.Suites = []Suite{second, first}
	p.finish()
	if p.iDone.Suite() != first || p.rDone.Suite() != first {
		t.Errorf("%v and %v, want %v", p.iDone.Suite(), p.rDone.Suite(), first)
	}

	p = newPair(t)
	p.initiatorConf.Suites = []Suite{first, second}
	p.finish()
	if p.rDone.Suite() != second {
		t.Errorf("%v, want the only one allowed", p.rDone.Suite())
	}
	carries(t, p.iDone, p.rDone)

	// A list with unknown codes before the known one: the responder answers.
	p = newPair(t).start()
	h, err := parseClientHello(p.hello)
	if err != nil {
		t.Fatal(err)
	}
	h.suites = append([]byte{0xee, 1, 1, 1, byte(X25519MLKEM768), 0xee, 1, 1, 0, 0, 0, 0}, h.suites...)
	reply, _, err := p.r.Handle(remac(h, p.initiatorConf.Peer))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseServerHello(reply); err != nil || got.suite != second {
		t.Errorf("chose %v, %v", got.suite, err)
	}
	h.suites = h.suites[:3*suiteLen]
	reply, done, err := p.freshResponder().Handle(remac(h, p.initiatorConf.Peer))
	refused{ErrNoCommonSuite, AlertHandshakeFailure, false}.check(t, "only unknown suites", reply, done, err)
}

// TestPQOnly: the assertion is sent in its mode, and holds a responder that would
// have chosen less.
func TestPQOnly(t *testing.T) {
	p := newPair(t)
	p.initiatorConf.Mode = ModePQOnly
	p.finish()
	h, err := parseClientHello(p.hello)
	if err != nil {
		t.Fatal(err)
	}
	if body, ok := h.extensions.get(extPQOnly); !ok || len(body) != 0 {
		t.Errorf("pq_only is %x, %v", body, ok)
	}
	for _, s := range built(t) {
		p := newPair(t)
		p.responderConf.Identity = testIdentity(t, s.Sig, 2)
		p.initiatorConf.Peer = p.responderConf.Identity.Fingerprint()
		p.initiatorConf.Suites, p.responderConf.Suites = []Suite{s}, []Suite{s}
		p.initiatorConf.Mode, p.responderConf.Mode = ModeClassical, ModeClassical
		p.start()
		h, err := parseClientHello(p.hello)
		if err != nil {
			t.Fatal(err)
		}
		h.extensions = h.extensions.with(extPQOnly, nil)
		reply, done, err := p.r.Handle(remac(h, p.initiatorConf.Peer))
		if strings.Contains(s.KEM.String(), "mlkem") && strings.Contains(s.Sig.String(), "mldsa") {
			if err != nil {
				t.Errorf("%v: %v", s, err)
			}
			continue
		}
		refused{ErrInsufficientSecurity, AlertHandshakeFailure, false}.check(t, s.String(), reply, done, err)
	}
	p = newPair(t).start()
	h, _ = parseClientHello(p.hello)
	h.extensions = h.extensions.with(extPQOnly, []byte{1})
	reply, done, err := p.r.Handle(remac(h, p.initiatorConf.Peer))
	refused{ErrMalformed, AlertHandshakeFailure, false}.check(t, "pq_only with a body", reply, done, err)
}

func TestKnock(t *testing.T) {
	p := newPair(t)
	p.initiatorConf.Knock = testKnock(7)
	p.responderConf.Knock = p.initiatorConf.Knock
	p.finish()
	for _, knock := range []*Knock{nil, testKnock(8)} {
		p.initiatorConf.Knock = knock
		p.start()
		reply, done, err := p.r.Handle(p.hello)
		refused{ErrSilenceMAC, AlertNone, true}.check(t, "wrong knock", reply, done, err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name      string
		edit      func(i, r *Config)
		initiator bool // else the responder refuses
		want      error
	}{
		{"no identity", func(i, _ *Config) { i.Identity = nil }, true, nil},
		{"no peer", func(i, _ *Config) { i.Peer = Fingerprint{} }, true, nil},
		{"self", func(i, _ *Config) { i.Peer = i.Identity.Fingerprint() }, true, ErrSelf},
		{"no purpose", func(i, _ *Config) { i.Purpose = 0 }, true, nil},
		{"long service", func(i, _ *Config) { i.Service = strings.Repeat("s", MaxService+1) }, true, nil},
		{"long metadata", func(i, _ *Config) { i.Metadata = make([]byte, MaxMetadata+1) }, true, nil},
		{"empty suites", func(i, _ *Config) { i.Suites = []Suite{} }, true, nil},
		{"suite twice", func(i, _ *Config) { i.Suites = []Suite{DefaultSuite(), DefaultSuite()} }, true, nil},
		{"unknown hash", func(i, _ *Config) { i.Suites = []Suite{{X25519MLKEM768, MLDSA44, 1, 4}} }, true, ErrSuiteNotBuilt},
		{"classical in hybrid", func(i, _ *Config) { i.Suites = []Suite{{X25519, MLDSA44, 1, 1}} }, true, ErrInsufficientSecurity},
		{"unknown mode", func(i, _ *Config) { i.Mode = 9 }, true, ErrInsufficientSecurity},
		{"classical key", func(i, _ *Config) { i.Identity = testIdentity(t, Ed25519, 1) }, true, ErrInsufficientSecurity},
		{"three KEMs", func(i, _ *Config) {
			i.Mode = ModePQOnly
			i.Suites = []Suite{{MLKEM768, MLDSA44, 1, 1}, {MLKEM1024, MLDSA44, 1, 1}, {X25519MLKEM768, MLDSA44, 1, 1}}
		}, true, nil},
		{"no Authorize", func(_, r *Config) { r.Authorize = nil }, false, nil},
		{"another key's suite", func(_, r *Config) { r.Suites = []Suite{{X25519MLKEM768, MLDSA65, 1, 1}} }, false, nil},
	} {
		p := newPair(t)
		c.edit(&p.initiatorConf, &p.responderConf)
		i, err := NewInitiator(p.initiatorConf)
		r, other := NewResponder(p.responderConf)
		if !c.initiator {
			err, other = other, err
		}
		if err == nil || other != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, other side %v", c.name, err, other)
		}
		if c.initiator && i != nil || !c.initiator && r != nil {
			t.Errorf("%s: a machine in spite of the error", c.name)
		}
	}
}

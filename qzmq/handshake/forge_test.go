package handshake

import (
	"bytes"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// The peers of these tests have the keys and seal rightly, so only the checks
// behind the seal can find what they do wrong.

// forgeClientKey is an initiator that follows the protocol except where it does
// not: it signs with any identity, adds any extensions and spoils what it likes
// before sealing. It works on a copy of p.i and the ServerHello.
func (p *pair) forgeClientKey(id *Identity, ext extensions, spoil func(*flight)) []byte {
	p.t.Helper()
	i := p.i.clone()
	h, err := parseServerHello(p.answer)
	if err != nil {
		p.t.Fatal(err)
	}
	shared, err := i.decapsulate(h.suite.KEM, h.share)
	if err != nil {
		p.t.Fatal(err)
	}
	tr := newTranscript(h.suite.Hash, i.prologue(), i.hello)
	t1 := tr.add(pointT1, h.clear)
	secrets := newSchedule(h.suite.Hash, make([]byte, h.suite.Hash.Size())).handshakeSecrets(shared, t1)
	t4, err := i.authenticate(&h, tr, t1, secrets)
	if err != nil {
		p.t.Fatal(err)
	}
	header := appendHeader(nil, typeClientKey, flightLen(id, ext, h.suite.Hash))
	plaintext, _, err := writeFlight(tr, roleInitiator, secrets, id, header, ext, true)
	if err != nil {
		p.t.Fatal(err)
	}
	if spoil != nil {
		plaintext = spoilt(p.t, plaintext, spoil)
	}
	return append(header, record.NewKeys(h.suite.AEAD, h.suite.Hash, secrets.initiator).SealOnce(t4, plaintext)...)
}

// forgeServerHello is the called responder, who adds extensions and spoils what
// he likes before sealing.
func (p *pair) forgeServerHello(ext extensions, spoil func(*flight)) []byte {
	p.t.Helper()
	r := p.freshResponder()
	hello, err := parseClientHello(p.hello)
	if err != nil {
		p.t.Fatal(err)
	}
	suite, share, err := r.choose(&hello)
	if err != nil {
		p.t.Fatal(err)
	}
	ciphertext, shared, err := encapsulate(suite.KEM, share, r.source.reader)
	if err != nil {
		p.t.Fatal(err)
	}
	h := serverHello{random: make([]byte, randomLen), suite: suite, share: ciphertext}
	msg := h.upToShare(flightLen(r.config.Identity, ext, suite.Hash))
	tr := newTranscript(suite.Hash, r.prologue, p.hello)
	t1 := tr.add(pointT1, msg)
	secrets := newSchedule(suite.Hash, make([]byte, suite.Hash.Size())).handshakeSecrets(shared, t1)
	plaintext, _, err := writeFlight(tr, roleResponder, secrets, r.config.Identity, nil, ext, true)
	if err != nil {
		p.t.Fatal(err)
	}
	if spoil != nil {
		plaintext = spoilt(p.t, plaintext, spoil)
	}
	return append(msg, record.NewKeys(suite.AEAD, suite.Hash, secrets.responder).SealOnce(t1, plaintext)...)
}

// forgeLast is the responder's last message with any extensions.
func (p *pair) forgeLast(t messageType, ext extensions) []byte {
	p.t.Helper()
	r := p.r.clone(p.t)
	_, _, t7, err := r.authenticate(p.key, r.pending)
	if err != nil {
		p.t.Fatal(err)
	}
	s := newSession(roleResponder, r.pending.suite, Fingerprint{}, r.pending.schedule, t7)
	msg, err := sealLast(s.sealer, t, ext)
	if err != nil {
		p.t.Fatal(err)
	}
	return msg
}

func spoilt(t testing.TB, plaintext []byte, spoil func(*flight)) []byte {
	t.Helper()
	f, err := parseFlight(plaintext, record.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	spoil(&f)
	return f.marshal()
}

var spoils = []struct {
	name   string
	spoil  func(*flight)
	reason error
}{
	{"signature", func(f *flight) { f.signature[7] ^= 1 }, ErrSignature},
	{"signature's last byte", func(f *flight) { f.signature[len(f.signature)-1] ^= 1 }, ErrSignature},
	{"finished", func(f *flight) { f.finished[31] ^= 1 }, ErrFinished},
	{"algorithm", func(f *flight) { f.alg = MLDSA65 }, ErrMalformed},
	{"unknown algorithm", func(f *flight) { f.alg = 99 }, ErrMalformed},
	{"certificate", func(f *flight) { f.form = formCertificate }, ErrCertificate},
	{"unknown form", func(f *flight) { f.form = 2 }, ErrMalformed},
}

func TestForgedServerHello(t *testing.T) {
	p := newPair(t).start()
	for _, c := range spoils {
		reply, done, err := p.i.clone().Handle(p.forgeServerHello(nil, c.spoil))
		refused{c.reason, AlertHandshakeFailure, false}.check(t, c.name, reply, done, err)
	}
	for _, e := range []extensionType{extMetadata, extService, extKeyShare, 0xABCD} {
		reply, done, err := p.i.clone().Handle(p.forgeServerHello(extensions(nil).with(e, []byte("x")), nil))
		refused{ErrUnsupportedExtension, AlertHandshakeFailure, false}.check(t, "extension", reply, done, err)
	}
	other := testIdentity(t, MLDSA44, 9)
	reply, done, err := p.i.clone().Handle(p.forgeServerHello(nil, func(f *flight) { f.identity = other.public }))
	refused{ErrWrongPeer, AlertHandshakeFailure, false}.check(t, "another identity", reply, done, err)
	if reply, _, err := p.i.clone().Handle(p.forgeServerHello(nil, nil)); err != nil || len(reply) == 0 {
		t.Fatalf("unspoilt: %v", err)
	}
}

func TestForgedFinished(t *testing.T) {
	p := newPair(t).toServerHello()
	reply, done, err := p.i.Handle(p.answer)
	p.key, _ = p.step("ServerHello", reply, done, err)
	for _, c := range []struct {
		name   string
		kind   messageType
		ext    extensions
		reason error
	}{
		{"ticket without a lifetime", typeFinished, extensions(nil).with(extTicket, make([]byte, 20)), ErrMalformed},
		{"short ticket", typeFinished, extensions(nil).with(extTicket, bytes.Repeat([]byte{1}, 19)), ErrMalformed},
		{"long ticket", typeFinished, extensions(nil).with(extTicket, bytes.Repeat([]byte{1}, 21)), ErrMalformed},
		{"alert with a ticket", typeAlert, extensions(nil).with(extTicket, bytes.Repeat([]byte{1}, 20)), ErrUnsupportedExtension},
		{"service", typeFinished, extensions(nil).with(extService, []byte("s")), ErrUnsupportedExtension},
		{"empty metadata", typeFinished, extensions(nil).with(extMetadata, nil), ErrMalformed},
		{"long metadata", typeFinished, extensions(nil).with(extMetadata, make([]byte, MaxMetadata+1)), ErrMalformed},
		{"extension twice", typeFinished, extensions(nil).with(extMetadata, []byte("a")).with(extMetadata, []byte("a")), ErrMalformed},
		{"alert without code", typeAlert, nil, ErrMalformed},
		{"alert with metadata", typeAlert, extensions(nil).with(extMetadata, []byte("a")), ErrUnsupportedExtension},
		{"alert of two bytes", typeAlert, extensions(nil).with(extRefused, []byte{1, 2}), ErrMalformed},
	} {
		reply, done, err := p.i.clone().Handle(p.forgeLast(c.kind, c.ext))
		refused{c.reason, AlertNone, false}.check(t, c.name, reply, done, err)
	}
	if _, done, err := p.i.clone().Handle(p.forgeLast(typeFinished, nil)); err != nil || done == nil {
		t.Fatalf("unspoilt: %v", err)
	}
}

func TestSpoiltClientKey(t *testing.T) {
	p := newPair(t).toServerHello()
	id := p.initiatorConf.Identity
	for _, c := range spoils {
		reply, done, err := p.r.clone(t).Handle(p.forgeClientKey(id, nil, c.spoil))
		refused{c.reason, AlertHandshakeFailure, false}.check(t, c.name, reply, done, err)
	}
	for name, spoil := range map[string]func(*flight){
		"another identity":        func(f *flight) { f.identity = testIdentity(t, MLDSA44, 9).public },
		"extension after signing": func(f *flight) { f.extensions = extensions(nil).with(extMetadata, []byte("x")) },
	} {
		reply, done, err := p.r.clone(t).Handle(p.forgeClientKey(id, nil, spoil))
		refused{ErrSignature, AlertHandshakeFailure, false}.check(t, name, reply, done, err)
	}
	if p.authorisations != 0 {
		t.Errorf("Authorize was asked %d times about unproved identities", p.authorisations)
	}
	// The same forger without spoiling is let in, so he is not refused for his tools.
	if _, done, err := p.r.clone(t).Handle(p.forgeClientKey(id, nil, nil)); err != nil || done == nil {
		t.Fatalf("unspoilt: %v", err)
	}
}

package handshake

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// told gives the sealed refusal to the initiator and checks what it learns.
func (p *pair) told(name string, reply []byte, want Alert) {
	p.t.Helper()
	if len(reply) != len(p.last) && len(reply) != 276 {
		p.t.Errorf("%s: a refusal of %d bytes differs from a Finished", name, len(reply))
	}
	i := p.i.clone()
	_, done, err := i.Handle(reply)
	var alert *PeerAlert
	if done != nil || !errors.As(err, &alert) || alert.Code != want || !alert.Sealed || AlertFor(err) != AlertNone {
		p.t.Errorf("%s: the initiator says %v", name, err)
	}
	// The type byte is not under the seal: changed, it still makes no Finished.
	forged := bytes.Clone(reply)
	forged[0] = byte(typeFinished)
	if _, done, err := p.i.clone().Handle(forged); done != nil || !errors.Is(err, ErrUnsupportedExtension) {
		p.t.Errorf("%s: as a Finished: %v, %v", name, done, err)
	}
	forged[len(forged)-1] ^= 1
	forged[0] = byte(typeAlert)
	if _, done, err := p.i.clone().Handle(forged); done != nil || !errors.Is(err, ErrOpen) {
		p.t.Errorf("%s: forged: %v, %v", name, done, err)
	}
}

// TestRefusals are initiators that prove who they are and are not let in.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		edit   func(i, r *Config)
		reason error
		told   Alert
	}{
		{"unauthorised", func(_, r *Config) { r.Authorize = func(Fingerprint) bool { return false } }, ErrAccessDenied, AlertAccessDenied},
		{"wrong purpose", func(i, _ *Config) { i.Purpose = PurposeLink }, ErrWrongPurpose, AlertWrongPurpose},
		{"wrong service", func(i, r *Config) { i.Service, r.Service = "orders", "prices" }, ErrWrongService, AlertWrongPurpose},
		{"no service", func(_, r *Config) { r.Service = "prices" }, ErrWrongService, AlertWrongPurpose},
		{"service nobody has", func(i, _ *Config) { i.Service = "orders" }, ErrWrongService, AlertWrongPurpose},
		{"classical key", func(i, r *Config) {
			i.Identity, i.Mode = testIdentity(t, Ed25519, 3), ModeClassical
			r.Authorize = func(f Fingerprint) bool { return true }
		}, ErrInsufficientSecurity, AlertInsufficientSecurity},
		{"unauthorised, and all else wrong", func(i, r *Config) {
			i.Identity, i.Mode, i.Purpose, i.Service = testIdentity(t, Ed25519, 3), ModeClassical, PurposeLink, "orders"
		}, ErrAccessDenied, AlertAccessDenied},
	} {
		p := newPair(t)
		c.edit(&p.initiatorConf, &p.responderConf)
		p.toClientKey()
		reply, done, err := p.r.Handle(p.key)
		refused{c.reason, c.told, false}.check(t, c.name, reply, done, err)
		p.told(c.name, reply, c.told)
	}
}

// TestForgedClientKey are refusals that our own initiator cannot cause.
func TestForgedClientKey(t *testing.T) {
	p := newPair(t).toServerHello()
	for _, c := range []struct {
		name   string
		id     *Identity
		ext    extensions
		reason error
		told   Alert
	}{
		{"self", p.responderConf.Identity, nil, ErrSelf, AlertAccessDenied},
		{"stranger", testIdentity(t, MLDSA44, 9), nil, ErrAccessDenied, AlertAccessDenied},
		{"unknown extension", p.initiatorConf.Identity, extensions(nil).with(0xFFFF, nil), ErrUnsupportedExtension, AlertUnsupportedExtension},
		{"cookie in ClientKey", p.initiatorConf.Identity, extensions(nil).with(extCookie, nil), ErrUnsupportedExtension, AlertUnsupportedExtension},
		{"ticket in ClientKey", p.initiatorConf.Identity, extensions(nil).with(extTicket, nil), ErrUnsupportedExtension, AlertUnsupportedExtension},
		{"empty service", p.initiatorConf.Identity, extensions(nil).with(extService, nil), ErrMalformed, AlertDecodeError},
		{"empty metadata", p.initiatorConf.Identity, extensions(nil).with(extMetadata, nil), ErrMalformed, AlertDecodeError},
		{"long metadata", p.initiatorConf.Identity, extensions(nil).with(extMetadata, make([]byte, MaxMetadata+1)), ErrMalformed, AlertDecodeError},
	} {
		reply, done, err := p.r.clone(t).Handle(p.forgeClientKey(c.id, c.ext, nil))
		refused{c.reason, c.told, false}.check(t, c.name, reply, done, err)
	}
	twice := extensions(nil).with(extService, []byte("a")).with(extService, []byte("a"))
	reply, done, err := p.r.clone(t).Handle(p.forgeClientKey(p.initiatorConf.Identity, twice, nil))
	refused{ErrMalformed, AlertHandshakeFailure, false}.check(t, "extension twice", reply, done, err)
}

// TestNoOracle: with a wrong signature a known and an unknown identity get the
// same answer, and nobody is asked who is known.
func TestNoOracle(t *testing.T) {
	p := newPair(t).toServerHello()
	spoil := func(f *flight) { f.signature[100] ^= 1 }
	var replies [][]byte
	for _, id := range []*Identity{p.initiatorConf.Identity, testIdentity(t, MLDSA44, 9)} {
		reply, done, err := p.r.clone(t).Handle(p.forgeClientKey(id, nil, spoil))
		refused{ErrSignature, AlertHandshakeFailure, false}.check(t, "bad signature", reply, done, err)
		replies = append(replies, reply)
	}
	if !bytes.Equal(replies[0], replies[1]) || p.authorisations != 0 {
		t.Errorf("replies %x, %d questions", replies, p.authorisations)
	}
}

// TestWrongPin: the responder that answers is not the one that was called. It
// knows the fingerprint that the MAC needs, so silence does not stop it.
func TestWrongPin(t *testing.T) {
	for _, other := range []*Identity{testIdentity(t, MLDSA44, 9), testIdentity(t, MLDSA65, 9), testIdentity(t, MLDSA44, 1)} {
		p := newPair(t)
		p.initiatorConf.Mode, p.responderConf.Mode = ModeClassical, ModeClassical
		suite := Suite{X25519MLKEM768, other.alg, 1, 1}
		p.initiatorConf.Suites = []Suite{suite}
		p.start()
		h, err := parseClientHello(p.hello)
		if err != nil {
			t.Fatal(err)
		}
		p.i.hello = remac(h, other.Fingerprint()) // the one thing a false responder cannot have wrong
		p.responderConf.Identity, p.responderConf.Suites = other, []Suite{suite}
		answer, _, err := p.freshResponder().Handle(p.i.hello)
		if err != nil {
			t.Fatal(err)
		}
		want := ErrWrongPeer
		if other.Fingerprint() == p.initiatorConf.Identity.Fingerprint() {
			want = ErrSelf
		}
		reply, done, err := p.i.Handle(answer)
		refused{want, AlertHandshakeFailure, false}.check(t, other.Fingerprint().String(), reply, done, err)
	}
	// Without knowing the fingerprint there is not even an answer.
	p := newPair(t)
	p.initiatorConf.Peer = testIdentity(t, MLDSA44, 9).Fingerprint()
	p.start()
	reply, done, err := p.r.Handle(p.hello)
	refused{ErrSilenceMAC, AlertNone, true}.check(t, "called by another name", reply, done, err)
}

// smallOrder are the X25519 points whose every multiple is zero, and the same
// values written with p added.
func smallOrder() [][]byte {
	list := [][]byte{
		bytes.Repeat([]byte{0}, 32),
		append([]byte{1}, make([]byte, 31)...),
		{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
		{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
	}
	for _, low := range []byte{0xec, 0xed, 0xee} { // p-1, p, p+1
		b := bytes.Repeat([]byte{0xff}, 32)
		b[0], b[31] = low, 0x7f
		list = append(list, b)
	}
	return list
}

func TestBadShares(t *testing.T) {
	p := newPair(t).start()
	h, err := parseClientHello(p.hello)
	if err != nil {
		t.Fatal(err)
	}
	good, _ := h.extensions.get(extKeyShare)
	bad := map[string][]byte{
		"none":              {},
		"wrong kem":         append([]byte{byte(MLKEM768)}, good[1:1185]...),
		"unknown kem":       append([]byte{77}, good[1:]...),
		"short":             good[:len(good)-1],
		"long":              append(slices.Clone(good), 0),
		"twice":             slices.Concat(good, good),
		"one more":          slices.Concat(good, []byte{byte(X25519), 9}, make([]byte, 31)),
		"coefficient of q":  slices.Concat(good[:1], []byte{0x01, good[2]&0xf0 | 0x0d}, good[3:]), // 3329 = 0xd01
		"coefficient 4095":  slices.Concat(good[:1], []byte{0xff, good[2] | 0x0f}, good[3:]),
		"last coefficient":  slices.Concat(good[:1+1151], []byte{0xff, 0xff}, good[1+1153:]),
		"kem code 0":        append([]byte{0}, good[1:]...),
		"middle of ML-KEM ": slices.Concat(good[:1+600], []byte{0xff, 0xff, 0xff}, good[1+603:]),
	}
	for i, point := range smallOrder() {
		bad["small order "+string(rune('0'+i))] = slices.Concat(good[:1+1184], point)
	}
	for name, body := range bad {
		h.extensions = extensions(nil).with(extKeyShare, body)
		reply, done, err := p.freshResponder().Handle(remac(h, p.initiatorConf.Peer))
		refused{ErrKeyShare, AlertHandshakeFailure, false}.check(t, name, reply, done, err)
	}
	h.extensions = nil
	reply, done, err := p.freshResponder().Handle(remac(h, p.initiatorConf.Peer))
	refused{ErrKeyShare, AlertHandshakeFailure, false}.check(t, "no key_share", reply, done, err)

	p.toServerHello()
	for i, point := range smallOrder() {
		m := bytes.Clone(p.answer)
		copy(m[42+1088:], point)
		reply, done, err := p.i.clone().Handle(m)
		refused{ErrKeyShare, AlertHandshakeFailure, false}.check(t, "responder's small order "+string(rune('0'+i)), reply, done, err)
	}
}

// TestHelloContents are ClientHellos with a right MAC and a wrong inside.
func TestHelloContents(t *testing.T) {
	p := newPair(t).start()
	for _, c := range []struct {
		name   string
		edit   func(*clientHello)
		reason error
	}{
		{"psk before another", func(h *clientHello) {
			h.extensions = h.extensions.with(extPSK, make([]byte, 48)).with(extPQOnly, nil)
		}, ErrMalformed},
		{"empty psk", func(h *clientHello) { h.extensions = h.extensions.with(extPSK, nil) }, ErrMalformed},
		{"psk without a binder", func(h *clientHello) { h.extensions = h.extensions.with(extPSK, make([]byte, 16)) }, ErrMalformed},
		{"psk of another length", func(h *clientHello) { h.extensions = h.extensions.with(extPSK, make([]byte, 47)) }, ErrMalformed},
		{"early data without a ticket", func(h *clientHello) { h.extensions = h.extensions.with(extEarlyData, nil) }, ErrMalformed},
		{"early data with a body", func(h *clientHello) {
			h.extensions = h.extensions.with(extEarlyData, []byte{0}).with(extPSK, make([]byte, 48))
		}, ErrMalformed},
		{"short cookie", func(h *clientHello) { h.extensions = h.extensions.with(extCookie, make([]byte, cookieLen-1)) }, ErrMalformed},
		{"empty cookie", func(h *clientHello) { h.extensions = h.extensions.with(extCookie, nil) }, ErrMalformed},
		{"unknown extension", func(h *clientHello) { h.extensions = h.extensions.with(0x1234, nil) }, ErrUnsupportedExtension},
		{"metadata in clear", func(h *clientHello) { h.extensions = h.extensions.with(extMetadata, []byte("m")) }, ErrUnsupportedExtension},
		{"suite twice", func(h *clientHello) { h.suites = slices.Concat(h.suites, h.suites) }, ErrMalformed},
		{"hash that is not allowed", func(h *clientHello) { h.suites = []byte{byte(X25519MLKEM768), byte(MLDSA44), 1, 2} }, ErrNoCommonSuite},
		{"unknown hash", func(h *clientHello) { h.suites = []byte{byte(X25519MLKEM768), byte(MLDSA44), 1, 4} }, ErrNoCommonSuite},
	} {
		h, err := parseClientHello(p.hello)
		if err != nil {
			t.Fatal(err)
		}
		h.extensions = slices.Clone(h.extensions)
		c.edit(&h)
		reply, done, err := p.freshResponder().Handle(remac(h, p.initiatorConf.Peer))
		refused{c.reason, AlertHandshakeFailure, false}.check(t, c.name, reply, done, err)
		var e *Error
		if c.reason == ErrUnsupportedExtension && (!errors.As(err, &e) || e.Alert != AlertUnsupportedExtension) {
			t.Errorf("%s: the log does not say unsupported_extension: %v", c.name, err)
		}
	}
	// What parsing refuses stays silent, even with a right MAC.
	for name, edit := range map[string]func(*clientHello){
		"no suites":       func(h *clientHello) { h.suites = nil },
		"no such purpose": func(h *clientHello) { h.purpose = 3 },
		"extension twice": func(h *clientHello) { h.extensions = h.extensions.with(extPQOnly, nil).with(extPQOnly, nil) },
		"17 extensions": func(h *clientHello) {
			for i := range extensionType(maxExtensions) {
				h.extensions = h.extensions.with(0x2000+i, nil)
			}
		},
		"half an extension": func(h *clientHello) { h.extensions = binary.BigEndian.AppendUint16(h.extensions, 0x33) },
	} {
		h, err := parseClientHello(p.hello)
		if err != nil {
			t.Fatal(err)
		}
		h.extensions = slices.Clone(h.extensions)
		edit(&h)
		reply, done, err := p.freshResponder().Handle(remac(h, p.initiatorConf.Peer))
		refused{ErrMalformed, AlertNone, true}.check(t, name, reply, done, err)
	}
}

// TestServerHelloContents are answers that break a rule before the seal.
func TestServerHelloContents(t *testing.T) {
	p := newPair(t).toServerHello()
	for _, c := range []struct {
		name   string
		at     int
		value  byte
		reason error
	}{
		{"version", 4, 2, ErrMalformed},
		{"another built AEAD", 39, 2, ErrSuiteNotOffered},
		{"another signature", 38, byte(MLDSA65), ErrSuiteNotOffered},
		{"unknown KEM", 37, 0x77, ErrMalformed},
		{"KEM 0", 37, 0, ErrMalformed},
		{"psk accepted", 41, 1, ErrResumption},
		{"psk flag 2", 41, 2, ErrMalformed},
	} {
		m := bytes.Clone(p.answer)
		m[c.at] = c.value
		reply, done, err := p.i.clone().Handle(m)
		refused{c.reason, AlertHandshakeFailure, false}.check(t, c.name, reply, done, err)
	}
}

// TestForgedAlert: an alert in clear ends a handshake, whoever made it, and is
// never answered.
func TestForgedAlert(t *testing.T) {
	p := newPair(t).toServerHello()
	for _, handle := range []func([]byte) ([]byte, *Session, error){p.i.clone().Handle, p.r.clone(t).Handle} {
		reply, done, err := handle(clearAlert(AlertHandshakeFailure))
		refused{nil, AlertNone, false}.check(t, "alert", reply, done, err)
		var alert *PeerAlert
		if !errors.As(err, &alert) || alert.Sealed || alert.Code != AlertHandshakeFailure {
			t.Errorf("%v", err)
		}
	}
	reply, done, err := p.freshResponder().Handle(clearAlert(AlertHandshakeFailure))
	refused{ErrUnexpectedMessage, AlertNone, true}.check(t, "alert to a silent responder", reply, done, err)
}

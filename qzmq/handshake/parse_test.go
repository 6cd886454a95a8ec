package handshake

import (
	"bytes"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// Every parser is strict: what it takes, marshalling gives back byte for byte,
// so one value has one encoding.

func FuzzClientHello(f *testing.F) {
	p := newPair(f)
	f.Add(p.start().hello)
	p.initiatorConf.Mode = ModePQOnly
	f.Add(p.start().hello)
	h, err := parseClientHello(p.hello)
	if err != nil {
		f.Fatal(err)
	}
	for _, ext := range []extensions{
		nil,
		h.extensions.with(extCookie, make([]byte, cookieLen)),
		h.extensions.with(extEarlyData, nil).with(extPSK, make([]byte, 48)),
		h.extensions.with(extPSK, make([]byte, 80)),
	} {
		h.extensions = bytes.Clone(ext)
		f.Add(h.marshal())
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		h, err := parseClientHello(msg)
		if err != nil {
			return
		}
		if got := h.marshal(); !bytes.Equal(got, msg) {
			t.Fatalf("%x became %x", msg, got)
		}
		// What follows the MAC check must not panic on anything either.
		if h.cookieDigest(); h.check() == nil {
			if id, mac, partial, ok := h.psk(msg); ok && len(partial)+len(mac)+silenceMACLen != len(msg) {
				t.Fatalf("ticket %x: %d bytes before the binder of %d", id, len(partial), len(mac))
			}
		}
		if offered, err := h.offered(); err == nil {
			h.keyShares(offered)
		}
	})
}

func FuzzServerHello(f *testing.F) {
	p := newPair(f).toServerHello()
	f.Add(p.answer)
	f.Add(p.answer[:1162])
	f.Fuzz(func(t *testing.T, msg []byte) {
		h, err := parseServerHello(msg)
		if err != nil {
			return
		}
		if got := append(h.upToShare(len(h.sealed)), h.sealed...); !bytes.Equal(got, msg) || !bytes.Equal(h.clear, msg[:len(h.clear)]) {
			t.Fatalf("%x became %x", msg, got)
		}
	})
}

func FuzzFlight(f *testing.F) {
	for _, alg := range []Signature{MLDSA44, Ed25519, Ed25519MLDSA65} {
		id := testIdentity(f, alg, 1)
		for _, ext := range []extensions{nil, extensions(nil).with(extService, []byte("orders")).with(extMetadata, []byte("m"))} {
			fl := flight{extensions: ext, alg: alg, identity: id.public, signature: make([]byte, alg.signatureLen()), finished: make([]byte, 32)}
			f.Add(fl.marshal())
			fl.form, fl.identity = formCertificate, []byte("certificate")
			f.Add(fl.marshal())
		}
	}
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		fl, err := parseFlight(plaintext, record.SHA256)
		if err != nil {
			return
		}
		if got := fl.marshal(); !bytes.Equal(got, plaintext) || !bytes.Equal(fl.head, fl.appendHead(nil)) {
			t.Fatalf("%x became %x", plaintext, got)
		}
	})
}

// FuzzShortFlight: what a resumed handshake seals.
func FuzzShortFlight(f *testing.F) {
	secrets := &trafficSecrets{initiator: make([]byte, 32), responder: make([]byte, 32)}
	at := func() *transcript {
		return &transcript{hash: record.SHA256, running: record.SHA256.New(), last: pointT1}
	}
	for _, ext := range []extensions{nil, extensions(nil).with(extEarlyData, nil), extensions(nil).with(extMetadata, make([]byte, 300))} {
		plaintext, _ := writeShortFlight(at(), roleResponder, secrets, nil, ext)
		f.Add(plaintext)
	}
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		ext, last, err := verifyShortFlight(at(), roleResponder, secrets, plaintext, nil)
		if err != nil {
			return
		}
		again, want := writeShortFlight(at(), roleResponder, secrets, nil, ext)
		if !bytes.Equal(again, plaintext) || !bytes.Equal(last, want) {
			t.Fatalf("%x became %x", plaintext, again)
		}
	})
}

// FuzzRetry: no bytes but the right ones are a Retry.
func FuzzRetry(f *testing.F) {
	key := newSilenceKey(Fingerprint{1}, nil)
	right := appendRetry(nil, &key, [cookieLen]byte{5})
	f.Add(right)
	other := newSilenceKey(Fingerprint{2}, nil)
	f.Add(appendRetry(nil, &other, [cookieLen]byte{5}))
	f.Fuzz(func(t *testing.T, msg []byte) {
		cookie, err := parseRetry(msg, &key)
		if err == nil && !bytes.Equal(appendRetry(nil, &key, [cookieLen]byte(cookie)), msg) {
			t.Fatalf("%x", msg)
		}
	})
}

// FuzzLast covers Finished and the sealed Alert.
func FuzzLast(f *testing.F) {
	f.Add(marshalLast(nil))
	f.Add(marshalLast(extensions(nil).with(extMetadata, bytes.Repeat([]byte("m"), 300))))
	f.Add(marshalLast(extensions(nil).with(extRefused, []byte{49})))
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		ext, err := parseLast(plaintext)
		if err != nil {
			return
		}
		if got := marshalLast(ext); !bytes.Equal(got, plaintext) {
			t.Fatalf("%x became %x", plaintext, got)
		}
		refusal(ext)
	})
}

// sameByte is randomness that is not.
type sameByte byte

func (s sameByte) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s)
	}
	return len(b), nil
}

// FuzzMachines gives any bytes to machines in every state: no panic, no session.
func FuzzMachines(f *testing.F) {
	p := newPair(f)
	// Fuzzing runs in several processes, which must agree on the right messages.
	p.iSource, p.rSource = source{reader: sameByte(1)}, source{reader: sameByte(2)}
	p.toServerHello()
	first := p.i.clone()
	waits := p.r.clone(f)
	reply, done, err := p.i.Handle(p.answer)
	p.key, _ = p.step("ServerHello", reply, done, err)
	reply, done, err = p.r.Handle(p.key)
	p.last, _ = p.step("ClientKey", reply, done, err)
	for _, m := range [][]byte{p.hello, p.answer, p.key, p.last, clearAlert(40)} {
		f.Add(m)
		f.Add(m[:len(m)-1])
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		MessageLength(msg)
		p := *p
		p.t = t
		for _, m := range []struct {
			takes  []byte
			handle func([]byte) ([]byte, *Session, error)
		}{
			{p.hello, p.freshResponder().Handle},
			{p.answer, first.clone().Handle},
			{p.key, waits.clone(t).Handle},
			{p.last, p.i.clone().Handle},
		} {
			_, done, err := m.handle(msg)
			if right := bytes.Equal(msg, m.takes); (err == nil) != right || done != nil && !right {
				t.Fatalf("%x: session %v, error %v", msg, done, err)
			}
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	for alg := Ed25519; alg.Valid(); alg++ {
		f.Add(testIdentity(f, alg, byte(alg)).MarshalKeyFile())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := ParseKeyFile(b)
		if err != nil {
			return
		}
		if got := id.MarshalKeyFile(); !bytes.Equal(got, b) {
			t.Fatalf("%q became %q", b, got)
		}
	})
}

func FuzzFingerprint(f *testing.F) {
	f.Add(Fingerprint{}.String())
	f.Add(testIdentity(f, MLDSA44, 1).Fingerprint().String())
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseFingerprint(s)
		if err != nil {
			return
		}
		if got := p.String(); got != s {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

// TestPadding: a flight is padded as pad does it and in no other way.
func TestPadding(t *testing.T) {
	good := marshalLast(extensions(nil).with(extMetadata, []byte("m")))
	for name, b := range map[string][]byte{
		"one zero less":  good[:len(good)-1],
		"one zero more":  append(bytes.Clone(good), 0),
		"a block more":   append(bytes.Clone(good), make([]byte, padTo)...),
		"a one in it":    append(bytes.Clone(good[:len(good)-1]), 1),
		"a one up front": append(append(bytes.Clone(good[:7]), 1), good[8:]...),
		"nothing":        {},
	} {
		if _, err := parseLast(b); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if ext, err := parseLast(good); err != nil || len(ext) != 5 {
		t.Errorf("%x, %v", ext, err)
	}
}

// TestParseAllocates: reading a stranger's ClientHello takes no memory.
func TestParseAllocates(t *testing.T) {
	p := newPair(t).start()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := parseClientHello(p.hello); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

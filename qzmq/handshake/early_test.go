package handshake

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

func message(frames ...string) (m EarlyMessage) {
	for _, f := range frames {
		m = append(m, []byte(f))
	}
	return m
}

func topics(t testing.TB, list ...string) *SafeTopics {
	t.Helper()
	s, err := NewSafeTopics(list...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func early(t testing.TB, s *SafeTopics, list ...EarlyMessage) *EarlyData {
	t.Helper()
	e := s.Early()
	for _, m := range list {
		if err := e.Add(m); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

var spoken = []EarlyMessage{message("beat", "1"), message("beat"), message("quote", "", strings.Repeat("q", 700))}

// withEarly has a ticket ready and early data to go with it.
func (p *pair) withEarly() *testClock {
	p.t.Helper()
	clock := p.withTickets()
	p.finish()
	safe := topics(p.t, "beat", "quote")
	p.responderConf.SafeTopics = safe
	p.initiatorConf.Early = early(p.t, safe, spoken...)
	return clock
}

// fromEarly goes on from ClientHello, with the EarlyData behind it. It gives what
// the responder takes early.
func (p *pair) fromEarly() []EarlyMessage {
	p.t.Helper()
	reply, done, err := p.r.Handle(p.hello)
	p.answer, _ = p.step("ClientHello", reply, done, err)
	reply, done, err = p.r.Handle(p.i.EarlyData())
	if p.step("EarlyData", reply, done, err); reply != nil {
		p.t.Errorf("an answer to EarlyData: %x", reply)
	}
	taken := p.r.Early()
	if p.r.Early() != nil {
		p.t.Error("early messages are given twice")
	}
	reply, done, err = p.i.Handle(p.answer)
	p.key, _ = p.step("ServerHello", reply, done, err)
	reply, done, err = p.r.Handle(p.key)
	p.last, p.rDone = p.step("ClientKey", reply, done, err)
	reply, done, err = p.i.Handle(p.last)
	_, p.iDone = p.step("Finished", reply, done, err)
	carries(p.t, p.iDone, p.rDone)
	return taken
}

func TestEarly(t *testing.T) {
	p := newPair(t)
	p.withEarly()
	p.start()
	if taken := p.fromEarly(); !reflect.DeepEqual(taken, spoken) {
		t.Errorf("the responder takes %q", taken)
	}
	p.ends("early", true)
	if m := p.iDone.RejectedEarly(); m != nil {
		t.Errorf("given back although taken: %q", m)
	}
	if len(p.answer) != 1434 || len(p.key) != 276 {
		t.Errorf("ServerHello has %d bytes, ClientKey %d", len(p.answer), len(p.key))
	}
}

// TestEarlyRejected: what is not taken early is given back, whole and once.
func TestEarlyRejected(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *pair)
		sent   bool // an EarlyData went out
	}{
		{"responder takes none", func(p *pair) { p.responderConf.SafeTopics = nil }, true},
		{"no ticket at the initiator", func(p *pair) { p.initiatorConf.ClientTickets, _ = NewClientTickets(testLifetime) }, false},
		{"no ticket at the responder", func(p *pair) { p.responderConf.ServerTickets, _ = NewServerTickets(testLifetime) }, true},
		{"rotation", func(p *pair) { p.initiatorConf.Reconnect = false }, false},
	} {
		p := newPair(t)
		p.withEarly()
		c.change(p)
		p.start()
		if sent := p.i.EarlyData() != nil; sent != c.sent {
			t.Errorf("%s: sent %v", c.name, sent)
		}
		var taken []EarlyMessage
		if c.sent {
			taken = p.fromEarly()
		} else {
			p.fromHello()
		}
		if taken != nil || p.r.Early() != nil {
			t.Errorf("%s: the responder takes %q", c.name, taken)
		}
		if m := p.iDone.RejectedEarly(); !reflect.DeepEqual(m, spoken) {
			t.Errorf("%s: given back %q", c.name, m)
		}
		if m := p.iDone.RejectedEarly(); m != nil {
			t.Errorf("%s: given back twice", c.name)
		}
	}
}

// TestEarlyAfterRetry: nothing is early any more, and what was under way is dropped.
func TestEarlyAfterRetry(t *testing.T) {
	p := newPair(t)
	clock := p.withEarly()
	p.withCookies()
	p.responderConf.Clock = clock.read
	p.start()
	under := p.i.EarlyData()
	retry, _, err := p.r.Handle(p.hello)
	if err != nil || kind(retry) != typeRetry {
		t.Fatalf("message %d, %v", kind(retry), err)
	}
	if reply, done, err := p.r.Handle(under); reply != nil || done != nil || err != nil {
		t.Fatalf("EarlyData before the second ClientHello: %x, %v", reply, err)
	}
	reply, done, err := p.r.clone(t).Handle(under)
	refused{ErrUnexpectedMessage, AlertNone, true}.check(t, "a second EarlyData", reply, done, err)
	reply, done, err = p.i.Handle(retry)
	p.hello, _ = p.step("Retry", reply, done, err)
	if p.i.EarlyData() != nil {
		t.Error("early data after a Retry")
	}
	p.fromHello()
	p.ends("after Retry", true)
	if m := p.iDone.RejectedEarly(); !reflect.DeepEqual(m, spoken) || p.r.Early() != nil {
		t.Errorf("given back %q", m)
	}
}

// TestEarlyReplayed: the recorded flight, to the same store, while the initiator still
// waits for its answer: it is refused, so that what was taken early is not given
// back to be said again. Nor is it when the policy of the day has changed.
func TestEarlyReplayed(t *testing.T) {
	p := newPair(t)
	p.withEarly()
	p.start()
	if reply, _, err := p.r.Handle(p.hello); reply == nil || err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.r.Handle(p.i.EarlyData()); err != nil || p.r.Early() == nil {
		t.Fatalf("not taken at all, %v", err)
	}
	for _, change := range []func(){func() {}, func() { p.responderConf.SafeTopics = nil }} {
		change()
		r := p.freshResponder()
		reply, done, err := r.Handle(p.hello)
		refused{ErrTicketUsed, AlertHandshakeFailure, false}.check(t, "replayed", reply, done, err)
		reply, done, err = r.Handle(p.i.EarlyData())
		if reply != nil || done != nil || !errors.Is(err, ErrTicketUsed) || r.Early() != nil {
			t.Errorf("its flight is taken, or answered: %x, %v", reply, err)
		}
		// The alert is all that the attacker gets to give the initiator.
		i := p.i.clone()
		if _, done, err := i.Handle(clearAlert(AlertHandshakeFailure)); done != nil || err == nil {
			t.Errorf("the initiator goes on: %v", err)
		}
	}
	// Its owner calls again, without that ticket.
	p.initiatorConf.Early = nil
	p.finish()
	p.ends("again", false)
}

// TestEarlyToAForgetfulResponder is the limit that is left: to a responder that has
// started anew the ticket is one it never gave.
func TestEarlyToAForgetfulResponder(t *testing.T) {
	p := newPair(t)
	p.withEarly()
	p.start()
	if _, _, err := p.r.Handle(p.hello); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.r.Handle(p.i.EarlyData()); err != nil || p.r.Early() == nil {
		t.Fatalf("not taken at all, %v", err)
	}
	p.responderConf.ServerTickets, _ = NewServerTickets(testLifetime)
	p.r = p.freshResponder()
	if taken := p.fromEarly(); taken != nil {
		t.Errorf("taken early again: %q", taken)
	}
	p.ends("after a restart", false)
	if m := p.iDone.RejectedEarly(); !reflect.DeepEqual(m, spoken) {
		t.Errorf("given back %q", m)
	}
}

// TestEarlyForged: EarlyData that is not the initiator's, or not there.
func TestEarlyForged(t *testing.T) {
	p := newPair(t)
	p.withEarly()
	p.start()
	flight := p.i.EarlyData()
	reply, done, err := p.r.Handle(p.hello)
	p.answer, _ = p.step("ClientHello", reply, done, err)
	reply, done, err = p.i.clone().Handle(p.answer)
	key, _ := p.step("ServerHello", reply, done, err)
	flips(flight, func(at int, m []byte) {
		r := p.r.clone(t)
		reply, done, err := r.Handle(m)
		refused{nil, AlertHandshakeFailure, false}.check(t, "EarlyData", reply, done, err)
		if r.Early() != nil {
			t.Errorf("byte %d: taken", at)
		}
	})
	for n := range len(flight) {
		reply, done, err := p.r.clone(t).Handle(flight[:n:n])
		refused{nil, AlertHandshakeFailure, false}.check(t, "EarlyData cut", reply, done, err)
	}
	reply, done, err = p.r.clone(t).Handle(key)
	refused{ErrUnexpectedMessage, AlertHandshakeFailure, false}.check(t, "EarlyData left out", reply, done, err)
	r := p.r.clone(t)
	if _, _, err := r.Handle(flight); err != nil {
		t.Fatal(err)
	}
	reply, done, err = r.Handle(flight)
	refused{ErrUnexpectedMessage, AlertHandshakeFailure, false}.check(t, "EarlyData twice", reply, done, err)
	if alert := p.r.clone(t); alert != nil {
		reply, done, err := alert.Handle(clearAlert(AlertHandshakeFailure))
		refused{nil, AlertNone, false}.check(t, "an alert in its place", reply, done, err)
	}
}

// forgeEarly is an initiator with the PSK that seals whatever it likes.
func (p *pair) forgeEarly(plaintext []byte) []byte {
	p.t.Helper()
	s := p.i.offered.suite
	secret := earlySecret(s.Hash, p.i.offered.psk, p.i.prologue(), p.i.hello)
	header := appendHeader(nil, typeEarlyData, len(plaintext)+record.TagLen)
	return append(header, record.NewKeys(s.AEAD, s.Hash, secret).SealEarly(header, plaintext)...)
}

// TestUnsafeEarly: the responder has its own list, whatever the initiator holds safe.
func TestUnsafeEarly(t *testing.T) {
	p := newPair(t)
	p.withEarly()
	p.responderConf.SafeTopics = topics(t, "beat")
	p.start()
	reply, done, err := p.r.Handle(p.hello)
	p.answer, _ = p.step("ClientHello", reply, done, err)
	for _, c := range []struct {
		name      string
		plaintext []byte
		reason    error
	}{
		{"one of three is unsafe", pad(bytes.Clone(p.initiatorConf.Early.encoded)), ErrUnsafeTopic},
		{"a prefix", pad([]byte("\x01\x00\x05beats")), ErrUnsafeTopic},
		{"part of it", pad([]byte("\x01\x00\x03bea")), ErrUnsafeTopic},
		{"topic in another frame", pad([]byte("\x02\x00\x00\x00\x04beat")), ErrUnsafeTopic},
		{"no message", make([]byte, padTo), ErrMalformed},
		{"half a message", pad([]byte("\x02\x00\x04beat\xff")), ErrMalformed},
		{"bytes after the last", pad([]byte("\x01\x00\x04beat\x00\x01")), ErrMalformed},
	} {
		r := p.r.clone(t)
		reply, done, err := r.Handle(p.forgeEarly(c.plaintext))
		refused{c.reason, AlertHandshakeFailure, false}.check(t, c.name, reply, done, err)
		if r.Early() != nil {
			t.Errorf("%s: taken in part", c.name)
		}
	}
	long := p.forgeEarly(make([]byte, MaxEarlyData+padTo))
	reply, done, err = p.r.clone(t).Handle(long)
	refused{ErrOverflow, AlertHandshakeFailure, false}.check(t, "over the cap", reply, done, err)
	if _, ok := MessageLength(long); ok {
		t.Error("MessageLength lets it be waited for")
	}
	r := p.r.clone(t)
	if _, _, err := r.Handle(p.forgeEarly(pad([]byte("\x01\x00\x04beat")))); err != nil || len(r.Early()) != 1 {
		t.Errorf("unspoilt: %v", err)
	}
}

// TestInventedEarly: taken, says the responder, and nothing was sent.
func TestInventedEarly(t *testing.T) {
	p := newPair(t)
	p.withEarly()
	p.toServerHello()
	i := p.i.clone()
	i.early = nil
	reply, done, err := i.Handle(p.answer)
	refused{ErrUnsupportedExtension, AlertHandshakeFailure, false}.check(t, "invented", reply, done, err)
}

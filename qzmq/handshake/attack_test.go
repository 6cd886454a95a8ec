package handshake

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"
)

// The man in the middle of these tests owns the wire. Whatever he does, both
// ends never both finish, and no machine that he touched gives a session.

// flips gives the message with one bit changed, each of all its bits in turn.
func flips(msg []byte, f func(at int, changed []byte)) { flipSome(msg, 0, 8, f) }

// flipsInTurns is for where each flip costs a key agreement: 4,000 bytes are 15 s. It
// changes one bit of each byte, the one that is the turn of QZMQ_FLIPS=0 to 7: together
// they are all. QZMQ_FLIPS=all, as `make fuzz` sets it, takes all at once.
func flipsInTurns(t *testing.T, msg []byte, f func(at int, changed []byte)) {
	t.Helper()
	from, to := 0, 1
	switch turn := os.Getenv("QZMQ_FLIPS"); {
	case turn == "all":
		to = 8
	case len(turn) == 1 && "0" <= turn && turn <= "7":
		from = int(turn[0] - '0')
		to = from + 1
	case turn != "":
		t.Fatalf("QZMQ_FLIPS is %q, neither all nor 0 to 7", turn)
	}
	flipSome(msg, from, to, f)
}

// flipSome begins with another bit at each byte, so that one turn of the eight has
// flipped all of them somewhere.
func flipSome(msg []byte, from, to int, f func(at int, changed []byte)) {
	for at := range msg {
		for turn := from; turn < to; turn++ {
			changed := bytes.Clone(msg)
			changed[at] ^= 1 << ((at + turn) % 8)
			f(at, changed)
		}
	}
}

// Any bit of the four messages that is another one ends the handshake for a reason of
// this package, at whoever reads it and at the other end, which is told. Only the
// Finished finds a responder that is done; it has nobody to talk to.
func TestFlipEveryBit(t *testing.T) {
	p := newPair(t)
	p.initiatorConf.Service, p.responderConf.Service = "orders", "orders"
	p.initiatorConf.Metadata, p.responderConf.Metadata = []byte("mi"), []byte("mr")
	p.toServerHello()
	flipped := map[string]int{}
	flips(p.hello, func(_ int, m []byte) {
		flipped["ClientHello"]++
		reply, done, err := p.freshResponder().Handle(m)
		refused{nil, AlertNone, true}.check(t, "ClientHello", reply, done, err)
	})
	flipsInTurns(t, p.answer, func(at int, m []byte) {
		flipped["ServerHello"]++
		reply, done, err := p.i.clone().Handle(m)
		refused{nil, AlertHandshakeFailure, false}.check(t, "ServerHello", reply, done, err)
		// Random, share and seal are found by the seal; header, version, suite and
		// psk flag before it.
		if inside := at >= 5 && at < 37 || at >= 42; inside != errors.Is(err, ErrOpen) {
			t.Errorf("ServerHello byte %d: %v", at, err)
		}
		if _, done, err = p.r.clone(t).Handle(reply); !gaveUp(done, err) {
			t.Fatalf("ServerHello byte %d: the responder says %v", at, err)
		}
	})

	reply, done, err := p.i.Handle(p.answer)
	p.key, _ = p.step("ServerHello", reply, done, err)
	flips(p.key, func(at int, m []byte) {
		flipped["ClientKey"]++
		reply, done, err := p.r.clone(t).Handle(m)
		refused{nil, AlertHandshakeFailure, false}.check(t, "ClientKey", reply, done, err)
		if at >= HeaderLen && !errors.Is(err, ErrOpen) {
			t.Errorf("ClientKey byte %d: %v", at, err)
		}
		if _, done, err = p.i.clone().Handle(reply); !gaveUp(done, err) {
			t.Fatalf("ClientKey byte %d: the initiator says %v", at, err)
		}
	})

	reply, done, err = p.r.Handle(p.key)
	p.last, _ = p.step("ClientKey", reply, done, err)
	flips(p.last, func(_ int, m []byte) {
		flipped["Finished"]++
		reply, done, err := p.i.clone().Handle(m)
		refused{nil, AlertNone, false}.check(t, "Finished", reply, done, err)
	})
	t.Logf("bits flipped: %v", flipped)
	for name, msg := range map[string][]byte{"ClientHello": p.hello, "ClientKey": p.key, "Finished": p.last} {
		if flipped[name] != 8*len(msg) {
			t.Errorf("%s: %d bits flipped of %d bytes", name, flipped[name], len(msg))
		}
	}
	// The untouched messages still go through: the flips failed for their own sake.
	if _, done, err := p.i.Handle(p.last); err != nil || done == nil {
		t.Fatalf("untouched: %v", err)
	}
}

// gaveUp says whether a machine ended when the other one told it, in clear, that it had.
func gaveUp(done *Session, err error) bool {
	var alert *PeerAlert
	return done == nil && errors.As(err, &alert) && alert.Code == AlertHandshakeFailure && !alert.Sealed
}

// setLength makes the header fit a message again.
func setLength(msg []byte) []byte {
	word := binary.BigEndian.Uint32(msg)
	binary.BigEndian.PutUint32(msg, word&0xff000000|uint32(len(msg)-HeaderLen))
	return msg
}

// stages gives each message with fresh machines that wait for it.
func stages(p *pair) []struct {
	name   string
	msg    []byte
	handle func([]byte) ([]byte, *Session, error)
	want   refused
} {
	p.toServerHello()
	r := p.r.clone(p.t)
	hello := p.i.clone()
	reply, done, err := p.i.Handle(p.answer)
	p.key, _ = p.step("ServerHello", reply, done, err)
	key := p.i.clone()
	reply, done, err = p.r.Handle(p.key)
	p.last, _ = p.step("ClientKey", reply, done, err)
	return []struct {
		name   string
		msg    []byte
		handle func([]byte) ([]byte, *Session, error)
		want   refused
	}{
		{"ClientHello", p.hello, func(m []byte) ([]byte, *Session, error) { return p.freshResponder().Handle(m) }, refused{nil, AlertNone, true}},
		{"ServerHello", p.answer, func(m []byte) ([]byte, *Session, error) { return hello.clone().Handle(m) }, refused{nil, AlertHandshakeFailure, false}},
		{"ClientKey", p.key, func(m []byte) ([]byte, *Session, error) { return r.clone(p.t).Handle(m) }, refused{nil, AlertHandshakeFailure, false}},
		{"Finished", p.last, func(m []byte) ([]byte, *Session, error) { return key.clone().Handle(m) }, refused{nil, AlertNone, false}},
	}
}

func TestTruncatedAndExtended(t *testing.T) {
	for _, s := range stages(newPair(t)) {
		for n := range len(s.msg) {
			reply, done, err := s.handle(s.msg[:n:n])
			s.want.check(t, s.name+" cut", reply, done, err)
			if n < HeaderLen {
				continue
			}
			reply, done, err = s.handle(setLength(bytes.Clone(s.msg[:n])))
			s.want.check(t, s.name+" cut, header made to fit", reply, done, err)
		}
		for _, more := range []int{1, 4, padTo, 8192, 65536} {
			longer := append(bytes.Clone(s.msg), make([]byte, more)...)
			reply, done, err := s.handle(longer)
			s.want.check(t, s.name+" with a tail", reply, done, err)
			reply, done, err = s.handle(setLength(longer))
			s.want.check(t, s.name+" with a tail, header made to fit", reply, done, err)
			if over := len(longer) > messageType(longer[0]).limit(); over != errors.Is(err, ErrOverflow) {
				t.Errorf("%s of %d bytes: %v", s.name, len(longer), err)
			}
		}
		if _, _, err := s.handle(s.msg); err != nil {
			t.Errorf("%s untouched: %v", s.name, err)
		}
	}
}

// TestWrongOrder gives every machine every message but the one it waits for:
// reordering, duplication, and reflection to the sender are all in it.
func TestWrongOrder(t *testing.T) {
	p := newPair(t)
	list := stages(p)
	for _, s := range list {
		for _, other := range list {
			if other.name == s.name {
				continue
			}
			reply, done, err := s.handle(other.msg)
			want := s.want
			want.reason = ErrUnexpectedMessage
			want.check(t, other.name+" in the place of "+s.name, reply, done, err)
		}
	}
}

// TestAfterTheEnd: a finished or failed machine does nothing more.
func TestAfterTheEnd(t *testing.T) {
	p := newPair(t).finish()
	for _, msg := range [][]byte{p.hello, p.answer, p.key, p.last, nil} {
		reply, done, err := p.i.Handle(msg)
		refused{ErrUnexpectedMessage, AlertNone, false}.check(t, "initiator done", reply, done, err)
		reply, done, err = p.r.Handle(msg)
		refused{ErrUnexpectedMessage, AlertNone, false}.check(t, "responder done", reply, done, err)
	}
	carries(t, p.iDone, p.rDone)

	p = newPair(t).toServerHello()
	bad := bytes.Clone(p.answer)
	bad[len(bad)-1] ^= 1
	_, _, first := p.i.Handle(bad)
	reply, done, err := p.i.Handle(p.answer)
	if reply != nil || done != nil || err != first {
		t.Errorf("a failed initiator: %x, %v, %v", reply, done, err)
	}
	if _, err := p.i.Start(p.iSees[0]); err != first {
		t.Errorf("a failed initiator starts: %v", err)
	}
	_, _, first = p.r.Handle(bad)
	reply, done, err = p.r.Handle(p.key)
	if reply != nil || done != nil || err != first {
		t.Errorf("a failed responder: %x, %v, %v", reply, done, err)
	}
	r := p.freshResponder()
	_, _, first = r.Handle(nil)
	if _, _, err := r.Handle(p.hello); err != first || !errors.Is(err, ErrSilent) {
		t.Errorf("a responder that was silent once: %v", err)
	}
}

// TestStepsLeftOut: a caller's mistake is an error, never a session and never a panic.
func TestStepsLeftOut(t *testing.T) {
	p := newPair(t).toServerHello()
	i := p.i.clone()
	i.greeted = false
	reply, done, err := i.Handle(p.answer)
	refused{ErrOrder, AlertHandshakeFailure, false}.check(t, "no greeting at the initiator", reply, done, err)
	r, err := NewResponder(p.responderConf)
	if err != nil {
		t.Fatal(err)
	}
	reply, done, err = r.Handle(p.hello)
	refused{ErrOrder, AlertNone, true}.check(t, "no greeting at the responder", reply, done, err)
	i, err = NewInitiator(p.initiatorConf)
	if err != nil {
		t.Fatal(err)
	}
	reply, done, err = i.Handle(p.answer)
	refused{ErrOrder, AlertNone, false}.check(t, "no Start", reply, done, err)
	if _, err := p.i.Start(p.iSees[0]); !errors.Is(err, ErrOrder) {
		t.Errorf("a second Start: %v", err)
	}
}

// TestGreetingTampered changes each byte of either greeting on its way.
func TestGreetingTampered(t *testing.T) {
	p := newPair(t).start()
	for g := range 2 {
		for at := range greetingLen {
			p.rSees = p.iSees
			p.rSees[g][at] ^= 1 << (at % 8)
			answer, _, err := p.freshResponder().Handle(p.hello)
			if err != nil {
				t.Fatal(err)
			}
			reply, done, err := p.i.clone().Handle(answer)
			refused{ErrOpen, AlertHandshakeFailure, false}.check(t, "greeting", reply, done, err)
		}
	}
}

// TestMixedSessions crosses the messages of two handshakes of the same peers.
func TestMixedSessions(t *testing.T) {
	a, b := newPair(t).toClientKey(), newPair(t).toClientKey()
	reply, done, err := a.r.clone(t).Handle(b.key)
	refused{ErrOpen, AlertHandshakeFailure, false}.check(t, "another session's ClientKey", reply, done, err)
	last, _, err := b.r.Handle(b.key)
	if err != nil {
		t.Fatal(err)
	}
	reply, done, err = a.i.clone().Handle(last)
	refused{ErrOpen, AlertNone, false}.check(t, "another session's Finished", reply, done, err)
	c := newPair(t).start()
	reply, done, err = c.i.clone().Handle(a.answer)
	refused{ErrOpen, AlertHandshakeFailure, false}.check(t, "another session's ServerHello", reply, done, err)
}

// TestDowngrade: the man in the middle knows the fingerprint, so he can make the
// MAC of a shorter or reordered list of suites right. The transcript finds it.
func TestDowngrade(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func([]byte) []byte
	}{
		{"stripped", func(s []byte) []byte { return s[suiteLen:] }},
		{"reordered", func(s []byte) []byte { return slices.Concat(s[suiteLen:], s[:suiteLen]) }},
		{"added", func(s []byte) []byte { return append(slices.Clone(s), byte(X25519MLKEM768), byte(MLDSA44), 2, 1) }},
	} {
		p := newPair(t)
		p.initiatorConf.Suites = []Suite{{X25519MLKEM1024, MLDSA44, 1, 1}, DefaultSuite()}
		p.responderConf.Suites = p.initiatorConf.Suites
		p.start()
		h, err := parseClientHello(p.hello)
		if err != nil {
			t.Fatal(err)
		}
		before, err := h.offered()
		if err != nil {
			t.Fatal(err)
		}
		shares, err := h.keyShares(before)
		if err != nil {
			t.Fatal(err)
		}
		h.suites = c.edit(h.suites)
		after, err := h.offered()
		if err != nil {
			t.Fatal(err)
		}
		var body []byte
		for _, s := range shares {
			if slices.ContainsFunc(after, func(a Suite) bool { return a.KEM == s.kem }) {
				body = append(append(body, byte(s.kem)), s.share...)
			}
		}
		h.extensions = extensions(nil).with(extKeyShare, body)
		answer, _, err := p.r.Handle(remac(h, p.initiatorConf.Peer))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		reply, done, err := p.i.Handle(answer)
		refused{ErrOpen, AlertHandshakeFailure, false}.check(t, c.name, reply, done, err)
	}
}

package zmtp

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// puppet is an authenticated peer that says what the test wants, while the other
// side is real.
type puppet struct {
	t *testing.T
	c *Conn
}

// say sends one record with one command.
func (p puppet) say(name string, data []byte) { sealed(AppendCommand(nil, name, data)...)(p.c) }

// hears gives the next command of the other side.
func (p puppet) hears(want string) []byte {
	p.t.Helper()
	if err := p.c.nextRecord(); err != nil {
		p.t.Fatalf("in the place of %s: %v", want, err)
	}
	_, n, err := ParseHeader(p.c.frames)
	if err != nil {
		p.t.Fatal(err)
	}
	name, data, err := ParseCommand(p.c.frames[n:])
	if err != nil || string(name) != want {
		p.t.Fatalf("%q in the place of %s, %v", name, want, err)
	}
	p.c.frames = nil
	return bytes.Clone(data)
}

// handle gives a machine a message that it takes.
func handle(t *testing.T, m interface {
	Handle([]byte) ([]byte, *handshake.Session, error)
}, msg []byte) ([]byte, *handshake.Session) {
	t.Helper()
	reply, session, err := m.Handle(msg)
	if err != nil {
		t.Fatal(err)
	}
	return reply, session
}

func (p puppet) responder() *handshake.Responder {
	m, err := handshake.NewResponder(p.c.rehandshake())
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func (p puppet) initiator() (*handshake.Initiator, []byte) {
	m, err := handshake.NewInitiator(p.c.rehandshake())
	if err != nil {
		p.t.Fatal(err)
	}
	hello, err := m.Start(Greeting{})
	if err != nil {
		p.t.Fatal(err)
	}
	return m, hello
}

// toServerHello has the real responder answer the puppet's ClientHello.
func (p puppet) toServerHello() (m *handshake.Initiator, answer []byte) {
	m, hello := p.initiator()
	p.say(handshakeName, hello)
	return m, p.hears(handshakeName)
}

var forgedAlert = []byte{0x30, 0, 0, 1, 40}

// outcome of a rotation with a hostile peer: the session goes on, or it ends with
// an error, of which the peer is told.
type outcome struct {
	refused bool
	err     error
}

// goesOn checks that both directions work and that another rotation succeeds.
func goesOn(t *testing.T, real, other *Conn, told <-chan error) {
	t.Helper()
	p := puppet{t, other}
	p.say("MORE", nil)
	if err := real.WriteCommand("MORE", nil); err != nil {
		t.Error(err)
	}
	p.hears("MORE")
	atOnce(real, other)
	var wg sync.WaitGroup
	wg.Go(func() { readAll(other) })
	ca, cb := real, other
	if !ca.initiator {
		ca, cb = cb, ca
	}
	if err := ca.Rotate(context.Background()); err != nil {
		t.Errorf("another rotation: %v", err)
	}
	if err := <-told; err != nil {
		t.Errorf("another rotation: %v", err)
	}
	go cb.Close()
	wg.Wait()
}

func (o outcome) check(t *testing.T, real, other *Conn, told <-chan error, ended <-chan error) {
	t.Helper()
	if err := <-told; !errors.Is(err, o.err) || errors.Is(err, ErrRefused) != o.refused {
		t.Errorf("the rotation ends with %v", err)
	}
	if o.refused {
		goesOn(t, real, other, told)
		<-ended
		return
	}
	if err := <-ended; !errors.Is(err, o.err) {
		t.Errorf("the session ends with %v", err)
	}
}

func TestRotationWithAHostileResponder(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	for _, c := range []struct {
		name string
		act  func(p puppet, hello []byte)
		want outcome
	}{
		{"alert for ServerHello", func(p puppet, _ []byte) {
			p.say(handshakeName, forgedAlert)
		}, outcome{refused: true, err: ErrRefused}},
		{"tampered ServerHello", func(p puppet, hello []byte) {
			answer, _ := handle(p.t, p.responder(), hello)
			p.say(handshakeName, flip(answer))
			if got := p.hears(handshakeName); !bytes.Equal(got, forgedAlert) {
				p.t.Errorf("it answers %x", got)
			}
		}, outcome{refused: true, err: handshake.ErrOpen}},
		{"garbage for ServerHello", func(p puppet, _ []byte) {
			p.say(handshakeName, []byte("garbage"))
			p.hears(handshakeName)
		}, outcome{refused: true, err: handshake.ErrUnexpectedMessage}},
		{"nothing for ServerHello", func(p puppet, _ []byte) {
			p.say(handshakeName, nil)
			p.hears(handshakeName)
		}, outcome{refused: true, err: handshake.ErrMalformed}},
		{"alert for Finished", func(p puppet, hello []byte) {
			answer, _ := handle(p.t, p.responder(), hello)
			p.say(handshakeName, answer)
			p.hears(handshakeName)
			p.say(handshakeName, forgedAlert)
		}, outcome{refused: true, err: ErrRefused}},
		{"tampered Finished", func(p puppet, hello []byte) {
			m := p.responder()
			answer, _ := handle(p.t, m, hello)
			p.say(handshakeName, answer)
			last, _ := handle(p.t, m, p.hears(handshakeName))
			p.say(handshakeName, flip(last))
			p.hears(alertName)
		}, outcome{err: handshake.ErrOpen}},
		{"ServerHello twice", func(p puppet, hello []byte) {
			answer, _ := handle(p.t, p.responder(), hello)
			p.say(handshakeName, answer)
			p.hears(handshakeName)
			p.say(handshakeName, answer)
			p.hears(alertName)
		}, outcome{err: ErrUnexpected}},
		{"Finished twice", func(p puppet, hello []byte) {
			m := p.responder()
			answer, _ := handle(p.t, m, hello)
			p.say(handshakeName, answer)
			last, session := handle(p.t, m, p.hears(handshakeName))
			p.say(handshakeName, last)
			p.c.sealer, p.c.nextOpener = session.Records()
			p.hears(switchName)
			p.c.opener = p.c.nextOpener
			p.say(handshakeName, last)
			p.hears(alertName)
		}, outcome{}},
		{"old keys after Finished", func(p puppet, hello []byte) {
			m := p.responder()
			answer, _ := handle(p.t, m, hello)
			p.say(handshakeName, answer)
			last, session := handle(p.t, m, p.hears(handshakeName))
			p.say(handshakeName, last)
			p.hears(switchName)
			_, p.c.opener = session.Records()
			p.say("OLD", nil)
			p.hears(alertName)
		}, outcome{}},
		{"SWITCH of the responder's", func(p puppet, _ []byte) {
			p.say(switchName, nil)
			p.hears(alertName)
		}, outcome{err: ErrUnexpected}},
		{"a frame behind the message", func(p puppet, hello []byte) {
			answer, _ := handle(p.t, p.responder(), hello)
			sealed(append(AppendCommand(nil, handshakeName, answer), 0, 0)...)(p.c)
			p.hears(alertName)
		}, outcome{err: ErrPadding}},
		{"RENEW with data", func(p puppet, _ []byte) {
			p.say(renewName, []byte{0})
			p.hears(alertName)
		}, outcome{err: ErrCommand}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ca, cb := sessionsOver(t, tcpPipe)
			told := tellBoth(t, Options{}, ca)
			ended := make(chan error, 1)
			go func() { _, err := readAll(ca); ended <- err }()
			go ca.Rotate(context.Background())
			p := puppet{t, cb}
			c.act(p, p.hears(handshakeName))
			if c.want == (outcome{}) { // it succeeds, and then the session ends
				cb.nc.Close()
				rotated, end := <-told, <-ended
				if alertFor(end) == handshake.AlertNone {
					t.Errorf("the session ends with %v", end)
				}
				// The end may come before the last answer has been accounted for.
				if rotated != nil && rotated != end {
					t.Error(rotated)
				}
				return
			}
			if !c.want.refused {
				cb.nc.Close()
			}
			c.want.check(t, ca, cb, told, ended)
		})
	}
}

// While a write goes on that the peer takes slowly, the reader handles ServerHello
// and reads on: two sides that wait for each other's reading would wait for ever.
func TestRotationDoesNotStopTheReader(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	told := tellBoth(t, Options{}, ca)
	read := make(chan string, 10)
	go func() {
		for {
			name, _, err := ca.ReadCommand()
			if err != nil {
				close(read)
				return
			}
			read <- name
		}
	}()
	go ca.Rotate(context.Background())
	p := puppet{t, cb}
	m := p.responder()
	answer, _ := handle(t, m, p.hears(handshakeName))
	ca.writing.Lock()
	p.say(handshakeName, answer)
	p.say("MORE", nil)
	select {
	case <-read:
	case <-time.After(5 * time.Second):
		t.Error("the reader waits for the writer")
	}
	ca.writing.Unlock()
	last, session := handle(t, m, p.hears(handshakeName))
	p.say(handshakeName, last)
	p.c.sealer, p.c.nextOpener = session.Records()
	p.hears(switchName)
	p.c.opener = p.c.nextOpener
	if err := <-told; err != nil {
		t.Error(err)
	}
	cb.nc.Close()
	<-read
}

package zmtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// atOnce lets the next rotation begin without the gap between two.
func atOnce(conns ...*Conn) {
	for _, c := range conns {
		c.rotating.Lock()
		c.rotated = time.Time{}
		c.rotating.Unlock()
	}
}

// mustRotate rotates, and checks what both sides are told.
func mustRotate(t *testing.T, ca *Conn, told <-chan error) {
	t.Helper()
	if err := ca.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-told; err != nil {
			t.Fatal(err)
		}
	}
}

// tellBoth lets both sides say how each rotation ended.
func tellBoth(t *testing.T, o Options, conns ...*Conn) <-chan error {
	t.Helper()
	told := make(chan error, 100)
	o.Rotated = func(s *handshake.Session, err error) {
		if (s == nil) == (err == nil) {
			err = fmt.Errorf("session %v and error %v", s, err)
		}
		told <- err
	}
	for _, c := range conns {
		if err := c.Configure(o); err != nil {
			t.Fatal(err)
		}
	}
	return told
}

// echo answers every message until the session ends.
func echo(c *Conn) error {
	for {
		m, err := c.ReadMessage()
		if err == nil && m.Command == nil {
			err = c.WriteMessage(m.Parts...)
		}
		if err != nil {
			return err
		}
	}
}

// Rotations while messages in pieces go both ways as fast as they can, commands
// between them. One side only answers: it reads nothing while the other does not.
func TestRotateUnderLoad(t *testing.T) {
	const rotations = 5
	bodies := filled(0, 300_000) // a message is a part of it
	body := func(i int) []byte {
		if i%100 == 0 {
			return bodies[i%1000 : 200_000]
		}
		return bodies[i%1000:][:50]
	}
	for _, padTo := range []int{0, 512} {
		t.Run(fmt.Sprintf("padded to %d", padTo), func(t *testing.T) {
			ca, cb := sessionsOver(t, tcpPipe)
			told := tellBoth(t, Options{PadTo: padTo}, ca, cb)
			var stop atomic.Bool
			var wg sync.WaitGroup
			wg.Go(func() { echo(cb) })
			wg.Go(func() {
				for i := 0; !stop.Load(); i++ {
					if err := ca.WriteMessage(body(i)); err != nil {
						t.Error(err)
						return
					}
				}
				if err := ca.WriteMessage([]byte("the"), []byte("end")); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				for i := 0; ; {
					m, err := ca.ReadMessage()
					if err == nil && m.Command != nil {
						continue
					}
					if err == nil && len(m.Parts) == 2 {
						ca.Close()
						return
					}
					if err != nil || !bytes.Equal(m.Parts[0], body(i)) {
						t.Errorf("message %d: %v", i, err)
						ca.Close()
						return
					}
					i++
				}
			})
			wg.Go(func() {
				for !stop.Load() {
					if err := errors.Join(ca.WriteCommand("PING", nil), cb.WriteCommand("PING", nil)); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
			for range rotations {
				atOnce(ca, cb)
				mustRotate(t, ca, told)
			}
			stop.Store(true)
			wg.Wait()
		})
	}
}

// Keys, exporters and the session change on both sides, and stay the same two
// identities.
func TestRotate(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	told := tellBoth(t, Options{}, ca, cb)
	var wg sync.WaitGroup
	wg.Go(func() { echo(cb) })
	wg.Go(func() {
		for range 5 {
			if m, err := ca.ReadMessage(); err != nil || string(m.Parts[0]) != "x" {
				t.Errorf("%v", err)
				return
			}
		}
		ca.Close()
	})
	values := map[string]bool{}
	for range 5 {
		atOnce(ca, cb)
		before := ca.sealer
		mustRotate(t, ca, told)
		a, b := ca.Session(), cb.Session()
		va, err := a.Export("test", nil, 32)
		if err != nil {
			t.Fatal(err)
		}
		if vb, err := b.Export("test", nil, 32); err != nil || !bytes.Equal(va, vb) || values[string(va)] {
			t.Errorf("the exporters agree and are new: no; %v", err)
		}
		values[string(va)] = true
		if a.Peer() != cb.config.Identity.Fingerprint() || b.Peer() != ca.config.Identity.Fingerprint() || a.Resumed() || b.Resumed() {
			t.Error("the identities have changed, or nobody signed")
		}
		if ca.sealer == before {
			t.Error("the sealer is the old one")
		}
		if err := ca.WriteMessage([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

func TestResponderAsksForRotation(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	told := tellBoth(t, Options{}, ca, cb)
	var wg sync.WaitGroup
	wg.Go(func() { readAll(ca) })
	wg.Go(func() { readAll(cb) })
	before := cb.Session()
	if err := errors.Join(cb.RequestRotation(), cb.RequestRotation()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-told, <-told); err != nil || cb.Session() == before {
		t.Errorf("%v", err)
	}
	if ca.RequestRotation() == nil || !errors.Is(cb.Rotate(context.Background()), ErrNotInitiator) {
		t.Error("each side does what is the other's")
	}
	ca.Close()
	wg.Wait()
}

// A second passes between two rotations, whoever wants them.
func TestRotationsKeepTheirDistance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, cb := sessionsOver(t, memoryPipe)
		told := tellBoth(t, Options{}, ca, cb)
		var wg sync.WaitGroup
		wg.Go(func() { readAll(ca) })
		wg.Go(func() { readAll(cb) })
		began := time.Now()
		for range 4 {
			mustRotate(t, ca, told)
		}
		if took := time.Since(began); took != 3*rotateGap {
			t.Errorf("4 rotations took %v", took)
		}
		ctx, cancel := context.WithTimeout(context.Background(), rotateGap/2)
		defer cancel()
		if err := ca.Rotate(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		ca.nc.Close()
		cb.nc.Close()
		wg.Wait()
	})
}

// Whoever does not wait for a rotation has not ended it, and another may wait.
func TestRotationOutlivesItsContext(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	told := tellBoth(t, Options{}, ca, cb)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var wg sync.WaitGroup
	if err := ca.Rotate(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	wg.Go(func() { readAll(ca) })
	wg.Go(func() { readAll(cb) })
	mustRotate(t, ca, told)
	ca.Close()
	wg.Wait()
}

func TestRotateAndTheEndOfTheSession(t *testing.T) {
	for name, end := range map[string]func(ca, cb *Conn){
		"our close":     func(ca, _ *Conn) { ca.Close() },
		"the peer's":    func(_, cb *Conn) { cb.CloseWith(handshake.AlertSuperseded) },
		"a cut":         func(_, cb *Conn) { cb.nc.Close() },
		"without words": func(ca, _ *Conn) { ca.CloseWith(handshake.AlertNone) },
	} {
		ca, cb := sessionsOver(t, tcpPipe)
		go readAll(ca)
		rotated := make(chan error)
		go func() { rotated <- ca.Rotate(context.Background()) }()
		if err := cb.nextRecord(); err != nil { // which it does not answer
			t.Fatal(err)
		}
		go end(ca, cb)
		err := <-rotated
		time.Sleep(time.Millisecond) // cb may have something left to say
		cb.nc.Close()
		var closed *ClosedError
		if !errors.Is(err, net.ErrClosed) && !errors.Is(err, ErrTruncated) && !errors.As(err, &closed) {
			t.Errorf("%s: %v", name, err)
		}
		if err := ca.Rotate(context.Background()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s, and again: %v", name, err)
		}
	}
}

// A key update that comes due with the last record under the old keys is left
// out: the next record is under new ones anyway.
func TestRotateWhenAKeyUpdateIsDue(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	told := tellBoth(t, Options{}, ca, cb)
	for _, c := range []*Conn{ca, cb} {
		c.sealer.Lower(lowered(1024))
	}
	var wg sync.WaitGroup
	var names [2][]string
	var errs [2]error
	for i, c := range []*Conn{ca, cb} {
		wg.Go(func() { names[i], errs[i] = readAll(c) })
	}
	// With ClientHello, ClientKey, SWITCH, and with ServerHello and the two
	// Finished, each side comes to 1,024 records.
	old := [2]interface{ Due() bool }{ca.sealer, cb.sealer}
	for range 1021 {
		if err := errors.Join(ca.WriteCommand("OLD", nil), cb.WriteCommand("OLD", nil)); err != nil {
			t.Fatal(err)
		}
	}
	mustRotate(t, ca, told)
	if !old[0].Due() || !old[1].Due() {
		t.Error("no update was due")
	}
	if err := errors.Join(ca.WriteCommand("NEW", nil), cb.WriteCommand("NEW", nil), ca.Close()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if len(names[1]) != 1022 || !errors.Is(errs[1], io.EOF) {
		t.Errorf("the responder read %d commands, %v", len(names[1]), errs[1])
	}
}

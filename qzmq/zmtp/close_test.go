package zmtp

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// closeBoth closes a while b reads.
func closeBoth(t *testing.T, a, b *Conn) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	names, err := readAll(b)
	if len(names) != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the other side read %v, %v", names, err)
	}
	wg.Wait()
}

func TestCloseSaysWhy(t *testing.T) {
	for _, alert := range []handshake.Alert{handshake.AlertClose, handshake.AlertSuperseded, 77} {
		ca, cb := sessionsOver(t, tcpPipe)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := ca.CloseWith(alert); err != nil {
				t.Error(err)
			}
		})
		_, _, err := cb.ReadCommand()
		var closed *ClosedError
		if !errors.As(err, &closed) || closed.Alert != alert {
			t.Errorf("alert %v arrives as %v", alert, err)
		}
		if errors.Is(err, io.EOF) != (alert == handshake.AlertClose) {
			t.Errorf("alert %v: is it an end? %v", alert, err)
		}
		if _, _, again := cb.ReadCommand(); again != err {
			t.Errorf("then %v", again)
		}
		if err := cb.WriteCommand("LATE", nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing after the end: %v", err)
		}
		wg.Wait()
		if err := errors.Join(ca.Close(), cb.Close(), ca.Close()); err != nil {
			t.Errorf("closing again: %v", err)
		}
		if err := ca.WriteCommand("LATE", nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing after our close: %v", err)
		}
		if _, _, err := ca.ReadCommand(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading after our close: %v", err)
		}
	}
}

// The alert waits behind data for which the peer had no room yet, while we have
// unread bytes of the peer's: a socket that simply closes then throws both away.
func TestCloseIsNotLostToAReset(t *testing.T) {
	const commands = 3
	x, y := tcpPipe(t)
	if err := y.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	ca, cb := sessions(t, x, y)
	if err := cb.WriteCommand("UNREAD", make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range commands {
			if err := ca.WriteCommand("BIG", make([]byte, 60000)); err != nil {
				t.Error(err)
			}
		}
		if err := ca.CloseWith(handshake.AlertSuperseded); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(closeTimeout / 5) // so that all is written before anything is read
	names, err := readAll(cb)
	if len(names) != commands || !isAlert(err, handshake.AlertSuperseded) {
		t.Errorf("read %v, %v", names, err)
	}
	wg.Wait()
}

func TestBothClose(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	var wg sync.WaitGroup
	for _, c := range []*Conn{ca, cb} {
		for range 2 {
			wg.Go(func() { c.Close() })
		}
		wg.Go(func() {
			names, err := readAll(c)
			if len(names) != 0 || !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) && !errors.Is(err, ErrTruncated) {
				t.Errorf("%v, %v", names, err)
			}
		})
	}
	wg.Wait()
}

// What the peer said last is not lost to a writer who finds the connection broken.
func TestWriterLeavesTheAlertToTheReader(t *testing.T) {
	ca, cb := sessionsOver(t, tcpPipe)
	done := make(chan error, 1)
	go func() { done <- ca.CloseWith(handshake.AlertSuperseded) }()
	var err error
	for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		err = cb.WriteCommand("DATA", nil)
	}
	if err == nil {
		t.Fatal("writing to a closed connection goes on")
	}
	var closed *ClosedError
	if _, _, err := cb.ReadCommand(); !errors.As(err, &closed) || closed.Alert != handshake.AlertSuperseded {
		t.Errorf("the reader finds %v", err)
	}
	<-done
}

// In real time: a bubble's clock stands still while a goroutine waits for a lock.
func TestCloseDoesNotWaitForAStuckWriter(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	ca, _ := sessions(t, a, b)
	written := make(chan error, 3)
	for range cap(written) {
		go func() { written <- ca.WriteCommand("STUCK", nil) }()
	}
	for ca.writing.TryLock() {
		ca.writing.Unlock()
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	if err := ca.Close(); err == nil {
		t.Error("the peer was told, it says")
	}
	if took := time.Since(began); took > DefaultWriteTimeout/2 {
		t.Errorf("it took %v", took)
	}
	for range cap(written) {
		if err := <-written; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a writer: %v", err)
		}
	}
}

// A peer that neither reads nor closes costs a closing side two seconds.
func TestCloseTakesBoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		ca, _ := sessions(t, a, b)
		var peer sync.WaitGroup
		peer.Go(func() { io.Copy(io.Discard, b) })
		peer.Go(func() { // and talks on
			for {
				if _, err := b.Write(make([]byte, 100)); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
		began := time.Now()
		if err := ca.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*closeTimeout {
			t.Errorf("it took %v", took)
		}
		b.Close()
		peer.Wait()
	})
}

// A peer that takes its time is waited for, as long as ctx lasts.
func TestCloseContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		ca, cb := sessions(t, a, b)
		go func() {
			time.Sleep(time.Minute)
			if _, err := cb.ReadMessage(); !errors.Is(err, io.EOF) {
				t.Errorf("the peer reads %v", err)
			}
		}()
		began := time.Now()
		if err := ca.CloseContext(t.Context()); err != nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		ca, cb := sessions(t, a, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := ca.CloseContext(ctx); err == nil || time.Since(began) != time.Minute {
			t.Errorf("a peer that reads nothing: %v after %v", err, time.Since(began))
		}
		if _, err := cb.ReadMessage(); !errors.Is(err, ErrTruncated) {
			t.Errorf("then it reads %v", err)
		}
	})
}

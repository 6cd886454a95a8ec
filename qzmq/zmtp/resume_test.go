package zmtp

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// reconnecting gives configs with tickets and one early message, and the door.
func reconnecting(t *testing.T) (handshake.Config, *Door, *Turns, func() *handshake.EarlyData) {
	t.Helper()
	ca, cb := configs(t)
	server, err1 := handshake.NewServerTickets(time.Hour)
	client, err2 := handshake.NewClientTickets(time.Hour)
	safe, err3 := handshake.NewSafeTopics("beat")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	ca.ClientTickets, ca.Clock, ca.Reconnect = client, clock(), true
	cb.ServerTickets, cb.Clock, cb.SafeTopics = server, clock(), safe
	turns := NewTurns()
	d, err := NewDoor(cb, turns)
	if err != nil {
		t.Fatal(err)
	}
	return ca, d, turns, func() *handshake.EarlyData {
		e := safe.Early()
		if err := e.Add(handshake.EarlyMessage{[]byte("beat")}); err != nil {
			t.Fatal(err)
		}
		return e
	}
}

// through is a handshake through a door.
func through(a, b net.Conn, ca handshake.Config, d *Door) (initiator, responder result) {
	var wg sync.WaitGroup
	wg.Go(func() { initiator.conn, initiator.err = Initiate(context.Background(), a, ca) })
	responder.conn, responder.err = d.Respond(context.Background(), b, Caller{})
	wg.Wait()
	return initiator, responder
}

// Who shows the key of a ticket is not a stranger any more.
func TestTicketHolderIsKnown(t *testing.T) {
	ca, d, turns, _ := reconnecting(t)
	for i, want := range [][2]uint64{{2, 0}, {2, 2}} {
		a, b := tcpPipe(t)
		ra, rb := through(a, b, ca, d)
		if ra.err != nil || rb.err != nil {
			t.Fatal(ra.err, rb.err)
		}
		strangers, known := turns.Stats()
		if got := [2]uint64{strangers.Taken, known.Taken}; got != want {
			t.Errorf("handshake %d: turns of strangers and of known callers %v, want %v", i, got, want)
		}
		closeBoth(t, ra.conn, rb.conn)
	}
}

// An attacker delivers what an initiator has said on a connection of its own, keeps
// the answer, and then lets the initiator through: the ticket is used, so there is no
// full handshake in which the same would be said again. The initiator calls anew,
// and the application has seen its message once.
func TestEarlyReplayedOnAnotherConnection(t *testing.T) {
	ca, d, _, early := reconnecting(t)
	a, b := tcpPipe(t)
	ra, rb := through(a, b, ca, d)
	if ra.err != nil || rb.err != nil {
		t.Fatal(ra.err, rb.err)
	}
	closeBoth(t, ra.conn, rb.conn)

	seen := 0
	thief := &caller{}
	deliver := func(nth int, flight []byte) []byte {
		if nth == 0 {
			thief.says = flight
			conn, err := d.Respond(context.Background(), thief, Caller{})
			if conn != nil {
				seen += len(conn.Early())
			}
			if !errors.Is(err, ErrTruncated) || thief.written <= GreetingLen {
				t.Errorf("the thief: %v, %d bytes", err, thief.written)
			}
		}
		return flight
	}
	ca.Early = early()
	a, b = tcpPipe(t)
	ra, rb = through(&wire{Conn: a, edit: deliver}, b, ca, d)
	var alert *handshake.PeerAlert
	if !errors.As(ra.err, &alert) || alert.Code != handshake.AlertHandshakeFailure || !errors.Is(rb.err, handshake.ErrTicketUsed) {
		t.Fatalf("initiator: %v; responder: %v", ra.err, rb.err)
	}

	ca.Early = early()
	a, b = tcpPipe(t)
	if ra, rb = through(a, b, ca, d); ra.err != nil || rb.err != nil {
		t.Fatal(ra.err, rb.err)
	}
	seen += len(rb.conn.Early())
	for _, m := range ra.conn.Session().RejectedEarly() {
		if err := ra.conn.WriteMessage(m...); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { ra.conn.Close() })
	for {
		m, err := rb.conn.ReadMessage()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		seen += len(m.Parts)
	}
	wg.Wait()
	if seen != 1 {
		t.Errorf("the application has seen it %d times", seen)
	}
}

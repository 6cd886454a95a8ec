package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// What libzmq tests of ZAP, asked of a judge: a libzmq program knocks at a near relay,
// whose far one asks, and tries again by itself until the judge has another opinion.
//
// Of the ten cases of test_security_zap, three are about the protocol between a socket
// and its ZAP handler (wrong version, wrong request id, too many parts). A judge is a
// function, whose answer has a type: there is nothing that could come in another
// version, for another request or in more parts. What else can be wrong with an answer
// is that it is no known one (an invalid status), and that is an error like any other.
// A judge that panics ends the process, as any function of a Go program does: nobody is
// let in.
func TestJudge(t *testing.T) {
	type judge = func(context.Context, *handshake.Caller) error
	says := func(err error) judge { return func(context.Context, *handshake.Caller) error { return err } }
	for _, tc := range []struct {
		name    string
		judge   judge
		told    handshake.Alert // what the near relay hears, sealed; none for yes
		outcome string          // what the far one counts
	}{
		{"allow: status 200", says(nil), handshake.AlertNone, "ok"},
		{"nobody is asked: handler not started", nil, handshake.AlertNone, "ok"},
		{"deny: status 400", says(handshake.ErrAccessDenied), handshake.AlertAccessDenied, "denied"},
		{"deny, for a reason", says(fmt.Errorf("%w: the desk is closed", handshake.ErrAccessDenied)), handshake.AlertAccessDenied, "denied"},
		{"temporary: status 300", says(fmt.Errorf("not before noon: %w", handshake.ErrUnavailable)), handshake.AlertInternal, "unavailable"},
		{"error: status 500", says(errors.New("the database is gone")), handshake.AlertInternal, "internal"},
		{"an answer that is none: invalid status", says(errors.New("999")), handshake.AlertInternal, "internal"},
		{"gone in the middle: handler disconnects", says(io.ErrUnexpectedEOF), handshake.AlertInternal, "internal"},
		{"timeout: handler does not receive", func(ctx context.Context, _ *handshake.Caller) error { <-ctx.Done(); return ctx.Err() }, handshake.AlertInternal, "timeout"},
		{"never answers: handler does not send", func(context.Context, *handshake.Caller) error { select {} }, handshake.AlertInternal, "timeout"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var now atomic.Pointer[judge]
			first := says(nil)
			now.Store(&first)
			s := newSite(t, func(c *Config) {
				c.Judge = func(ctx context.Context, caller *handshake.Caller) error {
					if m, err := zmtp.ParseMetadata(caller.Metadata); err != nil || len(m) == 0 || caller.Peer.IsZero() {
						return errors.New("the judge does not see who calls")
					}
					return (*now.Load())(ctx, caller)
				}
				if tc.judge == nil {
					c.Judge = nil
				}
			})
			if tc.judge != nil {
				now.Store(&tc.judge)
			}
			refused, before := tc.told != handshake.AlertNone, s.far.Stats().Handshakes[tc.outcome]
			client := spawn(t, exec.Command("/usr/bin/python3", "testdata/programs.py", "knocking", s.near.Endpoint().String(), "nowhere"))
			client.say("word")
			if refused {
				client.await("turned away", 15*time.Second)
				s.far.counts(t, tc.outcome, before+1)
				s.near.counts(t, tc.told.String(), 1)
				if got := s.delivered(); len(got) > 0 {
					t.Errorf("delivered were %q of one that was not let in", got)
				}
				now.Store(&first)
			}
			client.await("served", 15*time.Second)
			if !refused {
				s.far.counts(t, tc.outcome, before+1)
			}
			if got := s.delivered(); len(got) != 1 || string(got[0]) != "word" {
				t.Errorf("delivered were %q", got)
			}
			s.healthy()
		})
	}
}

// counts waits until so many handshakes have ended in a way.
func (r *Relay) counts(t *testing.T, outcome string, least uint64) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); r.Stats().Handshakes[outcome] < least; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("relay %s counts %v, want %d of %s", r.Name(), r.Stats().Handshakes, least, outcome)
			return
		}
	}
}

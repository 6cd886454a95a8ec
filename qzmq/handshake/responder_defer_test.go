package handshake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
)

// deferred is a pair whose responder waits for its caller's word.
func deferred(t testing.TB) *pair {
	p := newPair(t)
	p.initiatorConf.Metadata = []byte("who I am")
	p.responderConf.Metadata = []byte("never said")
	p.defers = true
	p.toFinished()
	if p.last != nil || p.rDone != nil {
		t.Fatalf("a responder that defers has said %x", p.last)
	}
	return p
}

func TestDeferredAccept(t *testing.T) {
	p := deferred(t)
	c := p.r.Undecided()
	if c == nil || c.Peer != p.initiatorConf.Identity.Fingerprint() || string(c.Metadata) != "who I am" {
		t.Fatalf("the caller is %v", c)
	}
	finished, done, err := p.r.Accept([]byte("who we are"))
	if err != nil || p.r.Undecided() != nil {
		t.Fatal(err, p.r.Undecided())
	}
	_, i, err := p.i.Handle(finished)
	if err != nil {
		t.Fatal(err)
	}
	if string(i.PeerMetadata()) != "who we are" || string(done.PeerMetadata()) != "who I am" {
		t.Errorf("%q and %q are known", i.PeerMetadata(), done.PeerMetadata())
	}
	sealer, _ := done.Records()
	_, opener := i.Records()
	record, err := sealer.Seal(nil, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := opener.Open(nil, record); err != nil || string(data) != "data" {
		t.Errorf("%q, %v", data, err)
	}
	if _, _, err := p.r.Handle(p.key); !errors.Is(err, ErrUnexpectedMessage) {
		t.Errorf("a message after that: %v", err)
	}
}

// A ticket is given when the initiator is let in, not before.
func TestDeferredResumption(t *testing.T) {
	p := newPair(t)
	p.withTickets()
	p.defers = true
	for _, resumed := range []bool{false, true} {
		p.toFinished()
		finished, done, err := p.r.Accept(nil)
		if err != nil || done.Resumed() != resumed {
			t.Fatalf("resumed %v, %v", done.Resumed(), err)
		}
		if _, _, err := p.i.Handle(finished); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeferredRefusal(t *testing.T) {
	for _, tc := range []struct {
		reason error
		told   Alert
	}{
		{ErrAccessDenied, AlertAccessDenied},
		{fmt.Errorf("on the list of the banned: %w", ErrAccessDenied), AlertAccessDenied},
		{fmt.Errorf("%w: ask again later", ErrUnavailable), AlertInternal},
		{context.DeadlineExceeded, AlertInternal},
		{errors.New("the database is gone"), AlertInternal},
	} {
		p := deferred(t)
		alert, err := p.r.Refuse(tc.reason)
		if !errors.Is(err, tc.reason) || AlertFor(err) != tc.told {
			t.Errorf("%v: the error is %v, the peer is told %v", tc.reason, err, AlertFor(err))
		}
		_, s, err := p.i.Handle(alert)
		var told *PeerAlert
		if s != nil || !errors.As(err, &told) || told.Code != tc.told || !told.Sealed {
			t.Errorf("%v: the initiator hears %v", tc.reason, err)
		}
		if _, _, err := p.r.Handle(p.key); !errors.Is(err, tc.reason) {
			t.Errorf("%v: and then %v", tc.reason, err)
		}
	}
}

// Who speaks before it has been let in is not let in.
func TestDeferredImpatience(t *testing.T) {
	p := deferred(t)
	if _, _, err := p.r.Handle(p.key); !errors.Is(err, ErrUnexpectedMessage) || p.r.Undecided() != nil {
		t.Errorf("%v, %v is left", err, p.r.Undecided())
	}
}

func TestDeferredMisuse(t *testing.T) {
	for name, misuse := range map[string]func(){
		"Accept when nobody waits": func() { newPair(t).start().r.Accept(nil) },
		"Refuse when nobody waits": func() { newPair(t).finish().r.Refuse(ErrAccessDenied) },
		"too much metadata":        func() { deferred(t).r.Accept(bytes.Repeat([]byte{1}, MaxMetadata+1)) },
		"twice": func() {
			p := deferred(t)
			p.r.Accept(nil)
			p.r.Accept(nil)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			misuse()
		}()
	}
}

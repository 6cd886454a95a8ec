package handshake

import "fmt"

// Caller is an initiator that has proved who it is and may in, and is not told so
// yet: after Defer the responder's side has the last word. It may have to ask
// somebody, or to look whether what the initiator calls for is there.
type Caller struct {
	hidden
	Peer        Fingerprint
	Certificate *Certificate // nil if none was judged
	Metadata    []byte       // what it says of itself; must not be changed

	session *Session
	flight  flight
}

// Defer leaves the last word to the machine's caller: Handle answers the ClientKey of
// who may in with nothing, and Accept or Refuse ends the handshake.
func (r *Responder) Defer() { r.defers = true }

// Undecided gives who waits for Accept or Refuse, nil when nobody does.
func (r *Responder) Undecided() *Caller { return r.caller }

// Accept ends a deferred handshake with the Finished to send, which tells the
// initiator this metadata, and the session. Metadata over MaxMetadata bytes, like a
// call when nobody is Undecided, is a fault of the program: it panics.
func (r *Responder) Accept(metadata []byte) (finished []byte, done *Session, err error) {
	c := r.decide()
	if len(metadata) > MaxMetadata {
		panic(fmt.Sprintf("handshake: %d bytes of metadata are too many", len(metadata)))
	}
	finished, done, e := r.finish(c.session, &c.flight, metadata)
	if e != nil {
		r.state, r.err = responderFailed, e
		return nil, nil, e
	}
	return finished, done, nil
}

// Refuse ends a deferred handshake. It gives the sealed alert to send, which is
// that of ErrAccessDenied or ErrUnavailable if reason wraps one of them, otherwise
// internal, and an *Error of that reason.
func (r *Responder) Refuse(reason error) (alert []byte, err error) {
	c := r.decide()
	defer c.session.Close()
	e := refuse(c.session, reason)
	r.state, r.err = responderFailed, e
	return e.message(), e
}

func (r *Responder) decide() *Caller {
	if r.state != responderUndecided {
		panic("handshake: there is no initiator to decide about")
	}
	c := r.caller
	r.caller, r.state = nil, responderDone
	return c
}

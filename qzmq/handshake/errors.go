package handshake

import "errors"

// fault is a reason with the alert that section 2.9 gives it.
type fault struct {
	text  string
	alert Alert
}

func (f *fault) Error() string { return "handshake: " + f.text }

// ErrSilent is what errors of a responder are as long as the initiator has not
// shown that it knows whom it called: nothing may be answered.
var ErrSilent = errors.New("handshake: nothing may be answered")

// The reasons for which a handshake fails. An [Error] wraps exactly one of them,
// or a [PeerAlert]; they are for the local log, the peer learns less.
var (
	ErrMalformed            error = &fault{"a message does not follow its layout", AlertDecodeError}
	ErrOverflow             error = &fault{"a message is longer than its limit", AlertOverflow}
	ErrUnexpectedMessage    error = &fault{"a message of this type has no place here", AlertUnexpectedMessage}
	ErrRetry                error = &fault{"the Retry was not made by someone who knows whom we called", AlertHandshakeFailure}
	ErrCookie               error = &fault{"the cookie is wrong or too old, after a Retry", AlertHandshakeFailure}
	ErrBinder               error = &fault{"the initiator does not have the key that its ticket names", AlertHandshakeFailure}
	ErrTicketUsed           error = &fault{"the ticket was used before: the ClientHello was sent again, or is not of its owner", AlertHandshakeFailure}
	ErrSilenceMAC           error = &fault{"the ClientHello was not made for this identity", AlertHandshakeFailure}
	ErrUnsupportedExtension error = &fault{"an extension is unknown or has no place here", AlertUnsupportedExtension}
	ErrNoCommonSuite        error = &fault{"no offered suite is allowed here", AlertHandshakeFailure}
	ErrSuiteNotOffered      error = &fault{"the responder chose a suite that was not offered", AlertHandshakeFailure}
	ErrResumption           error = &fault{"the responder resumed a session that was not offered", AlertHandshakeFailure}
	ErrKeyShare             error = &fault{"a key share is missing, doubled or not a valid key", AlertHandshakeFailure}
	ErrOpen                 error = &fault{"a sealed flight does not open", AlertBadRecord}
	ErrCertificate          error = &fault{"a certificate does not follow its layout", AlertHandshakeFailure}
	ErrWrongPeer            error = &fault{"the responder is not the pinned identity", AlertAccessDenied}
	ErrSelf                 error = &fault{"the peer is this identity itself", AlertAccessDenied}
	ErrSignature            error = &fault{"the peer's signature is wrong", AlertHandshakeFailure}
	ErrFinished             error = &fault{"the peer's finished MAC is wrong", AlertHandshakeFailure}
	ErrAccessDenied         error = &fault{"the initiator is not authorised", AlertAccessDenied}
	ErrInsufficientSecurity error = &fault{"an algorithm is not admitted by the mode", AlertInsufficientSecurity}
	ErrWrongPurpose         error = &fault{"the initiator called for another purpose", AlertWrongPurpose}
	ErrWrongService         error = &fault{"the initiator called for another service", AlertWrongPurpose}
	ErrIdentityChanged      error = &fault{"inside a session, both sides keep their identities", AlertAccessDenied}
	ErrUnavailable          error = &fault{"the responder cannot take the initiator now", AlertInternal}
	ErrRandom               error = &fault{"no randomness", AlertInternal}
	ErrOrder                error = &fault{"the caller left out a step: a greeting or Start", AlertInternal}
)

// Errors of configuration.
var (
	// ErrSuiteNotBuilt reports a registered name that this build cannot run.
	ErrSuiteNotBuilt = errors.New("handshake: this suite is registered but not built")
	// ErrUnknownSuite reports a name outside the registry.
	ErrUnknownSuite = errors.New("handshake: no such name in the suite registry")
)

// Error is why a machine failed, and what its peer is told.
type Error struct {
	Reason error // a reason of this package or a *PeerAlert
	Alert  Alert // what section 2.9 calls the reason, for logs and counters
	Told   Alert // what the peer is told, which may be less; AlertNone for nothing

	silent bool
	sealed []byte // the whole sealed alert, when Told travels sealed
}

// Error gives the reason.
func (e *Error) Error() string { return e.Reason.Error() }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Reason }

// Is makes errors.Is(err, ErrSilent) say whether nothing may be answered.
func (e *Error) Is(target error) bool { return e.silent && target == ErrSilent }

// message is the reply that goes with the error.
func (e *Error) message() []byte {
	switch {
	case e.Told == AlertNone:
		return nil
	case e.sealed != nil:
		return e.sealed
	}
	return clearAlert(e.Told)
}

// silently fails before the silence MAC was right.
func silently(reason error) *Error {
	return &Error{Reason: reason, Alert: alertOf(reason), Told: AlertNone, silent: true}
}

// untold fails where the peer cannot be told: it gave up itself, or it has left
// the handshake and reads records.
func untold(reason error) *Error {
	return &Error{Reason: reason, Alert: alertOf(reason), Told: AlertNone}
}

// inClear fails before there are agreed keys. Every reason then looks the same.
func inClear(reason error) *Error {
	var p *PeerAlert
	if errors.As(reason, &p) {
		return untold(reason)
	}
	return &Error{Reason: reason, Alert: alertOf(reason), Told: AlertHandshakeFailure}
}

func alertOf(reason error) Alert {
	// Most often it is not wrapped, and looking first saves a stranger's refusal
	// two allocations.
	f, ok := reason.(*fault)
	if ok || errors.As(reason, &f) {
		return f.alert
	}
	var p *PeerAlert
	if errors.As(reason, &p) {
		return p.Code
	}
	return AlertInternal
}

// AlertFor gives the alert that the peer is told about err: AlertNone when it is
// told nothing, and AlertHandshakeFailure for every reason before keys exist.
// The message itself is the reply that Handle returned with err. An error of
// another package is AlertInternal.
func AlertFor(err error) Alert {
	var e *Error
	switch {
	case err == nil:
		return AlertNone
	case errors.As(err, &e):
		return e.Told
	}
	return AlertInternal
}

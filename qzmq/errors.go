package qzmq

import (
	"errors"
	"fmt"
)

// What the calls of this package return; errors.Is finds them in what wraps them.
var (
	// ErrInvalidOptions reports Options, an option or an endpoint that cannot be.
	ErrInvalidOptions = errors.New("qzmq: invalid options")
	// ErrBackendUnavailable reports a Backend other than the one there is.
	ErrBackendUnavailable = errors.New("qzmq: there is no such backend")
	// ErrHandshakeFailed is in monitor events of peers with which there is no session.
	ErrHandshakeFailed = errors.New("qzmq: the handshake failed")
	// ErrAuthenticationFailed is a handshake that failed because of who the peer is, or
	// because we may not in there. It is an ErrHandshakeFailed too.
	ErrAuthenticationFailed = fmt.Errorf("%w: not authenticated", ErrHandshakeFailed)
	// ErrNotConnected reports that there is no session that could be rotated.
	ErrNotConnected = errors.New("qzmq: not connected")
	// ErrKeyRotationFailed reports a session that goes on under its old keys.
	ErrKeyRotationFailed = errors.New("qzmq: the keys were not rotated")
	// ErrAgain reports that a call would have to wait and may not (EAGAIN).
	ErrAgain = errors.New("qzmq: not now")
	// ErrTimeout reports that a call has waited as long as rcvtimeo or sndtimeo says.
	// It is an ErrAgain too.
	ErrTimeout = fmt.Errorf("%w: timed out", ErrAgain)
	// ErrClosed reports a socket or transport that is closed (ENOTSOCK, ETERM). It is an
	// ErrNotConnected too.
	ErrClosed = fmt.Errorf("%w: closed", ErrNotConnected)
	// ErrState reports a call out of turn, like a second request before the reply (EFSM).
	ErrState = errors.New("qzmq: not in this state of the socket")
	// ErrHostUnreachable reports a peer that a ROUTER does not have (EHOSTUNREACH).
	ErrHostUnreachable = errors.New("qzmq: host unreachable")
	// ErrNotSupported reports what a socket of this type does not do (ENOTSUP).
	ErrNotSupported = errors.New("qzmq: not supported")
	// ErrSubscriptions is in the monitor event of a peer that was cut because it wanted
	// more subscriptions than the option qzmq.subbytes allows.
	ErrSubscriptions = errors.New("qzmq: the peer has subscribed to more than the limit")
	// ErrTooLarge reports a message over the option maxmsgsize.
	ErrTooLarge = errors.New("qzmq: the message is larger than the limit")
	// ErrAddressInUse reports an inproc endpoint that is bound already (EADDRINUSE).
	ErrAddressInUse = errors.New("qzmq: the address is in use")
)

// errAgain is what patterns say when a call would have to wait.
var errAgain = errors.New("again")

var (
	errPeerType    = fmt.Errorf("%w: the sockets do not fit", ErrHandshakeFailed)
	errDuplicateID = fmt.Errorf("%w: the routing id is in use", ErrHandshakeFailed)
	errOnePeer     = fmt.Errorf("%w: a PAIR has one peer", ErrHandshakeFailed)
	errStream      = fmt.Errorf("%w: STREAM is raw TCP, without frames, patterns or a mechanism that could protect it: use package net", ErrNotSupported)
)

func errUnknownType(t SocketType) error {
	return fmt.Errorf("%w: there is no socket type %d", ErrInvalidOptions, int(t))
}

func unsupported(t SocketType, verb string) error {
	return fmt.Errorf("%w: a %v does not %s", ErrNotSupported, t, verb)
}

package zmtp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
)

// What a peer, or somebody on the path, can do wrong. Every one of them ends
// the connection.
var (
	ErrNotZMTP   = errors.New("zmtp: the peer does not speak ZMTP")
	ErrVersion   = errors.New("zmtp: the peer's version is too old")
	ErrMechanism = errors.New("zmtp: the peer uses another security mechanism")
	ErrRoles     = errors.New("zmtp: both sides take the same part in the handshake")

	ErrFlags      = errors.New("zmtp: a frame has flags that cannot be")
	ErrTooLarge   = errors.New("zmtp: a frame is larger than the limit")
	ErrCommand    = errors.New("zmtp: malformed command")
	ErrMetadata   = errors.New("zmtp: malformed metadata")
	ErrSplit      = errors.New("zmtp: a frame is not whole in its record, or its pieces do not fit together")
	ErrPadding    = errors.New("zmtp: a record goes on where only zeros may be")
	ErrUnexpected = errors.New("zmtp: a frame or command has no place here")

	// ErrReserved reports a command that we were asked to send and that only the
	// session itself sends.
	ErrReserved = errors.New("zmtp: the command's name is the session's own")

	// ErrTruncated reports a connection that ended without a sealed alert.
	// Anybody on the path can cause that, so it says nothing of the peer's
	// wishes. A responder that stays silent ends a handshake in this way.
	ErrTruncated = errors.New("zmtp: the connection ended without a sealed close")
)

// ClosedError reports that the peer itself, authenticated, ended the session.
// An alert in clear is a handshake.PeerAlert instead, and a hint at most.
type ClosedError struct{ Alert handshake.Alert }

func (e *ClosedError) Error() string {
	return fmt.Sprintf("zmtp: the peer ended the session: %v", e.Alert)
}

// Is makes an ordinary close an io.EOF.
func (e *ClosedError) Is(target error) bool {
	return target == io.EOF && e.Alert == handshake.AlertClose
}

// alertFor gives the alert that a peer is told about its fault in a session, or
// AlertNone when the connection itself has failed.
func alertFor(err error) handshake.Alert {
	switch {
	case errors.Is(err, record.ErrBadRecord):
		return handshake.AlertBadRecord
	case errors.Is(err, ErrTooLarge):
		return handshake.AlertOverflow
	case errors.Is(err, ErrUnexpected), errors.Is(err, record.ErrUpdate):
		return handshake.AlertUnexpectedMessage
	case errors.Is(err, ErrFlags), errors.Is(err, ErrCommand), errors.Is(err, ErrMetadata), errors.Is(err, ErrSplit), errors.Is(err, ErrPadding):
		return handshake.AlertDecodeError
	case errors.Is(err, record.ErrExhausted):
		return handshake.AlertInternal
	}
	return handshake.AlertNone
}

// readError names the end of a connection. A reset is an end like any other:
// off-path attackers can make both.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return ErrTruncated
	}
	return fmt.Errorf("zmtp: read: %w", err)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

package zmtp

import (
	"context"
	"fmt"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// judgeTimeout is how long a judge may take: an initiator waits stageTimeout for
// Finished.
const judgeTimeout = stageTimeout - 2*time.Second

// Judge has the last word about an initiator that has proved who it is and may in
// by the handshake's own rules. It may take its time, up to 8 s, after which ctx
// ends; nothing else waits for it.
//
// Without an error the initiator is let in, and told this metadata. Otherwise it is
// refused, and told, sealed, why as far as it is meant to know: access_denied when
// the error wraps handshake.ErrAccessDenied, and internal for everything else, after
// which it may try again: handshake.ErrUnavailable for what will pass, the error of
// ctx when nobody could be asked in time, or what went wrong.
type Judge func(ctx context.Context, caller *handshake.Caller) (metadata []byte, err error)

// judging is the machine's Handle with the judge's word. Nobody waits for the judge
// but the initiator: public-key work is done, and the turn for it left.
func (x *exchange) judging(ctx context.Context, machine *handshake.Responder, judge Judge) func([]byte) ([]byte, *handshake.Session, error) {
	machine.Defer()
	return func(msg []byte) (reply []byte, s *handshake.Session, err error) {
		reply, s, err = machine.Handle(msg)
		caller := machine.Undecided()
		if caller == nil {
			return reply, s, err
		}
		ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
		defer cancel()
		metadata, err := judge(ctx, caller)
		if err == nil && len(metadata) > handshake.MaxMetadata {
			err = fmt.Errorf("%w: %d bytes of metadata", ErrTooLarge, len(metadata))
		}
		if late := x.stage(); err == nil {
			err = late // the judge's time is not the initiator's
		}
		if err != nil {
			reply, err = machine.Refuse(err)
			return reply, nil, err
		}
		return machine.Accept(metadata)
	}
}

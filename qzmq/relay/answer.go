package relay

import (
	"context"
	"fmt"
	"net"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// answer takes a sealed connection and makes a plain one for it. The peer is let in
// only when the program is there and ready, so its own program finds out as if there
// was no relay.
func (r *Relay) answer(ctx context.Context, nc net.Conn) (*pair, error) {
	var plain *zmtp.Null
	var topics *subscriptions
	sealed, err := r.asks.Load().door.Respond(ctx, nc, zmtp.Caller{Judge: func(ctx context.Context, caller *handshake.Caller) (metadata []byte, err error) {
		if err := r.judge(ctx, caller); err != nil {
			return nil, err
		}
		said, err := zmtp.ParseMetadata(caller.Metadata)
		if err != nil {
			return nil, err
		}
		rules := r.rulesOf(caller)
		if err := rules.admit(said); err != nil {
			return nil, err
		}
		topics = rules.watch(said)
		plain, metadata, err = r.dialPlain(ctx, caller, said)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", handshake.ErrUnavailable, &plainError{err})
		}
		return metadata, nil
	}})
	if err != nil {
		if plain != nil {
			plain.Close()
		}
		return nil, err
	}
	r.configure(sealed)
	return &pair{plain: plain, sealed: sealed, topics: topics}, nil
}

// judge asks Config.Judge. One that never answers, though its time is over, keeps its
// goroutine and nothing else.
func (r *Relay) judge(ctx context.Context, caller *handshake.Caller) error {
	if r.cfg.Judge == nil {
		return nil
	}
	verdict := make(chan error, 1)
	go func() { verdict <- r.cfg.Judge(ctx, caller) }()
	select {
	case err := <-verdict:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Relay) rulesOf(caller *handshake.Caller) *Rules {
	if r.cfg.RulesOf == nil {
		return nil
	}
	return r.cfg.RulesOf(caller.Peer, caller.Certificate)
}

// dialPlain connects to the program for a caller, which says this of itself, and gives
// what the program says.
func (r *Relay) dialPlain(ctx context.Context, caller *handshake.Caller, said zmtp.Metadata) (*zmtp.Null, []byte, error) {
	name := ""
	if r.cfg.NameOf != nil {
		name = r.cfg.NameOf(caller.Peer, caller.Certificate)
	}
	nc, err := r.cfg.Connect.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	plain, err := zmtp.OpenNull(ctx, nc, r.nullOptions())
	if err != nil {
		return nil, nil, err
	}
	err = plain.WriteReady(ctx, introduce(said, name, caller.Peer))
	var answer zmtp.Metadata
	if err == nil {
		answer, err = plain.ReadReady(ctx)
	}
	var metadata []byte
	if err == nil {
		metadata, err = onward(answer)
	}
	if err != nil {
		plain.Close()
		return nil, nil, err
	}
	return plain, metadata, nil
}

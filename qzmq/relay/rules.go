package relay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// Rules bind a peer to what it may call itself and ask for. A list that is nil allows
// everything.
type Rules struct {
	// SocketTypes it may have, such as SUB.
	SocketTypes []string
	// Identities it may give itself, by which a ROUTER knows it. None is always
	// allowed: then the ROUTER makes one up.
	Identities []string
	// Topics are the beginnings of those that it may subscribe to.
	Topics []string
}

// admit compares what a peer says of itself.
func (r *Rules) admit(said zmtp.Metadata) error {
	if r == nil {
		return nil
	}
	kind, _ := said.Get("Socket-Type")
	if r.SocketTypes != nil && !slices.Contains(r.SocketTypes, string(kind)) {
		return fmt.Errorf("%w as a %.20q", handshake.ErrAccessDenied, kind)
	}
	identity, _ := said.Get("Identity")
	if r.Identities != nil && len(identity) > 0 && !slices.Contains(r.Identities, string(identity)) {
		return fmt.Errorf("%w under the identity %.64q", handshake.ErrAccessDenied, identity)
	}
	return nil
}

// subscriptions watches what a SUB or XSUB sends, one message after the other.
type subscriptions struct {
	topics []string
	more   bool // another frame of the same message comes
	left   int  // bytes of a frame that has begun
}

// watch gives the guard of a peer's subscriptions, nil if there is nothing to watch.
func (r *Rules) watch(said zmtp.Metadata) *subscriptions {
	kind, _ := said.Get("Socket-Type")
	if r == nil || r.Topics == nil || string(kind) != "SUB" && string(kind) != "XSUB" {
		return nil
	}
	return &subscriptions{topics: r.Topics}
}

// allow looks at the next run.
func (s *subscriptions) allow(run *zmtp.Run) error {
	if run.Command != nil {
		return s.check(zmtp.Frame{Flags: zmtp.Command, Size: len(run.Command), Body: run.Command})
	}
	for b := run.Wire; len(b) > 0; {
		if s.left > 0 {
			n := min(s.left, len(b))
			s.left, b = s.left-n, b[n:]
			continue
		}
		h, n, err := zmtp.ParseHeader(b)
		if err != nil || n == 0 {
			panic("relay: a run has what is no frame")
		}
		body := b[n:]
		if h.Size < uint64(len(body)) {
			body = body[:h.Size]
		}
		first := !s.more
		s.more, s.left, b = h.Flags&zmtp.More != 0, int(h.Size)-len(body), b[n+len(body):]
		if !first {
			continue
		}
		if s.left > 0 {
			return fmt.Errorf("%w to a topic of %d bytes", errTopic, h.Size)
		}
		if err := s.check(zmtp.Frame{Flags: h.Flags, Size: int(h.Size), Body: body}); err != nil {
			return err
		}
	}
	return nil
}

func (s *subscriptions) check(f zmtp.Frame) error {
	topic, subscribe, ok := zmtp.ParseSubscription(f)
	allowed := func(beginning string) bool { return strings.HasPrefix(string(topic), beginning) }
	if ok && subscribe && !slices.ContainsFunc(s.topics, allowed) {
		return fmt.Errorf("%w to %.64q", errTopic, topic)
	}
	return nil
}

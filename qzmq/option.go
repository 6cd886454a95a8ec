package qzmq

import (
	"fmt"
	"math"
	"time"

	"github.com/qzmq/gateway/qzmq/handshake"
)

// option is how an option of settings is read and written.
type option struct {
	read  func(*settings) any
	write func(*settings, any) error
}

// settingsOptions are the options that have effect on the connections made after, or
// at once where nothing else makes sense. The names are libzmq's; those that begin
// with qzmq. are ours.
var settingsOptions = map[string]option{
	"sndhwm":                   number(func(s *settings) *int { return &s.sndHWM }),
	"rcvhwm":                   number(func(s *settings) *int { return &s.rcvHWM }),
	"qzmq.sndbytes":            volume(func(s *settings) *int { return &s.sndBytes }),
	"qzmq.rcvbytes":            volume(func(s *settings) *int { return &s.rcvBytes }),
	"qzmq.subbytes":            number(func(s *settings) *int { return &s.subBytes }),
	"maxmsgsize":               {func(s *settings) any { return s.maxMessage }, writeMaxMessage},
	"linger":                   duration(func(s *settings) *time.Duration { return &s.linger }, true),
	"rcvtimeo":                 duration(func(s *settings) *time.Duration { return &s.rcvTimeout }, true),
	"sndtimeo":                 duration(func(s *settings) *time.Duration { return &s.sndTimeout }, true),
	"reconnect_ivl":            duration(func(s *settings) *time.Duration { return &s.reconnect }, true),
	"reconnect_ivl_max":        duration(func(s *settings) *time.Duration { return &s.reconnectMax }, false),
	"handshake_ivl":            duration(func(s *settings) *time.Duration { return &s.handshake }, false),
	"heartbeat_ivl":            duration(func(s *settings) *time.Duration { return &s.heartbeat }, false),
	"heartbeat_timeout":        duration(func(s *settings) *time.Duration { return &s.heartbeatTimeout }, true),
	"heartbeat_ttl":            {func(s *settings) any { return s.heartbeatTTL }, writeTTL},
	"identity":                 {func(s *settings) any { return string(s.routingID) }, writeRoutingID},
	"routing_id":               {func(s *settings) any { return string(s.routingID) }, writeRoutingID},
	"conflate":                 truth(func(s *settings) *bool { return &s.conflate }),
	"immediate":                truth(func(s *settings) *bool { return &s.immediate }),
	"probe_router":             truth(func(s *settings) *bool { return &s.probeRouter }),
	"router_mandatory":         truth(func(s *settings) *bool { return &s.routerMandatory }),
	"router_handover":          truth(func(s *settings) *bool { return &s.routerHandover }),
	"req_relaxed":              truth(func(s *settings) *bool { return &s.reqRelaxed }),
	"req_correlate":            truth(func(s *settings) *bool { return &s.reqCorrelate }),
	"xpub_verbose":             truth(func(s *settings) *bool { return &s.xpubVerbose }),
	"xpub_verboser":            truth(func(s *settings) *bool { return &s.xpubVerboser }),
	"xpub_manual":              truth(func(s *settings) *bool { return &s.xpubManual }),
	"xpub_nodrop":              truth(func(s *settings) *bool { return &s.xpubNodrop }),
	"xsub_verbose_unsubscribe": truth(func(s *settings) *bool { return &s.xsubVerbose }),
	"invert_matching":          truth(func(s *settings) *bool { return &s.invertMatching }),
	"xpub_welcome_msg":         {func(s *settings) any { return string(s.xpubWelcome) }, writeWelcome},
	"qzmq.peer":                {func(s *settings) any { return s.peer }, writePeer},
	"qzmq.role":                {func(s *settings) any { return s.role }, writeRole},
}

// apply sets an option.
func (s *settings) apply(key string, value any) error {
	o, ok := settingsOptions[key]
	if !ok {
		return fmt.Errorf("%w: there is no option %q that can be set", ErrInvalidOptions, key)
	}
	if err := o.write(s, value); err != nil {
		return fmt.Errorf("%w: option %s: %w", ErrInvalidOptions, key, err)
	}
	return nil
}

// read gives an option.
func (s *settings) read(key string) (any, error) {
	o, ok := settingsOptions[key]
	if !ok {
		return nil, fmt.Errorf("%w: there is no option %q", ErrInvalidOptions, key)
	}
	return o.read(s), nil
}

// number is an option that is a count, zero for no limit.
func number(at func(*settings) *int) option {
	return option{func(s *settings) any { return *at(s) }, func(s *settings, v any) error {
		n, ok := v.(int)
		if !ok || n < 0 {
			return fmt.Errorf("%v is not an int from 0 on", v)
		}
		*at(s) = n
		return nil
	}}
}

// volume is a number that reads as what is usual until it is set.
func volume(at func(*settings) *int) option {
	return option{func(s *settings) any { return s.ofBytes(*at(s)) }, number(at).write}
}

// truth is an option that is on or off, also 1 or 0.
func truth(at func(*settings) *bool) option {
	return option{func(s *settings) any { return *at(s) }, func(s *settings, v any) error {
		switch v := v.(type) {
		case bool:
			*at(s) = v
		case int:
			if v != 0 && v != 1 {
				return fmt.Errorf("%d is neither 0 nor 1", v)
			}
			*at(s) = v == 1
		default:
			return fmt.Errorf("%v is no bool", v)
		}
		return nil
	}}
}

// duration is an option that is a time.Duration, or as libzmq has it an int in
// milliseconds, where -1 is for ever.
func duration(at func(*settings) *time.Duration, forever bool) option {
	return option{func(s *settings) any { return *at(s) }, func(s *settings, v any) error {
		d, err := asDuration(v)
		if err == nil && d < 0 {
			if d = -1; !forever {
				err = fmt.Errorf("%v is negative", v)
			}
		}
		if err == nil {
			*at(s) = d
		}
		return err
	}}
}

func asDuration(v any) (time.Duration, error) {
	switch v := v.(type) {
	case time.Duration:
		return v, nil
	case int:
		if v < 0 {
			return -1, nil
		}
		if v > math.MaxInt32 {
			return 0, fmt.Errorf("%d ms are too many", v)
		}
		return time.Duration(v) * time.Millisecond, nil
	}
	return 0, fmt.Errorf("%v is neither a time.Duration nor an int", v)
}

func asBytes(v any, most int) ([]byte, error) {
	var b []byte
	switch v := v.(type) {
	case string:
		b = []byte(v)
	case []byte:
		b = append(b, v...)
	default:
		return nil, fmt.Errorf("%v is neither a string nor bytes", v)
	}
	if len(b) > most {
		return nil, fmt.Errorf("%d bytes are too many, at most %d", len(b), most)
	}
	return b, nil
}

func writeMaxMessage(s *settings, v any) error {
	switch v := v.(type) {
	case int:
		s.maxMessage = int64(v)
	case int64:
		s.maxMessage = v
	default:
		return fmt.Errorf("%v is neither an int nor an int64", v)
	}
	s.maxMessage = max(-1, s.maxMessage)
	return nil
}

// writeTTL keeps to what PING can say: tenths of a second, in 16 bits.
func writeTTL(s *settings, v any) error {
	d, err := asDuration(v)
	if err == nil && (d < 0 || d/ttlUnit > math.MaxUint16) {
		err = fmt.Errorf("%v is not between 0 and %v", v, math.MaxUint16*ttlUnit)
	}
	if err == nil {
		s.heartbeatTTL = d
	}
	return err
}

// writeRoutingID refuses names that look like those which a ROUTER gives.
func writeRoutingID(s *settings, v any) error {
	b, err := asBytes(v, mostRoutingID)
	if err == nil && len(b) > 0 && b[0] == 0 {
		err = fmt.Errorf("a routing id does not begin with 0")
	}
	if err == nil {
		s.routingID = b
	}
	return err
}

func writeWelcome(s *settings, v any) (err error) {
	b, err := asBytes(v, math.MaxInt32)
	if err == nil {
		s.xpubWelcome = b
	}
	return err
}

func writePeer(s *settings, v any) (err error) {
	switch v := v.(type) {
	case Fingerprint:
		s.peer = v
	case string:
		var f Fingerprint
		if f, err = handshake.ParseFingerprint(v); err == nil {
			s.peer = f
		}
	default:
		err = fmt.Errorf("%v is neither a Fingerprint nor its text", v)
	}
	return err
}

func writeRole(s *settings, v any) error {
	r, ok := v.(Role)
	if !ok || r < RoleAuto || r > RoleResponder {
		return fmt.Errorf("%v is no Role", v)
	}
	s.role = r
	return nil
}

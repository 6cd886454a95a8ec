package handshake

import (
	"fmt"
	"strconv"
)

// Alert is why a connection ends, in one byte; the numbers are those of TLS
// where TLS has the same reason (2.9). An alert in clear can be forged: it is a
// hint to close and try the same again, never a reason to try less.
type Alert uint8

// The alerts of version 1. AlertNone is never on the wire: it stands for telling
// the peer nothing.
const (
	AlertClose                Alert = 0
	AlertUnexpectedMessage    Alert = 10
	AlertBadRecord            Alert = 20
	AlertOverflow             Alert = 22
	AlertHandshakeFailure     Alert = 40
	AlertAccessDenied         Alert = 49
	AlertDecodeError          Alert = 50
	AlertInsufficientSecurity Alert = 71
	AlertInternal             Alert = 80
	AlertSuperseded           Alert = 90
	AlertUnsupportedExtension Alert = 110
	AlertWrongPurpose         Alert = 120
	AlertNone                 Alert = 255
)

// String gives the alert's name as the protocol writes it.
func (a Alert) String() string {
	switch a {
	case AlertClose:
		return "close"
	case AlertUnexpectedMessage:
		return "unexpected_message"
	case AlertBadRecord:
		return "bad_record"
	case AlertOverflow:
		return "overflow"
	case AlertHandshakeFailure:
		return "handshake_failure"
	case AlertAccessDenied:
		return "access_denied"
	case AlertDecodeError:
		return "decode_error"
	case AlertInsufficientSecurity:
		return "insufficient_security"
	case AlertInternal:
		return "internal"
	case AlertSuperseded:
		return "superseded"
	case AlertUnsupportedExtension:
		return "unsupported_extension"
	case AlertWrongPurpose:
		return "wrong_purpose"
	case AlertNone:
		return "none"
	}
	return "alert_" + strconv.Itoa(int(a))
}

// PeerAlert is the error of a machine whose peer gave up.
type PeerAlert struct {
	Code   Alert
	Sealed bool // false: in clear, so anyone on the path may have made it
}

// Error says what the peer said and whether it can be believed.
func (p *PeerAlert) Error() string {
	if p.Sealed {
		return fmt.Sprintf("handshake: the peer refused: %v", p.Code)
	}
	return fmt.Sprintf("handshake: an unauthenticated alert: %v", p.Code)
}

// clearAlert is an alert before there are keys.
func clearAlert(a Alert) []byte {
	return append(appendHeader(nil, typeAlert, 1), byte(a))
}

// parseClearAlert reads one whose header was checked.
func parseClearAlert(body []byte) (Alert, bool) {
	if len(body) != 1 {
		return AlertNone, false
	}
	return Alert(body[0]), true
}
